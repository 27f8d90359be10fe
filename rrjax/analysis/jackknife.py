"""Intervals over puzzles of statistics that are no means: the jackknife."""

from typing import Any

import numpy as np
import scipy

from rrjax.analysis.intervals import TAIL, Interval


def jackknife_interval(value: Any, left_out: np.ndarray) -> Interval:
    """Returns a statistic with its jackknife interval, Student's with m − 1 degrees of freedom.

      v = (m − 1)/m Σ_i (θ_i − θ̄)²,    θ ± t(m − 1; 0.975) √v

    Args:
      value: (...) the statistic of all puzzles.
      left_out: (m, ...) the statistic without each of m puzzles, or of m equal groups of puzzles.

    Returns:
      Three arrays of shape (...); the ends are NaN for m < 2.

    Source: Tukey 1958; Efron and Stein 1981, Ann. Stat. 9, 586.

    Example:
      >>> x = np.arange(10.0)
      >>> left_out = (x.sum() - x) / 9
      >>> ends = rrjax.analysis.jackknife_interval(4.5, left_out).ends
      >>> print(*(round(float(end), 2) for end in ends))
      4.5 2.33 6.67
    """
    m = len(left_out)
    value = np.asarray(value, np.float64)[()]
    if m < 2:
        return Interval(value, np.full_like(value, np.nan)[()], np.full_like(value, np.nan)[()])
    reach = scipy.special.stdtrit(m - 1, 1 - TAIL) * np.sqrt(m - 1) * np.std(left_out, axis=0)
    return Interval(value, value - reach, value + reach)


def groups(number: int, most: int = 10) -> np.ndarray:
    """Returns (number,) the group of each puzzle: as many alike groups as there are, at most 10."""
    return np.arange(number) % min(number, most)
