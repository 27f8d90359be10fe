"""Estimates with their 95 % intervals: fractions, means and medians."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import scipy  # which loads its parts when they are first used: no --help waits for them
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import check_no_nan

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

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Interval":
        """Returns the interval of an array of three: the estimate, and the two ends."""
        return cls(*map(float, numbers))

    @property
    def ends(self) -> tuple[Any, Any, Any]:
        """The estimate, the lower end and the upper end, for unpacking."""
        return self.value, self.low, self.high

    @property
    def percent(self) -> "Interval":
        """The same of a fraction, in %."""
        return self.map(lambda end: 100 * end)

    def excludes(self, value: int | float) -> bool:
        """Returns whether the interval lies on one side of a value; False where it has no ends."""
        return bool(self.low > value or self.high < value)

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


def fraction_interval(num_successes: int | np.ndarray, num_trials: int) -> Interval:
    """Returns fractions with their Clopper–Pearson intervals, which cover at least 95 % always.

      low: P(X ≥ k | p) = 0.025,   high: P(X ≤ k | p) = 0.025,   X ~ Binomial(n, p)

    Wilson's and other approximate intervals cover as little as 83 % where events are few.

    Args:
      num_successes: Number of successes k, an integer or an array of them.
      num_trials: Number of trials, n.

    Returns:
      Three numbers in 0..1 or arrays of them; NaN, all three, for no trials.

    Raises:
      ValueError: The counts do not fit each other.

    Source: Clopper and Pearson 1934, Biometrika 26, 404.

    Example:
      >>> print(*(round(float(end), 3) for end in rrjax.analysis.fraction_interval(0, 72).ends))
      0.0 0.0 0.05
    """
    k, n = np.asarray(num_successes), np.asarray(num_trials)
    if np.any(k < 0) or np.any(k > n):
        raise ValueError(f"num_successes must lie in 0..{num_trials}; got {num_successes}")
    return _beta_ends(k, n)


def mean_interval(values: ArrayLike, least: int | float = 0, most: int | float = 1) -> Interval:
    """Returns the mean of bounded numbers, one of each puzzle, with an interval over puzzles.

      p = (mean − least) / (most − least),  v = (i s²/n + p(1 − p)/n) / (i + 1),
      m = p(1 − p)/v · (1.96 / t(n − 1; 0.975))²

    The ends are those of Clopper and Pearson for p m successes in m trials. The variance v of the
    mean lies between that of the sample, s²/n, and p(1 − p)/n, which is the largest that numbers
    within these bounds can have. The sample counts for i puzzles, the smaller number of those above
    `least` and those below `most`, and the largest variance for one. Student's interval does not
    know the bounds: where few puzzles of a small group are not at one, it covers as little as 11 %.

    Args:
      values: (n,) one number of each puzzle, such as the fraction of its runs that are right. NaN
        is left out.
      least: Lower bound of the numbers.
      most: Upper bound of the numbers.

    Returns:
      Three numbers in the unit of `values`; all are NaN without a value.

    Source: Korn and Graubard 1998, Surv. Methodol. 24, 193, for m without the bound.

    Example:
      >>> print(
      ...     *(
      ...         round(float(end), 3)
      ...         for end in rrjax.analysis.mean_interval([0, 0.5, 1, 1, 0.25]).ends
      ...     )
      ... )
      0.55 0.05 0.975
    """
    values = np.asarray(values, dtype=np.float64)
    shares = (values[~np.isnan(values)] - least) / (most - least)
    n = len(shares)
    if n == 0:
        return UNDEFINED
    p = float(shares.mean())
    variance = 0.0
    if n > 1 and 0 < p < 1:
        informative = min(np.sum(shares > 0), np.sum(shares < 1))
        largest = p * (1 - p) / n
        variance = (informative * shares.var(ddof=1) / n + largest) / (informative + 1)
    scale = most - least
    return clustered_fraction(p, variance, n).map(lambda end: float(least + scale * end))


def clustered_fraction(fraction: float, variance: float, num_clusters: int) -> Interval:
    """Returns a fraction, whose variance over clusters is known, with its interval.

      m = p(1 − p)/v · (1.96 / t(n − 1; 0.975))²

    The ends are those of Clopper and Pearson for p m successes in m trials; m = n where the
    variance is 0, as for a fraction of 0 or 1.

    Args:
      fraction: p.
      variance: v, of the fraction.
      num_clusters: n, such as puzzles with many cells each.

    Source: Korn and Graubard 1998, Surv. Methodol. 24, 193.

    Example:
      >>> print(
      ...     *(
      ...         round(float(end), 3)
      ...         for end in rrjax.analysis.clustered_fraction(0.9, 1e-4, 50).ends
      ...     )
      ... )
      0.9 0.878 0.919
    """
    trials = float(num_clusters)
    if num_clusters > 1 and variance > 0:
        factor = (Z / scipy.special.stdtrit(num_clusters - 1, 1 - TAIL)) ** 2
        trials = float(fraction * (1 - fraction) / variance * factor)
    return _beta_ends(fraction * trials, trials)


def rate_interval(num_events: int, exposure: int | float) -> Interval:
    """Returns a rate with Garwood's interval, which covers at least 95 % of Poisson counts.

      d/E,   χ²(2d; 0.025)/2E to χ²(2d + 2; 0.975)/2E

    Args:
      num_events: Number of events, d.
      exposure: Time that was waited, E.

    Returns:
      Three numbers per unit of `exposure`; all are NaN where nothing was waited for.

    Source: Garwood 1936, Biometrika 28, 437.

    Example:
      >>> print(*(round(float(end), 3) for end in rrjax.analysis.rate_interval(0, 100).ends))
      0.0 0.0 0.037
    """
    if exposure <= 0:
        return UNDEFINED
    low = float(scipy.special.gammaincinv(num_events, TAIL)) if num_events else 0.0
    high = float(scipy.special.gammaincinv(num_events + 1, 1 - TAIL))
    return Interval(num_events / exposure, low / exposure, high / exposure)


def rate_ratio_interval(
    num_events: int, exposure: int | float, other_events: int, other_exposure: int | float
) -> Interval:
    """Returns the ratio of two rates with the interval of the exact conditional test.

      (d₁/E₁) / (d₂/E₂);   given d₁ + d₂ the first count is binomial, of p = r E₁/(r E₁ + E₂)

    with r the true ratio. The ends are those of Clopper and Pearson for p, solved for r: a ratio
    outside of them is refuted at the level of 5 %. Whether the intervals of two rates overlap is no
    test.

    Args:
      num_events: Events at the first rate, d₁.
      exposure: Time that was waited for them, E₁.
      other_events: Events at the second rate, d₂.
      other_exposure: Time that was waited for them, E₂.

    Returns:
      Three numbers from 0 to infinity. The ratio is infinite for d₂ = 0. Without any event, or
      where nothing was waited for at one rate, all are NaN.

    Source: Przyborowski and Wilenski 1940, Biometrika 31, 313.

    Example:
      >>> print(
      ...     *(
      ...         round(float(end), 3)
      ...         for end in rrjax.analysis.rate_ratio_interval(1, 15_145, 7, 9_219).ends
      ...     )
      ... )
      0.087 0.002 0.677
    """
    if min(exposure, other_exposure) <= 0 or num_events + other_events == 0:
        return UNDEFINED
    share = fraction_interval(num_events, num_events + other_events)

    def ratio(p: float) -> float:
        return p / (1 - p) * other_exposure / exposure if p < 1 else np.inf

    return share.map(ratio)


def student_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Returns the mean of some values with Student's interval.

      mean ± t(n − 1; 0.975) s/√n

    Args:
      values: (n,) one number per run.

    Returns:
      Three numbers in the unit of `values`. The ends are NaN for a single value, and equal for
      values that are all the same. All are NaN for no value.

    Source: Student 1908, Biometrika 6, 1.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    if n < 2:
        return Interval(float(values[0]) if n else np.nan, np.nan, np.nan)
    mean = np.mean(values)
    reach = scipy.special.stdtrit(n - 1, 1 - TAIL) * np.std(values, ddof=1) / np.sqrt(n)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def known_mean(values: np.ndarray) -> Interval:
    """Returns the mean of the finite ones of some values, with Student's interval."""
    values = np.asarray(values, np.float64)
    return student_interval(values[np.isfinite(values)])


