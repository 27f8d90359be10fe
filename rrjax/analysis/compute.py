"""Accuracy against compute: at a segment, at some segment so far, and with early halting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import Interval, wilson_interval


@dataclass(frozen=True)
class AccuracyCurve:
    """Fractions of puzzles with their Wilson intervals, one after each segment.

    A trajectory can find the answer and lose it again: what is solved at some segment can be used
    only if the right moment is known, what is solved at the segment is what a readout there gives.

    Attributes:
      num_puzzles: N.
      segments: (segments,) 1, 2, …
      evaluations: (segments,) module evaluations until then.
      at_segment: arrays (segments,), solved when read out after this segment.
      so_far: arrays (segments,), solved after this segment or an earlier one.
    """

    num_puzzles: int
    segments: np.ndarray
    evaluations: np.ndarray
    at_segment: Interval
    so_far: Interval


def accuracy_curve(solved: ArrayLike, updates_per_segment: int) -> AccuracyCurve:
    """Returns the accuracy after every segment.

    Args:
      solved: (N, segments) booleans.
      updates_per_segment: module evaluations in a segment.

    Raises:
      ValueError: for arrays of another kind or no updates.
    """
    solved = check_solved(solved)
    if updates_per_segment < 1:
        raise ValueError(f"updates_per_segment must be at least 1; got {updates_per_segment}")
    segments = np.arange(1, solved.shape[1] + 1)
    return AccuracyCurve(
        num_puzzles=len(solved),
        segments=segments,
        evaluations=segments * updates_per_segment,
        at_segment=_fractions(solved),
        so_far=_fractions(np.logical_or.accumulate(solved, axis=1)),
    )


@dataclass(frozen=True)
class Halting:
    """What a rule for early halting costs and saves, against running all segments.

    Attributes:
      num_halted: puzzles that the rule stopped before the last segment.
      accuracy: of the answers where each puzzle halted.
      full_accuracy: of the answers after the last segment.
      mean_segments: segments that a puzzle ran.
      saved: the share of all segments, and so of module evaluations, that was not run.
    """

    num_halted: int
    accuracy: Interval
    full_accuracy: Interval
    mean_segments: float
    saved: float


def early_halting(solved: ArrayLike, halts: ArrayLike) -> Halting:
    """Returns what a rule for early halting costs and saves.

    Nothing is run again: a trajectory does not depend on when it is read out.

    Args:
      solved: (N, segments) booleans.
      halts: (N, segments) booleans, where the rule holds, such as q_halt > 0.

    Raises:
      ValueError: for arrays of another kind or of different shapes.
    """
    solved = check_solved(solved)
    halts = as_array("halts", halts, solved.shape, bool)
    last = solved.shape[1] - 1
    at = np.where(halts.any(axis=1), halts.argmax(axis=1), last)
    right = np.take_along_axis(solved, at[:, None], axis=1)
    mean = float(np.mean(at + 1))
    return Halting(
        num_halted=int(np.sum(at < last)),
        accuracy=wilson_interval(int(right.sum()), len(solved)),
        full_accuracy=wilson_interval(int(solved[:, last].sum()), len(solved)),
        mean_segments=mean,
        saved=1 - mean / (last + 1),
    )


def check_solved(solved: ArrayLike) -> np.ndarray:
    """Returns booleans (N, segments) of at least one puzzle and segment."""
    return as_array("solved", solved, ("N", "segments"), bool, least=1)


def _fractions(solved: np.ndarray) -> Interval:
    """Returns the Wilson intervals of the columns; equal counts are computed once."""
    counts, place = np.unique(solved.sum(axis=0), return_inverse=True)
    rows = np.array([wilson_interval(int(count), len(solved)).ends for count in counts])
    return Interval(*rows[place].T)
