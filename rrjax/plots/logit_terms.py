"""Terms of logits by stage, and how far gradients follow the peers."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.logit_terms import LogitSummary
from rrjax.plots.canvas import FAILED, SOLVED, draw_intervals, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def terms_by_stage(summary: LogitSummary) -> "Figure":
    """Draws what every stage of the last segment adds to the margin of right and wrong cells.

    Args:
      summary: Numbers of the terms of logits.
    """
    ax = new_axes()
    stages = summary.runs[0].stages
    places = np.arange(len(stages))
    for name, look, shift in (("right", SOLVED, -0.2), ("wrong", FAILED, 0.2)):
        value, low, high = np.array([each.terms[name].ends for each in stages], float).T
        ax.barh(
            places + shift,
            np.nan_to_num(value),
            0.4,
            xerr=np.nan_to_num([value - low, high - value]),
            facecolor="none" if look.hatch else look.color,
            edgecolor=look.color,
            hatch=look.hatch,
            label=f"{name} cells",
        )
    for place in (0.5, len(stages) - 1.5):
        ax.axhline(place, color="black", lw=0.6)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(places, [each.name for each in stages])
    ax.invert_yaxis()
    ax.set_xlabel("added to the margin (logits)")
    number = words.count(summary.num_puzzles, "puzzle")
    legend_below(ax, f"n = {number}, means with 95 % intervals")
    return titled(ax, f"What segment {summary.num_segments} adds to the margin of a blank cell")


def saliency_on_peers(summary: LogitSummary) -> "Figure":
    """Draws by how much the share of the gradient on the peers exceeds what is expected.

    Args:
      summary: Numbers of the terms of logits.
    """
    ax = new_axes()
    for run, look, shift in zip(summary.runs, (SOLVED, FAILED), (-0.08, 0.08), strict=False):
        excess = [each.excess.percent for each in run.saliencies]
        look = look._replace(name=run.name, line="none")
        draw_intervals(ax, np.arange(len(excess)) + shift, excess, look)
    names = [f"{e.measure},\n{e.start} segment" for e in summary.runs[0].saliencies]
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(names)), names, fontsize="x-small")
    ax.set_ylabel("share on the peers less expected, %")
    number = words.count(summary.num_puzzles, "puzzle")
    legend_below(ax, f"n = {number}, 95 % intervals")
    first = summary.runs[0].saliencies[0]
    return titled(
        ax,
        f"{words.percent(first.share.value, 0)} of the gradient after one segment lies on the "
        f"peers,\n{words.percent(first.expected, 0)} is expected",
    )
