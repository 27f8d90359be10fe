"""The search-and-capture toy: exponents by outcome, and what becomes of both with readout time."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.plots.canvas import FAILED, legend_below, new_panels, titled
from rrjax.plots.outcome import lambda1_histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def toy_panel(
    exponents: ArrayLike,
    solved: ArrayLike,
    shown_time: int,
    times: ArrayLike,
    auc: ArrayLike,
    failed: ArrayLike,
) -> "Figure":
    """Draws exponents at one readout time by outcome, and AUC and failures against time.

    Args:
      exponents: (n,) at the readout time on the left, in nats per update.
      solved: (n,) booleans, at that time.
      shown_time: That time, in updates; one of `times`.
      times: (m,) readout times on the right.
      auc: (m,) of −λ₁ for solved; NaN where a group is empty.
      failed: (m,) share of runs that are still searching.

    Example:
      >>> run = rrjax.experiments.toy(num_runs=1000, readout_times=(4, 64))
      >>> figure = rrjax.plots.toy_panel(
      ...     run.exponents[:, 0], run.solved[:, 0], 4, np.array([4, 64]), run.auc, run.failed
      ... )
      >>> len(figure.axes)
      2
    """
    left, right = new_panels(11.5, 4.8, 1, 2)[0]
    times, auc, failed = (np.asarray(values) for values in (times, auc, failed))
    shown = auc[times == shown_time][0]
    finding = "one group is empty" if np.isnan(shown) else f"AUC of −λ₁ for solved {shown:.3f}"
    title = f"Read out after T = {shown_time} updates:\n{finding}"
    lambda1_histogram(np.asarray(exponents)[:, None], solved, left, title)
    left.set_ylabel("share of the group's runs")
    _draw_times(right, times, auc, failed)
    return titled(right, toy_message(times, auc, failed))


def toy_message(times: ArrayLike, auc: ArrayLike, failed: ArrayLike) -> str:
    """Returns in a sentence what becomes of AUC and failures with the readout time."""
    times, auc, failed = (np.asarray(values) for values in (times, auc, failed))
    known = np.flatnonzero(~np.isnan(auc))
    if len(known) < 2:
        return "Fewer than two readout times have both outcomes: nothing to compare"
    first, last = known[[0, -1]]
    rises = "rises" if auc[last] > auc[first] else "does not rise"
    if failed[-1] < failed[0]:
        fewer = "while the failures " + ("become fewer" if failed[-1] else "vanish")
    else:
        fewer = "and failures do not become fewer"
    return (
        f"AUC {rises} with T, from {auc[first]:.3f} at {times[first]} to {auc[last]:.3f} at "
        f"{times[last]},\n{fewer}: {words.percent(failed[0])} of runs at {times[0]}, "
        f"{words.percent(failed[-1])} at {times[-1]}"
    )


def _draw_times(ax: "Axes", times: np.ndarray, auc: np.ndarray, failed: np.ndarray) -> None:
    ax.plot(times, auc, color="black", marker="o", label="AUC of −λ₁ for solved")
    ax.plot(
        times,
        failed,
        color=FAILED.color,
        linestyle=FAILED.line,
        marker=FAILED.marker,
        markerfacecolor="white",
        label="share of runs that fail",
    )
    for time in times[np.isnan(auc)]:
        ax.annotate(
            "no AUC:\none group\nis empty", (time, 1.0), ha="center", va="top", fontsize="small"
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(times, [str(time) for time in times])
    ax.set_ylim(-0.03, 1.06)
    ax.set_xlabel("readout time T (updates)")
    ax.set_ylabel("AUC, share of runs")
    legend_below(ax)
