"""What the beginning of a run knows of its end: windows from the first segment to each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, updates_per_segment
from rrjax.analysis.controls import enough_or_nan
from rrjax.analysis.intervals import Interval, median_interval


@dataclass(frozen=True)
class EarlyWindow:
    """How well the segments up to one tell which of the runs unsolved there will be solved.

    Attributes:
      segment: The last of the window, counted from 1.
      num_solved: Runs not solved at `segment` that are solved at the end.
      num_failed: Runs solved at neither.
      lambda1: AUC of −λ₁ of the window for "solved at the end", among the runs not solved at
        `segment`; NaN where a group is too small (`controls.MIN_GROUP`).
      drift: AUC of −(mean drift of the window), in the same way.
    """

    segment: int
    num_solved: int
    num_failed: int
    lambda1: Interval
    drift: Interval


def early_windows(
    growth: ArrayLike, drift: ArrayLike, solved_by_segment: ArrayLike
) -> list[EarlyWindow]:
    """Returns for each s < S how well segments 1..s tell which runs unsolved at s get solved.

    A score from the end of a run can only say that it has found the answer. Here the runs that
    have it at s are left out, and what counts is whether they have it after the last segment S.

    Args:
      growth: (N, rows) ln R₁₁ of each update, in nats, or its mean over equally many updates; whole
        segments.
      drift: (N, S) ‖Δz‖ over each segment.
      solved_by_segment: (N, S) booleans, whether the answer read out there is right.

    Returns:
      S − 1 of them, in order. They share runs: of many intervals one in twenty misses ½ by chance.
    """
    solved = as_array("solved_by_segment", solved_by_segment, ("N", "segments"), bool, least=1)
    lambda1, num_segments = running_mean(growth), solved.shape[1]
    per_segment = updates_per_segment("growth", lambda1.shape[1], num_segments)
    at_ends = lambda1[:, per_segment - 1 :: per_segment]
    mean_drift = running_mean(as_array("drift", drift, solved.shape))
    windows = []
    for column in range(num_segments - 1):
        unsolved = ~solved[:, column]
        later = solved[unsolved, -1]
        aucs = [enough_or_nan(-s[unsolved, column], later) for s in (at_ends, mean_drift)]
        windows.append(EarlyWindow(column + 1, int(later.sum()), int(np.sum(~later)), *aucs))
    return windows


@dataclass(frozen=True)
class HorizonCurve:
    """λ₁ of the first t updates, by the final outcome.

    Attributes:
      updates: (T,) t = 1, 2, …, or the updates up to each QR.
      solved: Arrays (T,), median of the solved runs with its interval, in nats per update.
      failed: Median of the failed runs.
      num_solved: Number of solved runs.
      num_failed: Number of failed runs.
    """

    updates: np.ndarray
    solved: Interval
    failed: Interval
    num_solved: int
    num_failed: int


def horizon_curve(growth: ArrayLike, solved: ArrayLike, updates_per_row: int = 1) -> HorizonCurve:
    """Returns the median λ₁ of every horizon by the final outcome, from one pass.

      λ₁(t) = (1/t) Σ_{u ≤ t} ln R₁₁(u)

    of the growth ln R₁₁ (N, T), in nats, by the final outcome (N,). Where a row is the mean over
    some updates, only their ends t are known. The bands are for each t alone, and NaN for an empty
    group.
    """
    running = running_mean(growth)
    solved = as_array("solved", solved, running.shape[:1], bool)
    return HorizonCurve(
        updates=updates_per_row * np.arange(1, running.shape[1] + 1),
        solved=median_interval(running[solved]),
        failed=median_interval(running[~solved]),
        num_solved=int(solved.sum()),
        num_failed=int(np.sum(~solved)),
    )


def running_mean(values: ArrayLike) -> np.ndarray:
    """Returns (N, T) the mean over the first t columns, for each t."""
    values = as_array("values", values, ("N", "T"))
    return np.cumsum(values, axis=1) / np.arange(1, values.shape[1] + 1)
