"""What patches free and break, beside their controls, against the segment of the patch."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.patches import Effect, PatchSummary
from rrjax.plots.canvas import FAILED, SOLVED, Look, draw_intervals, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def patches_by_segment(summary: PatchSummary) -> "Figure":
    """Draws the fraction solved after a patch of each part, with its control.

    Args:
      summary: Numbers of patches. Drawn are the failures with the first kind of donor that there
        is, or the solved puzzles where nothing fails.
    """
    ax = new_axes()
    effects = summary.denoising or summary.noising
    effects = [each for each in effects if each.donor == effects[0].donor]
    parts = list(dict.fromkeys(each.part for each in effects))
    markers = "osD^vP*X"
    for number, part in enumerate(parts):
        own = [each for each in effects if each.part == part]
        x = np.arange(len(own)) + 0.06 * number
        for kind, style in (("patch", SOLVED), ("control", FAILED)):
            look = Look(
                f"{kind}, {part}", style.color, style.hatch, style.line, markers[number % 8]
            )
            draw_intervals(ax, x, [each.solved[kind] for each in own], look)
    first = [each for each in effects if each.part == parts[0]]
    ax.set_xticks(range(len(first)), [str(each.segment) for each in first])
    ax.set_xlabel("segments before the patch")
    ax.set_ylabel("share solved at the end")
    ax.set_ylim(-0.03, 1.03)
    legend_below(ax, f"n = {words.count(first[0].num_pairs, 'pair')}, 95 % intervals")
    return titled(ax, _message(effects, bool(summary.denoising)))


def _message(effects: list[Effect], denoising: bool) -> str:
    best = max(effects, key=lambda each: abs(each.against_control.value))
    what = "A solved state in a failure" if denoising else "A failed state in a success"
    change = words.interval(best.against_control.map(lambda end: 100 * end), "+.0f")
    return (
        f"{what} ({best.part}, after {words.count(best.segment, 'segment')}):\n"
        f"{change} % solved against an equal random step"
    )
