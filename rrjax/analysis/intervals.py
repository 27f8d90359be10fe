"""Estimates with their 95 % intervals: fractions, means and medians."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import scipy  # which loads its parts when they are first used: no --help waits for them
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import check_no_nan

SMALL_GROUP = 10
"""In smaller groups the percentile bootstrap is known to be too narrow."""

TAIL = (1 - 0.95) / 2
"""The probability on either side of a 95 % interval. Rounded to 0.025 it would pick other ranks."""

Z = NormalDist().inv_cdf(1 - TAIL)


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval, each a number or an array of one shape.

    Attributes:
      value: The estimate on the data themselves; NaN, with both ends, where it is undefined.
      low: The lower end.
      high: The upper end.
    """

    value: Any
    low: Any
    high: Any

    @property
    def ends(self) -> tuple[Any, Any, Any]:
        """The estimate, the lower end and the upper end, for unpacking."""
        return self.value, self.low, self.high

    def map(self, function: Callable[[Any], Any]) -> "Interval":
        """Returns the interval after an increasing function of its numbers."""
        return Interval(*map(function, self.ends))

    def at(self, index: int) -> "Interval":
        """Returns one entry of intervals over an array, as plain numbers."""
        return self.map(lambda end: float(end[index]))

    def each(self) -> "list[Interval]":
        """Returns all entries of intervals over an (n,) array, as plain numbers."""
        return [self.at(index) for index in range(len(self.value))]


UNDEFINED = Interval(np.nan, np.nan, np.nan)


def wilson_interval(num_successes: int, num_trials: int) -> Interval:
    """Returns a fraction with its Wilson score interval.

      (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n),  p = successes / n

    Unlike p ± z √(p(1 − p)/n) it stays inside 0..1 and keeps a width at p = 0 and p = 1.

    Args:
      num_successes: How many of the trials succeeded.
      num_trials: Number of trials, n.

    Returns:
      Three numbers in 0..1; NaN, all three, for no trials.

    Raises:
      ValueError: The counts do not fit each other.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209.
    """
    _check_counts(num_successes, num_trials)
    if num_trials == 0:
        return UNDEFINED
    n, p = num_trials, num_successes / num_trials
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    # The ends belong to p = 0 and p = 1 exactly; round-off must not push them out of 0..1.
    low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    return Interval(p, min(p, float(low)), max(p, float(high)))


def exact_interval(num_successes: int, num_trials: int) -> Interval:
    """Returns a fraction with its Clopper–Pearson interval, which covers at least 95 % always.

      low: P(X ≥ k | p) = 0.025,   high: P(X ≤ k | p) = 0.025,   X ~ Binomial(n, p)

    Args:
      num_successes: Number of successes, k.
      num_trials: Number of trials, n.

    Returns:
      Three numbers in 0..1; NaN, all three, for no trials.

    Source: Clopper and Pearson 1934, Biometrika 26, 404.
    """
    _check_counts(num_successes, num_trials)
    if num_trials == 0:
        return UNDEFINED
    k, n = num_successes, num_trials
    low = float(scipy.special.betaincinv(k, n - k + 1, TAIL)) if k else 0.0
    high = float(scipy.special.betaincinv(k + 1, n - k, 1 - TAIL)) if k < n else 1.0
    return Interval(k / n, low, high)


def student_interval(values: Sequence[float]) -> Interval:
    """Returns the mean of some values with Student's interval.

      mean ± t(n − 1; 0.975) s/√n

    Args:
      values: One number per run.

    Returns:
      Three numbers in the unit of `values`. The ends are NaN for a single value, and equal for
      values that are all the same. All are NaN for no value.

    Source: Student 1908, Biometrika 6, 1.
    """
    if len(values) < 2:
        return Interval(float(sum(values)) if len(values) else np.nan, np.nan, np.nan)
    n, mean = len(values), np.mean(values)
    reach = scipy.special.stdtrit(n - 1, 1 - TAIL) * np.std(values, ddof=1) / np.sqrt(n)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def bootstrap_median(values: ArrayLike, seed: int, num_resamples: int = 2000) -> Interval:
    """Returns the median with its percentile bootstrap interval.

    The median of a resample depends only on which *ranks* were drawn. Ranks are therefore drawn
    once and read off the sorted values of every column: each column has its own valid interval,
    and the columns share their random numbers.

    Args:
      values: (n, ...) one row per puzzle; infinities are ordered like other numbers.
      seed: Seed of the resampling.
      num_resamples: How many resamples of n rows are drawn.

    Returns:
      Three arrays of shape (...), in the unit of `values`; NaN for n = 0, and zero width for
      n = 1, where resampling cannot know the spread.

    Raises:
      ValueError: There is NaN among the values.

    Source: Efron 1979, Ann. Stat. 7, 1.
    """
    values = np.asarray(values, dtype=np.float64)
    check_no_nan("values", values)
    n = len(values)
    if n == 0:
        undefined = np.full(values.shape[1:], np.nan)[()]
        return Interval(undefined, undefined, undefined)
    ascending = np.sort(values, axis=0)
    lower, upper = (n - 1) // 2, n // 2
    ranks = np.random.default_rng(seed).integers(n, size=(num_resamples, n))
    ranks.partition((lower, upper), axis=1)
    medians = _midpoint(ascending[ranks[:, lower]], ascending[ranks[:, upper]])
    return Interval(_midpoint(ascending[lower], ascending[upper]), *percentile_interval(medians))


def percentile_interval(resampled: np.ndarray) -> tuple[Any, Any]:
    """Returns the 2.5 % and 97.5 % quantiles over the first axis; NaN where it is empty.

    They are members of the sample, never interpolated, so that infinities may be among them.
    """
    if len(resampled) == 0:
        undefined = np.full(resampled.shape[1:], np.nan)[()]
        return undefined, undefined
    low, high = np.quantile(resampled, (TAIL, 1 - TAIL), axis=0, method="inverted_cdf")
    return low, high


def _check_counts(num_successes: int, num_trials: int) -> None:
    if not 0 <= num_successes <= num_trials:
        raise ValueError(f"num_successes must lie in 0..{num_trials}; got {num_successes}")


def _midpoint(a: Any, b: Any) -> Any:
    return a / 2 + b / 2
