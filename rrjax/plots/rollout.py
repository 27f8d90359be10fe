"""Long rollouts: accuracy against compute, and how long failures last."""

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.compute import accuracy_curve
from rrjax.analysis.intervals import Interval
from rrjax.analysis.survival import SurvivalCurve, escapes, exponential_rate, kaplan_meier
from rrjax.plots.canvas import FAILED, SOLVED, Look, new_axes

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

AT_SEGMENT = Look("at this segment", SOLVED.color, "", "-", "o")
SO_FAR = Look("at this or an earlier segment", FAILED.color, "////", "--", "s")


def accuracy_against_compute(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int
) -> "matplotlib.figure.Figure":
    """Share of puzzles solved after each segment, and after any segment so far.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: module evaluations in a segment, for the upper axis.
      readout_segment: marked; counted from 1.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
      ValueError: for other arrays.
    """
    curve = accuracy_curve(solved, updates_per_segment)
    ax = new_axes()
    for look, share in ((SO_FAR, curve.so_far), (AT_SEGMENT, curve.at_segment)):
        _band(ax, curve.segments, share, look)
    ax.axvline(readout_segment, color="black", linewidth=0.8, linestyle=":")
    ax.annotate(
        f"readout {readout_segment}",
        (readout_segment, 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        fontsize="small",
    )
    ax.set_xscale("log", base=2)
    _plain_ticks(ax, len(curve.segments))
    ax.set_xlabel("segments")
    ax.set_ylabel("share of puzzles solved")
    _evaluations_axis(ax, updates_per_segment)
    number = curve.num_puzzles
    ax.legend(frameon=False, loc="lower right", title=f"n = {number} puzzles, 95 % intervals")
    at, so_far, last = curve.at_segment.value, curve.so_far.value, len(curve.segments)
    return _titled(
        ax,
        f"Solved at segment {readout_segment}: {_percent(at[readout_segment - 1])}, "
        f"at {last}: {_percent(at[-1])},\nat some segment: {_percent(so_far[-1])}",
    )


def survival_of_failures(
    solved: ArrayLike, updates_per_segment: int, readout_segment: int
) -> "matplotlib.figure.Figure":
    """Kaplan–Meier curve of the failures at the readout, with the exponential of the fitted rate.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: module evaluations in a segment, for the upper axis.
      readout_segment: counted from 1.

    Returns:
      The figure; it says so where there is no failure, or no segment after the readout.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
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
        return _titled(ax, f"Nothing to follow: no {missing} at the readout")
    curve = kaplan_meier(*waits)
    rate = exponential_rate(*waits)
    _draw_survival(ax, curve, f"Kaplan–Meier (n = {number} failures), 95 % intervals")
    time = np.linspace(0, curve.end, 200)
    fit = np.exp(-rate.value * time)
    ax.plot(time, fit, color="black", linestyle="--", label="exponential of the fitted rate")
    ax.set_xlim(0, curve.end)
    _evaluations_axis(ax, updates_per_segment)
    ax.legend(frameon=False, loc="lower left")
    return _titled(ax, _escape_message(int(waits.observed.sum()), number, rate, curve.end))


def _band(ax: "matplotlib.axes.Axes", x: np.ndarray, share: Interval, look: Look) -> None:
    ax.plot(x, share.value, color=look.color, linestyle=look.line, label=f"solved {look.name}")
    ax.fill_between(
        x,
        share.low,
        share.high,
        facecolor=(look.color, 0.0 if look.hatch else 0.25),
        edgecolor=(look.color, 0.5),
        hatch=look.hatch,
        linewidth=0.0,
    )


def _draw_survival(ax: "matplotlib.axes.Axes", curve: SurvivalCurve, label: str) -> None:
    times = np.append(curve.times, curve.end)
    value, low, high = (np.append(end, end[-1]) for end in curve.survival)
    color = FAILED.color
    ax.step(times, value, where="post", color=color, label=label)
    ax.fill_between(times, low, high, step="post", facecolor=(color, 0.25), linewidth=0.0)


def _escape_message(num_escaped: int, number: int, rate: Interval, end: float) -> str:
    return (
        f"{num_escaped} of {number} failures escape within {end:g} segments\n"
        f"rate {rate.value:.2g} per segment (95 % interval {rate.low:.2g} to {rate.high:.2g})"
    )


def _evaluations_axis(ax: "matplotlib.axes.Axes", updates: int) -> None:
    upper = ax.secondary_xaxis(
        "top", functions=(lambda segments: segments * updates, lambda steps: steps / updates)
    )
    upper.set_xlabel("module evaluations")


def _plain_ticks(ax: "matplotlib.axes.Axes", last: int) -> None:
    ticks = 2 ** np.arange(int(np.log2(last)) + 1)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xlim(1, max(2, last))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _titled(ax: "matplotlib.axes.Axes", title: str) -> "matplotlib.figure.Figure":
    ax.set_title(title, loc="left", fontsize="medium")
    return cast("matplotlib.figure.Figure", ax.figure)
