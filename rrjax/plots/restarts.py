"""Restarts from perturbed starts: what becomes of the puzzles that fail from z0."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.restarts import BasinSummary
from rrjax.plots.canvas import FAILED, SOLVED, Look, draw_intervals, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def solve_rate_of_failures(summary: BasinSummary) -> "Figure":
    """Draws which share of the failures from z0 restarts solve, against σ.

    Args:
      summary: Numbers of a sweep of starts.

    Returns:
      The figure: the fraction of single runs, and of puzzles that some run solves; it says so
      where nothing fails.

    Example:
      >>> run = rrjax.load_results("runs/basin")  # of rrjax.experiments.basin
      >>> figure = rrjax.plots.solve_rate_of_failures(run.summary().numbers)
      >>> figure.axes[0].get_xlabel()
      'noise of the start σ / std(H_init)'
    """
    ax = new_axes()
    number, rows = len(summary.failures), summary.by_sigma
    restarts = rows[-1].num_runs
    ax.set_xlabel("noise of the start σ / std(H_init)")
    ax.set_ylabel("share solved at some segment")
    ax.set_ylim(-0.03, 1.03)
    ax.set_xticks(range(len(rows)), [f"{row.sigma:g}" for row in rows])
    ax.set_xlim(-0.5, len(rows) - 0.5)
    if not number:
        return titled(ax, f"Nothing to restart: all solved at segment {summary.readout_segment}")
    single = Look("one run", FAILED.color, "", "--", "o")
    some = f"some of {words.count(restarts, 'run')} (at σ = 0 the one)"
    any_run = Look(some, SOLVED.color, "", "-", "s")
    index = np.arange(len(rows))
    draw_intervals(ax, index - 0.05, [row.failures.at_some for row in rows], single)
    draw_intervals(ax, index + 0.05, [row.failures.some_run for row in rows], any_run)
    legend_below(ax, f"n = {words.count(number, 'puzzle')}, 95 % intervals")
    freed = len(set(summary.failures) - set(summary.never_solved))
    return titled(
        ax,
        f"{freed} of {words.count(number, 'puzzle')} that fail from z0 at segment "
        f"{summary.readout_segment}\n"
        f"are solved within {words.count(summary.num_segments, 'segment')} from some start",
    )
