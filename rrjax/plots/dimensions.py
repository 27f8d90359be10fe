"""Dimensions of recorded states, by segment and outcome, and by scale."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rrjax.analysis.intervals import Interval
from rrjax.plots.canvas import (
    FAILED,
    LOOKS,
    SOLVED,
    Look,
    draw_intervals,
    legend_below,
    new_axes,
    new_panels,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONTROL = Look("untrained, all", "#777777", "////", ":", "D")
_TITLES = {"participation": "participation ratio", "two_nn": "TwoNN", "mle": "likelihood, k = 10"}


def dimension_by_segment(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws the dimensions of solved and failed puzzles and of the control against the segment.

    Args:
      arrays: Arrays of `rrjax.experiments.dimension`.
      record: Its record.
    """
    fields, measures = record["fields"], record["measures"]
    panels = new_panels(3.1 * len(measures), 2.6 * len(fields) + 0.6, len(fields), len(measures))
    for field, line in zip(fields, panels, strict=True):
        for m, ax in enumerate(line):
            for look, group in ((SOLVED, 1), (FAILED, 2)):
                _draw(ax, arrays[f"dimension_trained_{field}"][m, group], look)
            if f"dimension_untrained_{field}" in arrays:
                _draw(ax, arrays[f"dimension_untrained_{field}"][m, 0], _CONTROL)
            ax.set_title(f"{field}, {_TITLES[measures[m]]}", loc="left", fontsize="small")
            ax.set_yscale("log")
            ax.set_xlabel("segments", fontsize="small")
        line[0].set_ylabel("dimension")
    each = record["group_sizes"][1]
    legend_below(panels[-1, 0], f"{each} solved, {each} failed; 95 % intervals")
    return panels[0, 0].figure


def _draw(ax: Any, ends: np.ndarray, look: Look) -> None:
    if np.isfinite(ends[:, 0]).any():
        finite = np.where(np.isfinite(ends), ends, np.nan)
        draw_intervals(ax, np.arange(1, len(ends) + 1), [Interval(*row) for row in finite], look)


def dimension_by_scale(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws TwoNN after the last segment against the number of points.

    Args:
      arrays: Arrays of `rrjax.experiments.dimension`.
      record: Its record.
    """
    ax = new_axes()
    names = [name.removeprefix("by_scale_") for name in arrays if name.startswith("by_scale_")]
    sizes = np.array(record["scales"])
    for index, name in enumerate(names):
        ends = arrays[f"by_scale_{name}"][:, -1]
        look = LOOKS[index % len(LOOKS)]._replace(name=name.replace("_", " ", 1))
        draw_intervals(ax, sizes * 1.02**index, [Interval(*row) for row in ends], look)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("points (puzzles)")
    ax.set_ylabel("TwoNN dimension after the last segment")
    legend_below(ax, "95 % intervals")
    return titled(ax, "Does the dimension depend on the scale?")
