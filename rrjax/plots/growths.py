"""The contributions to λ₁ of the stages of an update, by outcome."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.growths import GrowthSummary
from rrjax.plots.canvas import FAILED, SOLVED, UNIT, legend_below, legend_entry, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def stages_by_outcome(summary: GrowthSummary) -> "Figure":
    """Draws the mean contribution of every stage with its interval, and λ₁, their sum.

    Args:
      summary: Numbers of growth by part.
    """
    ax = new_axes()
    parts = [*summary.stages, *summary.fields, summary.lambda1]
    places = np.arange(len(parts))
    for look, number, shift in (
        (SOLVED, summary.num_solved, -0.2),
        (FAILED, summary.num_failed, 0.2),
    ):
        intervals = [getattr(part, look.name) for part in parts]
        value, low, high = np.array([each.ends for each in intervals], float).T
        ax.barh(
            places + shift,
            value,
            0.4,
            xerr=np.nan_to_num([value - low, high - value]),
            facecolor="none" if look.hatch else look.color,
            edgecolor=look.color,
            hatch=look.hatch,
            label=legend_entry(look, number),
        )
    ax.axhline(len(summary.stages) - 0.5, color="black", lw=0.6)
    ax.axhline(len(parts) - 1.5, color="black", lw=0.6)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(places, [part.name for part in parts])
    ax.invert_yaxis()
    ax.set_xlabel(f"contribution to λ₁ in {UNIT}")
    legend_below(ax, "means with 95 % intervals")
    difference = words.interval_in_words(summary.lambda1.difference, "+.3f")
    return titled(ax, f"λ₁ of failed less that of solved puzzles:\n{difference}")
