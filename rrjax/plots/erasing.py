"""The figure of erasing: cells that are right after each segment, by kind of change."""

from typing import TYPE_CHECKING, cast

import numpy as np

from rrjax.analysis.erasing import KINDS
from rrjax.plots.canvas import COLORS, new_panels
from rrjax.results.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = ((COLORS[1], "s-"), (COLORS[0], "o-"), (COLORS[2], "^-"))


def erasures(results: Results) -> "Figure":
    """Draws the mean share of cells right by segment, for every time and part.

    Args:
      results: Of `rrjax.experiments.erase`.
    """
    times, parts = results.record["times"], results.record["parts"]
    segments = np.arange(1, results["right"].shape[-1] + 1)
    panels = new_panels(
        2.9 * len(parts) + 0.6, 2.3 * len(times) + 0.6, len(times), len(parts), sharex=True
    )
    for row, time in enumerate(times):
        for column, part in enumerate(parts):
            ax = panels[row, column]
            ax.sharey(panels[0, 0])
            ax.plot(segments, results["own_right"].mean(0), color="black", lw=1, label="nothing")
            for place, (color, look) in enumerate(_LOOKS):
                values = results["right"][:, row, column, place]
                reach = 1.96 * values.std(0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0
                mean = values.mean(0)
                ax.fill_between(segments, mean - reach, mean + reach, color=color, alpha=0.2, lw=0)
                ax.plot(segments, mean, look, color=color, ms=3, label=KINDS[place])
            ax.set_title(f"{part}, erased after {time}", loc="left", fontsize="small")
    for ax in panels[-1]:
        ax.set_xlabel("segment")
    for ax in panels[:, 0]:
        ax.set_ylabel("cells right")
    figure = cast("Figure", panels[0, 0].figure)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    return figure
