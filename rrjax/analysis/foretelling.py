"""Whether a number of a run tells its outcome before its answer does."""

from dataclasses import dataclass

import numpy as np

from rrjax.analysis.intervals import Interval
from rrjax.analysis.separation import auc_interval


@dataclass(frozen=True)
class Foretelling:
    """How well a number tells which of the runs that are not yet right will be solved.

    Attributes:
      what: The number.
      segment: The segment after which it is read, from 1.
      auc: The probability that a run that will be solved has the larger number.
      num_later: Number of runs that are solved at the end and were never right so far.
      num_failed: Number of runs that fail at the end and were never right so far.
    """

    what: str
    segment: int
    auc: Interval
    num_later: int
    num_failed: int


def foretell(
    what: str, scores: np.ndarray, solved_by_segment: np.ndarray, segment: int
) -> Foretelling:
    """Returns how well a number after a segment tells the outcome of runs that are not yet right.

    Runs whose answer was right after this or an earlier segment are left out: of them the answer
    tells it.

    Args:
      what: The name of the number.
      scores: (N,) the number after the segment; NaN is left out.
      solved_by_segment: (N, segments)
      segment: From 1.
    """
    open_ = ~solved_by_segment[:, :segment].any(axis=1) & ~np.isnan(scores)
    later = solved_by_segment[open_, -1]
    interval = auc_interval(np.asarray(scores, np.float64)[open_], later).map(float)
    return Foretelling(what, segment, interval, int(later.sum()), int((~later).sum()))


def some_segments(num_segments: int, first: int = 1) -> list[int]:
    """Returns the powers of 2 from `first` up to the number of segments, and the last segment."""
    powers = [2**i for i in range(num_segments.bit_length()) if first <= 2**i <= num_segments]
    return sorted({*powers, num_segments})
