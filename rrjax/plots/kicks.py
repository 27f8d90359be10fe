"""What kicks free, against their length, by direction."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.kicks import KickSummary
from rrjax.plots.canvas import COLORS, Look, draw_intervals, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*X"
_LINES = ("-", "--", ":", "-.")


def solved_by_size(summary: KickSummary) -> "Figure":
    """Draws the fraction solved after kicks of failures along each direction, by their length.

    Args:
      summary: Numbers of kicks. Solved runs are drawn where nothing fails.
    """
    ax = new_axes()
    kicks = summary.failed or summary.solved
    directions = list(dict.fromkeys(each.direction for each in kicks))[:-1]
    sizes = list(dict.fromkeys(each.size for each in kicks))[:-1]
    for place, direction in enumerate(directions):
        own = [each.solved for each in kicks if each.direction == direction]
        color = "black" if direction == "random" else COLORS[place % len(COLORS)]
        marker, line = _MARKERS[place % len(_MARKERS)], _LINES[place % len(_LINES)]
        look = Look(direction, color, "", line, marker)
        offset = 0.04 * (place - (len(directions) - 1) / 2)
        draw_intervals(ax, np.arange(len(sizes)) + offset, own, look)
    ax.axhline(kicks[-1].solved.value, color="black", lw=0.8, ls=":")
    ax.set_xlim(-0.5, len(sizes) - 0.5)
    ax.set_xticks(range(len(sizes)), [f"{size:g}" for size in sizes])
    ax.set_xlabel("length of the kick / norm of the state (dotted: no kick)")
    ax.set_ylabel("share solved at the end")
    ax.set_ylim(-0.03, 1.03)
    number = summary.num_failed or summary.num_puzzles
    noun = "failure" if summary.failed else "solved puzzle"
    legend_below(ax, f"n = {words.count(number, noun)}, 95 % intervals")
    return titled(ax, f"Kicks after {words.count(summary.segment, 'segment')}")
