"""Medians and fractions with the interval that their sample size allows."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import scipy  # which loads its parts when they are first used: no --help waits for them
from numpy.typing import ArrayLike

SMALL_GROUP = 10
"""In smaller groups the percentile bootstrap is known to be too narrow."""


class Interval(NamedTuple):
    """An estimate and the ends of its interval, each a number or an array of one shape.

    Attributes:
      value: the estimate on the data themselves.
      low: the lower end.
      high: the upper end.
    """

    value: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN, all three, where it is undefined."""

    value: float
    low: float
    high: float


def to_estimate(interval: Interval) -> Estimate:
    """An interval of plain numbers, for a report."""
    return Estimate(*map(float, interval))


def wilson_interval(num_successes: int, num_trials: int, level: float = 0.95) -> Interval:
    """A fraction with its Wilson score interval.

      (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n),  p = successes / n

    Unlike p ± z √(p(1 − p)/n) it stays inside 0..1 and keeps a width at p = 0 and p = 1.

    Args:
      num_successes: how many of the trials succeeded.
      num_trials: n.
      level: the coverage aimed at, between 0 and 1.

    Returns:
      Three numbers in 0..1; NaN, all three, for no trials.

    Raises:
      ValueError: for counts that do not fit each other, or a level outside 0..1.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209.
    """
    check_level(level)
    if not 0 <= num_successes <= num_trials:
        raise ValueError(f"num_successes must lie in 0..{num_trials}; got {num_successes}")
    if num_trials == 0:
        return Interval(np.nan, np.nan, np.nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    n, p = num_trials, num_successes / num_trials
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # The ends belong to p = 0 and p = 1 exactly; round-off must not push them out of 0..1.
    low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    return Interval(p, min(p, float(low)), max(p, float(high)))


def exact_interval(num_successes: int, num_trials: int, level: float = 0.95) -> Interval:
    """A fraction with its Clopper–Pearson interval, which covers at least `level` whatever is true.

      low: P(X ≥ k | p) = (1 − level)/2,   high: P(X ≤ k | p) = (1 − level)/2,   X ~ Binomial(n, p)

    Args:
      num_successes: k.
      num_trials: n.
      level: the coverage, between 0 and 1.

    Returns:
      Three numbers in 0..1; NaN, all three, for no trials.

    Raises:
      ValueError: for counts that do not fit each other, or a level outside 0..1.

    Source: Clopper and Pearson 1934, Biometrika 26, 404.
    """
    check_level(level)
    if not 0 <= num_successes <= num_trials:
        raise ValueError(f"num_successes must lie in 0..{num_trials}; got {num_successes}")
    if num_trials == 0:
        return Interval(np.nan, np.nan, np.nan)
    k, n, tail = num_successes, num_trials, (1 - level) / 2
    low = float(scipy.special.betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(scipy.special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(k / n, low, high)


def bootstrap_median(
    values: ArrayLike, seed: int, num_resamples: int = 2000, level: float = 0.95
) -> Interval:
    """The median with its percentile bootstrap interval.

    A resample's median depends on which *ranks* were drawn, so ranks are drawn once and read off
    the sorted values of every column: each column has its own valid interval, and the columns
    share their random numbers.

    Args:
      values: (n, ...) one row per puzzle; infinities are ordered like other numbers.
      seed: of the resampling.
      num_resamples: how many resamples of n rows.
      level: the coverage aimed at, between 0 and 1.

    Returns:
      Three arrays of shape (...), in the unit of `values`; NaN for n = 0, and zero width for
      n = 1, where resampling cannot know the spread.

    Raises:
      ValueError: for NaN among the values, a level outside 0..1 or no resamples.

    Source: Efron 1979, Ann. Stat. 7, 1.
    """
    check_level(level)
    check_num_resamples(num_resamples)
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
    low, high = percentile_interval(medians, level)
    return Interval(_midpoint(ascending[lower], ascending[upper]), low, high)


def percentile_interval(resampled: np.ndarray, level: float) -> tuple[Any, Any]:
    """The (1 − level)/2 and (1 + level)/2 quantiles over the first axis; NaN where it is empty.

    They are members of the sample, never interpolated, so that infinities may be among them.
    """
    if len(resampled) == 0:
        undefined = np.full(resampled.shape[1:], np.nan)[()]
        return undefined, undefined
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail), axis=0, method="inverted_cdf")
    return low, high


def check_level(level: float) -> None:
    """Refuse a coverage that is not between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95; got {level}")


def check_num_resamples(num_resamples: int) -> None:
    """Refuse an empty bootstrap."""
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1; got {num_resamples}")


def check_no_nan(name: str, values: np.ndarray) -> None:
    """Refuse NaN, which has no rank."""
    missing = np.isnan(values)
    if missing.any():
        num_rows = int(missing.reshape(len(values), -1).any(axis=1).sum())
        raise ValueError(
            f"{name} must hold no NaN, which has no rank; {num_rows} of {len(values)} rows have "
            "one: drop those rows and report how many there were"
        )


def _midpoint(a: Any, b: Any) -> Any:
    return a / 2 + b / 2