def median_interval(values: ArrayLike) -> Interval:
    """Returns the median with its interval between two order statistics.

      x₍ᵣ₎ to x₍ₙ₊₁₋ᵣ₎,  r the largest with P(X < r) ≤ 0.025,  X ~ Binomial(n, ½)

    It covers at least 95 % for values of any law, equal ones and infinities among them.

    Args:
      values: (n, ...) one row per puzzle; infinities are ordered like other numbers.

    Returns:
      Three arrays of shape (...), in the unit of `values`; NaN for n = 0. The ends are NaN for
      n < 6, where not even the smallest and the largest value cover 95 %.

    Raises:
      ValueError: There is NaN among the values.

    Source: Thompson 1936, Ann. Math. Stat. 7, 122.

    Example:
      >>> print(
      ...     *(
      ...         round(float(end), 3)
      ...         for end in rrjax.analysis.median_interval(np.arange(11)).ends
      ...     )
      ... )
      5.0 1.0 9.0
    """
    values = np.asarray(values, dtype=np.float64)
    check_no_nan("values", values)
    n = len(values)
    undefined = np.full(values.shape[1:], np.nan)[()]
    if n == 0:
        return Interval(undefined, undefined, undefined)
    ascending = np.sort(values, axis=0)
    median = _midpoint(ascending[(n - 1) // 2], ascending[n // 2])
    # P(X ≤ r) ≤ 0.025 for r = 0, 1, … below the rank
    rank = int(np.sum(scipy.special.bdtr(np.arange(n // 2 + 1), n, 0.5) <= TAIL))
    if rank == 0:
        return Interval(median, undefined, undefined)
    return Interval(median, ascending[rank - 1], ascending[n - rank])


def _beta_ends(k: Any, n: Any) -> Interval:
    """Returns k/n with the ends of Clopper and Pearson, for k and n that need not be whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(n > 0, k / np.where(n > 0, n, 1), np.nan)
        low = scipy.special.betaincinv(np.where(k > 0, k, 1), n - k + 1, TAIL)
        high = scipy.special.betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - TAIL)
    ends = np.where(k > 0, low, 0.0), np.where(k < n, high, 1.0)
    low, high = (np.where(n > 0, end, np.nan) for end in ends)
    return Interval(*(end if np.ndim(end) else float(end) for end in (value, low, high)))


def _midpoint(a: Any, b: Any) -> Any:
    return a / 2 + b / 2
