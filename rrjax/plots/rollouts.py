"""Long rollouts: accuracy against compute, and how long failures last."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.analysis.compute import accuracy_curve
from rrjax.analysis.intervals import Interval
from rrjax.analysis.survival import SurvivalCurve, escapes, exponential_rate, kaplan_meier
from rrjax.plots.canvas import FAILED, SOLVED, Look, new_axes, titled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

AT_SEGMENT = Look("at this segment", SOLVED.color, "", "-", "o")
SO_FAR = Look("at this or an earlier segment", FAILED.color, "////", "--", "s")


def accuracy_against_compute(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int
) -> "matplotlib.figure.Figure":
    """Draws the share of puzzles solved after each segment, and after any segment so far.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: module evaluations in a segment, for the upper axis.
      readout_segment: marked; counted from 1.

    Raises:
      ValueError: for other arrays.
    """
    curve = accuracy_curve(solved, updates_per_segment)
    ax = new_axes()
    _shaded(ax, curve.segments, curve.at_segment, AT_SEGMENT)
    _outlined(ax, curve.segments, curve.so_far, SO_FAR)
    label = f"readout at segment {readout_segment}"
    ax.axvline(readout_segment, color="black", linewidth=1, linestyle=":", label=label)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xscale("log", base=2)
    _plain_ticks(ax, len(curve.segments))
    ax.set_xlabel("segments")
    ax.set_ylabel("share of puzzles solved")
    _evaluations_axis(ax, updates_per_segment)
    number = curve.num_puzzles
    title = f"n = {number} puzzles, 95 % intervals"
    ax.legend(framealpha=1, edgecolor="white", loc="lower right", title=title)
    at, so_far, last = curve.at_segment.value, curve.so_far.value, len(curve.segments)
    return titled(
        ax,
        f"Solved at segment {readout_segment}: {words.percent(at[readout_segment - 1])}, "
        f"at {last}: {words.percent(at[-1])},\nat some segment: {words.percent(so_far[-1])}",
    )


def survival_of_failures(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int
) -> "matplotlib.figure.Figure":
    """Draws the Kaplan–Meier curve of the failures at the readout, with the fitted rate.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: module evaluations in a segment, for the upper axis.
      readout_segment: counted from 1.

    Returns:
      The figure; it says so where there is no failure, or no segment after the readout.

    Raises:
      ValueError: for other arrays.
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
    curve = kaplan_meier(*waits)
    rate = exponential_rate(*waits)
    _draw_survival(ax, curve, f"Kaplan–Meier (n = {number} failures), 95 % intervals")
    time = np.linspace(0, curve.end, 200)
    fit = np.exp(-rate.value * time)
    ax.plot(time, fit, color="black", linestyle="--", label="exponential of the fitted rate")
    ax.set_xlim(0, curve.end)
    _evaluations_axis(ax, updates_per_segment)
    is_high = curve.survival.value[-1] > 0.5
    ax.legend(frameon=False, loc="lower left" if is_high else "upper right")
    per_update = rate.map(lambda end: end / updates_per_segment)
    return titled(
        ax,
        f"{waits.observed.sum()} of {number} failures escape within {curve.end:g} segments\n"
        f"rate per segment {words.interval_in_words(rate, '.2g')},\n"
        f"per module evaluation {words.interval(per_update, '.2g')}",
    )


def _shaded(ax: "matplotlib.axes.Axes", x: np.ndarray, share: Interval, look: Look) -> None:
    ax.plot(x, share.value, color=look.color, linestyle=look.line, label=f"solved {look.name}")
    ax.fill_between(x, share.low, share.high, facecolor=(look.color, 0.25), linewidth=0.0)


def _outlined(ax: "matplotlib.axes.Axes", x: np.ndarray, share: Interval, look: Look) -> None:
    # a second shade would hide the first
    ax.plot(x, share.value, color=look.color, linestyle=look.line, label=f"solved {look.name}")
    for end in (share.low, share.high):
        ax.plot(x, end, color=look.color, linestyle=look.line, linewidth=0.7)


def _draw_survival(ax: "matplotlib.axes.Axes", curve: SurvivalCurve, label: str) -> None:
    times = np.append(curve.times, curve.end)
    value, low, high = (np.append(end, end[-1]) for end in curve.survival.ends)
    color = FAILED.color
    ax.step(times, value, where="post", color=color, label=label)
    ax.fill_between(times, low, high, step="post", facecolor=(color, 0.25), linewidth=0.0)


def _evaluations_axis(ax: "matplotlib.axes.Axes", updates: int) -> None:
    upper = ax.secondary_xaxis(
        "top", functions=(partial(np.multiply, updates), partial(np.multiply, 1 / updates))
    )
    upper.set_xlabel("module evaluations")


def _plain_ticks(ax: "matplotlib.axes.Axes", last: int) -> None:
    ticks = 2 ** np.arange(int(np.log2(last)) + 1)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xlim(1, max(2, last))
