"""How well a score tells two groups apart: the rank AUC and its interval."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, check_no_nan
from rrjax.analysis.intervals import TAIL, UNDEFINED, Interval, Z

MIN_GROUP = 3
"""In smaller groups an AUC has no interval: none that was simulated covers 93 %."""


def auc(scores: ArrayLike, positive: ArrayLike) -> Any:
    """Returns the probability that a positive scores higher than a negative (the rank AUC).

      AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)   over all pairs of a positive and a negative

    Args:
      scores: (N, ...) one row per puzzle; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.

    Returns:
      An array of shape (...), a number for scores (N,): 1 if every positive scores higher, ½ for
      equal groups. NaN where a group is empty: there is no pair to compare.

    Raises:
      ValueError: There is NaN among the scores, or the shapes or types are others.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982, Radiology 143, 29.

    Example:
      >>> rrjax.analysis.auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
      np.float64(0.75)
    """
    return auc_interval(scores, positive).value


def auc_interval(scores: ArrayLike, positive: ArrayLike) -> Interval:
    """Returns the rank AUC with its interval, which covers at least 93 % in simulations.

    Args:
      scores: (N, ...) one row per puzzle; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.

    Returns:
      The AUC and the ends of `interval_of_pairs`, each of shape (...); NaN where a group is empty.
      Groups that do not overlap have an AUC of 1 (or 0) and an interval that shrinks with their
      sizes. The ends are NaN where a group has fewer than `MIN_GROUP` puzzles.

    Raises:
      ValueError: The arrays are those that `auc` refuses.

    Example:
      >>> scores, solved = np.arange(20), np.arange(20) >= 10
      >>> print(
      ...     *(round(float(end), 3) for end in rrjax.analysis.auc_interval(scores, solved).ends)
      ... )
      1.0 0.8 1.0
    """
    scores, positive = check_scores(scores, positive)
    columns = scores.reshape(len(scores), math.prod(scores.shape[1:]))
    pairs = [pairs_within(column, positive, np.zeros(len(column))) for column in columns.T]
    intervals = [interval_of_pairs([one], positive) for one in pairs]
    shape = scores.shape[1:]
    ends = np.array([one.ends for one in intervals]).reshape(-1, 3).T
    return Interval(*(end.reshape(shape)[()] for end in ends))


class Pairs(NamedTuple):
    """Pairs of a positive and a negative run, counted for every run.

    Attributes:
      won: (N,) how many of the run's pairs the positive run of the pair wins; ties count half.
      number: (N,) the number of the run's pairs.
    """

    won: np.ndarray
    number: np.ndarray


def pairs_within(scores: np.ndarray, positive: np.ndarray, strata: np.ndarray) -> Pairs:
    """Returns all pairs of a positive and a negative that lie in one stratum; arrays are (N,)."""
    won, number = np.zeros(len(scores)), np.zeros(len(scores))
    for stratum in np.unique(strata):
        here = strata == stratum
        above, below = np.flatnonzero(here & positive), np.flatnonzero(here & ~positive)
        won[above] = _middle_place(scores[below], scores[above])
        won[below] = len(above) - _middle_place(scores[above], scores[below])
        number[above], number[below] = len(below), len(above)
    return Pairs(won, number)


def interval_of_pairs(kinds: Sequence[Pairs], positive: np.ndarray) -> Interval:
    r"""Returns the share of pairs that the positive wins, averaged over kinds of pairs.

    The ends are the outer ones of two intervals. The first is that of DeLong on the logit scale,

      logit A ± t √v / (A (1 − A)),   v = Σ_g n_g/(n_g − 1) Σ_{i ∈ g} ((w_i − A p_i) / P)²

    where run i of group g wins w_i of its p_i pairs, P is the number of all pairs, and t is
    Student's quantile for half of Welch's degrees of freedom. The second is Newcombe's score
    interval, all θ with

      (A − θ)² ≤ z² θ (1 − θ)/P · (1 + (N − 1) ((1 − θ)/(2 − θ) + θ/(1 + θ)))

    with N the mean number of pairs of the run that a pair holds, over both of its runs. DeLong's
    is too narrow in small groups with a high AUC, and is not defined at 0 and 1; Newcombe's is too
    narrow for groups of different spread. Together they cover at least 93 % in simulations of both.

    Args:
      kinds: Kinds of pairs that count alike, with A_k won; the result is the mean of the A_k.
      positive: (N,) booleans.

    Returns:
      Three numbers; NaN, all three, where a kind has no pair. The ends are NaN where fewer than
      `MIN_GROUP` runs of a group have pairs.

    References:
      DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837; Newcombe 2006, Stat. Med. 25, 559,
      method 5; Satterthwaite 1946, Biometrics Bull. 2, 110.
    """
    totals = [kind.number[positive].sum() for kind in kinds]
    if not all(totals):
        return UNDEFINED
    shares = [k.won[positive].sum() / total for k, total in zip(kinds, totals, strict=True)]
    value = float(np.mean(shares))
    influence = np.mean(
        [
            (kind.won - share * kind.number) / total
            for kind, share, total in zip(kinds, shares, totals, strict=True)
        ],
        axis=0,
    )
    number = np.sum([kind.number for kind in kinds], axis=0)
    groups = [positive & (number > 0), ~positive & (number > 0)]
    if min(group.sum() for group in groups) < MIN_GROUP:
        return Interval(value, np.nan, np.nan)
    mean_size = np.mean([np.sum(number[g] ** 2) / number[g].sum() for g in groups])
    low, high = _newcombe(value, number[positive].sum(), float(mean_size))
    delong_low, delong_high = _delong(value, [influence[group] for group in groups])
    return Interval(value, min(low, delong_low), max(high, delong_high))


def _delong(value: float, influences: list[np.ndarray]) -> tuple[float, float]:
    """Returns the ends on the logit scale; (1, 0), which no end is, where there is no variance."""
    sizes = np.array([len(influence) for influence in influences])
    squares = np.array([np.sum(influence**2) for influence in influences])
    if not 0 < value < 1 or squares.sum() == 0:
        return 1.0, 0.0
    variances = squares * sizes / (sizes - 1)
    # half of them: with all, groups of 10 of a wide spread are covered in 92 % of simulations
    freedom = variances.sum() ** 2 / np.sum(variances**2 / (sizes - 1)) / 2
    t = scipy.special.stdtrit(freedom, 1 - TAIL)
    reach = t * np.sqrt(variances.sum()) / (value * (1 - value))
    low, high = scipy.special.expit(scipy.special.logit(value) + np.array([-reach, reach]))
    return float(low), float(high)


def _newcombe(value: float, num_pairs: float, mean_size: float) -> tuple[float, float]:
    def outside(theta: float) -> float:
        spread = 1 + (mean_size - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (value - theta) ** 2 - Z**2 * theta * (1 - theta) / num_pairs * spread

    low = 0.0 if value == 0 else scipy.optimize.brentq(outside, 0, value * (1 - 1e-9))
    high = 1.0 if value == 1 else scipy.optimize.brentq(outside, value + (1 - value) * 1e-9, 1)
    return float(low), float(high)


def check_scores(scores: ArrayLike, positive: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores (N, ...) and booleans (N,) as arrays, or refuses what has no AUC."""
    positive = as_array("positive", positive, ("N",), bool)
    scores = as_array("scores", scores, (len(positive), ...))
    check_no_nan("scores", scores)
    return scores, positive


def middle_ranks(values: np.ndarray) -> np.ndarray:
    """Returns the ranks (n,) from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _middle_place(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns for each of `other` how many of `values` are smaller; equal ones count half."""
    ascending = np.sort(values)
    places = [np.searchsorted(ascending, other, side) for side in ("left", "right")]
    return (places[0] + places[1]) / 2
