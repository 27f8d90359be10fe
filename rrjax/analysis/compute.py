"""Accuracy against compute: at a segment, at some segment so far, and with early halting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import Interval, fraction_interval


@dataclass(frozen=True)
class AccuracyCurve:
    """Fractions of puzzles with their intervals, arrays (segments,).

    A trajectory can find the answer and lose it again. What is solved at some segment can be used
    only if the right moment is known; a readout at a segment gives what is solved there.

    Attributes:
      at_segment: Solved when read out after this segment.
      so_far: Solved after this segment or an earlier one.
    """

    at_segment: Interval
    so_far: Interval


def accuracy_curve(solved: ArrayLike) -> AccuracyCurve:
    """Returns the accuracy after every segment, from booleans (N, segments)."""
    solved = check_solved(solved)
    return AccuracyCurve(_fractions(solved), _fractions(np.logical_or.accumulate(solved, axis=1)))


@dataclass(frozen=True)
class Halting:
    """What a rule for early halting costs and saves, against running all segments.

    Attributes:
      name: Name of the rule.
      num_halted: Puzzles that the rule stopped before the last segment.
      accuracy: Accuracy of the answers where each puzzle halted.
      mean_segments: Segments that a puzzle ran.
      saved: Share of all segments, and so of module evaluations, that was not run.
    """

    name: str
    num_halted: int
    accuracy: Interval
    mean_segments: float
    saved: float


def early_halting(name: str, solved: ArrayLike, halts: ArrayLike) -> Halting:
    """Returns what the rule of that name costs and saves where it halts the runs early.

    Both arrays are booleans (N, segments); a run halts where `halts`, such as q_halt > 0, first
    holds. Nothing is run again: a trajectory does not depend on when it is read out.
    """
    solved = check_solved(solved)
    halts = as_array("halts", halts, solved.shape, bool)
    last = solved.shape[1] - 1
    at = np.where(halts.any(axis=1), halts.argmax(axis=1), last)
    right = np.take_along_axis(solved, at[:, None], axis=1)
    mean = float(np.mean(at + 1))
    return Halting(
        name=name,
        num_halted=int(np.sum(at < last)),
        accuracy=fraction_interval(int(right.sum()), len(solved)),
        mean_segments=mean,
        saved=1 - mean / (last + 1),
    )


def check_solved(solved: ArrayLike) -> np.ndarray:
    """Returns booleans (N, segments) of at least one puzzle and segment."""
    return as_array("solved", solved, ("N", "segments"), bool, least=1)


def _fractions(solved: np.ndarray) -> Interval:
    """Returns the fraction of each column with its interval."""
    return fraction_interval(solved.sum(axis=0), len(solved))
