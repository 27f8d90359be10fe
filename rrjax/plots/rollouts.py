"""Long rollouts: accuracy against compute, and how long failures last."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.analysis.compute import accuracy_curve
from rrjax.analysis.intervals import rate_interval
from rrjax.analysis.survival import escapes, kaplan_meier, while_moving
from rrjax.plots.canvas import FAILED, SOLVED, Look, legend_below, new_axes, titled, upper_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AT_SEGMENT = Look("at this segment", SOLVED.color, "", "-", "o")
SO_FAR = Look("at this or an earlier segment", FAILED.color, "////", "--", "s")


def accuracy_against_compute(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int
) -> "Figure":
    """Draws the share of puzzles solved after each segment, and after any segment so far.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: Module evaluations in a segment, for the upper axis.
      readout_segment: Marked; counted from 1.

    Raises:
      ValueError: The array has another shape or kind.

    Example:
      >>> solved = np.arange(16) >= np.arange(10)[:, None] * 2
      >>> figure = rrjax.plots.accuracy_against_compute(
      ...     solved, updates_per_segment=8, readout_segment=8
      ... )
      >>> figure.axes[0].get_xlabel()
      'segments'
    """
    curve = accuracy_curve(solved)
    at, so_far, last = curve.at_segment, curve.so_far, len(curve.so_far.value)
    segments, ax = np.arange(1, last + 1), new_axes()
    for look, share in ((AT_SEGMENT, at), (SO_FAR, so_far)):
        label = f"solved {look.name}"
        ax.plot(segments, share.value, color=look.color, linestyle=look.line, label=label)
    ax.fill_between(segments, at.low, at.high, facecolor=(AT_SEGMENT.color, 0.25), linewidth=0.0)
    for end in (so_far.low, so_far.high):  # a second shade would hide the first
        ax.plot(segments, end, color=SO_FAR.color, linestyle=SO_FAR.line, linewidth=0.7)
    label = f"readout at segment {readout_segment}"
    ax.axvline(readout_segment, color="black", linewidth=1, linestyle=":", label=label)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xscale("log", base=2)
    ticks = 2 ** np.arange(int(np.log2(last)) + 1)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xlim(1, max(2, last))
    ax.set_xlabel("segments")
    ax.set_ylabel("share of puzzles solved")
    upper = upper_axis(ax, updates_per_segment, "module evaluations")
    upper.minorticks_off()
    evaluations = updates_per_segment * ticks
    upper.set_xticks(evaluations, [str(tick) for tick in evaluations])
    legend_below(ax, f"n = {words.count(len(np.asarray(solved)), 'puzzle')}, 95 % intervals")
    at_readout, at_end = at.value[readout_segment - 1], at.value[-1]
    return titled(
        ax,
        f"Solved at segment {readout_segment}: {words.percent(at_readout)}, at {last}: "
        f"{words.percent(at_end)},\nat some segment: {words.percent(so_far.value[-1])}",
    )


def survival_of_failures(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int, rest: ArrayLike
) -> "Figure":
    """Draws the Kaplan–Meier curve of the failures at the readout, and who comes to rest.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: Module evaluations in a segment, for the upper axis.
      readout_segment: Counted from 1.
      rest: (N,) segments after which each run is at rest (`rest_segments`).

    Returns:
      The figure; it says so where there is no failure, or no segment after the readout.

    Raises:
      ValueError: The array has another shape or kind.

    Example:
      >>> solved = np.arange(16) >= np.arange(10)[:, None] * 2
      >>> figure = rrjax.plots.survival_of_failures(
      ...     solved, 8, readout_segment=8, rest=np.full(10, 16)
      ... )
      >>> figure.axes[0].get_xlabel()
      'segments after the readout at 8'
    """
    waits = escapes(solved, readout_segment)
    ax = new_axes()
    ax.set_xlabel(f"segments after the readout at {readout_segment}")
    ax.set_ylabel("share of the failures not yet solved")
    ax.set_ylim(-0.02, 1.05)
    number = len(waits.durations)
    if waits.durations.sum() == 0:
        missing = "segment after it" if number else "failure"
        return titled(ax, f"Nothing to follow: no {missing} at the readout")
    failed, rest = ~np.asarray(solved)[:, readout_segment - 1], np.asarray(rest)
    moving = while_moving(waits, failed, rest, readout_segment)
    curve = kaplan_meier(*waits)
    rate = rate_interval(int(waits.observed.sum()), float(moving.durations.sum()))
    times = np.append(curve.times, curve.end)
    value, low, high = (np.append(end, end[-1]) for end in curve.survival.ends)
    label = f"Kaplan–Meier (n = {words.count(number, 'failure')}), 95 % intervals"
    ax.step(times, value, where="post", color=FAILED.color, label=label)
    ax.fill_between(times, low, high, step="post", facecolor=(FAILED.color, 0.25), linewidth=0.0)
    still = np.arange(int(curve.end) + 1)
    stuck = rest[failed][~waits.observed] - readout_segment
    stuck = stuck[stuck < curve.end]  # the others move to the end
    share = (stuck[:, None] <= still).sum(axis=0) / number
    ax.step(still, share, where="post", color="black", linestyle="--", label="at rest, and wrong")
    ax.set_xlim(0, curve.end)
    upper_axis(ax, updates_per_segment, "module evaluations")
    legend_below(ax)
    per_update = rate.map(lambda end: end / updates_per_segment)
    return titled(
        ax,
        f"{waits.observed.sum()} of {words.count(number, 'failure')} escape within "
        f"{words.count(int(curve.end), 'segment')}\n"
        f"rate per moving segment {words.interval_in_words(rate, '.2g')},\n"
        f"per update {words.interval(per_update, '.2g')}",
    )
