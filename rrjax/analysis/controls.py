"""Does an exponent say more than drift or difficulty do? AUC among runs that are alike in these."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, check_no_nan
from rrjax.analysis.intervals import UNDEFINED, Interval, percentile_interval
from rrjax.analysis.separation import (
    BLOCK,
    auc,
    auc_of_resamples,
    bootstrap_auc,
    draw_counts,
)

MIN_GROUP = 5
"""A stratum with fewer solved or fewer failed runs is counted in the pooled AUC, and gets none of
its own: an interval from so few says nothing."""


class Bins(NamedTuple):
    """Runs sorted into bins of about equal size.

    Attributes:
      index: (N,) the bin of each run, from 0.
      low: the smallest value in each bin.
      high: the largest.
    """

    index: np.ndarray
    low: np.ndarray
    high: np.ndarray


def quantile_bins(values: ArrayLike, number: int) -> Bins:
    """Returns bins of about equal size; equal values share the bin of their middle rank.

    Args:
      values: (N,), at least one, without NaN.
      number: bins aimed at; ties may leave fewer.

    Raises:
      ValueError: for no values, NaN, or no bins.
    """
    values = as_array("values", values, ("N",), least=1)
    check_no_nan("values", values)
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(values)  # in 0..1, the rank of each value
    _, index = np.unique(np.floor(number * middle)[place], return_inverse=True)
    members = [values[index == i] for i in range(index.max() + 1)]
    return Bins(index, np.array([m.min() for m in members]), np.array([m.max() for m in members]))


@dataclass(frozen=True)
class Stratum:
    """Runs that are alike.

    Attributes:
      low: the smallest value of what they are alike in.
      high: the largest.
      num_solved: how many of them are positive.
      num_failed: how many are not.
      auc: among them; NaN where either group has fewer than `MIN_GROUP`.
    """

    low: float
    high: float
    num_solved: int
    num_failed: int
    auc: Interval


@dataclass(frozen=True)
class Controlled:
    """A score's AUC with something held fixed.

    Attributes:
      strata: one for each bin.
      num_solved: runs that are positive, in all bins.
      num_failed: runs that are not.
      plain: the AUC of the same runs with nothing held fixed.
      pooled: the AUC over all pairs within one bin.
      num_pairs: how many pairs that is; without any the pooled AUC is NaN.
    """

    strata: list[Stratum]
    num_solved: int
    num_failed: int
    plain: Interval
    pooled: Interval
    num_pairs: int


def controlled_auc(
    scores: ArrayLike, positive: ArrayLike, values: ArrayLike, num_bins: int, seed: int = 0
) -> Controlled:
    """Returns the AUC of a score inside bins of another quantity, and pooled over them.

    Args:
      scores: (N,) one for each run; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.
      values: (N,) what is held fixed.
      num_bins: of about equal size, see `quantile_bins`.
      seed: Seed of the bootstraps.

    Raises:
      ValueError: for no runs, NaN, or shapes that do not fit each other.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive)
    bins = quantile_bins(values, num_bins)
    strata = []
    for i, (low, high) in enumerate(zip(bins.low, bins.high, strict=True)):
        here = bins.index == i
        sizes = int(positive[here].sum()), int(np.sum(~positive[here]))
        within = enough_or_nan(scores[here], positive[here], seed)
        strata.append(Stratum(float(low), float(high), *sizes, within))
    return Controlled(
        strata=strata,
        num_solved=int(positive.sum()),
        num_failed=int(np.sum(~positive)),
        plain=bootstrap_auc(scores, positive, seed),
        pooled=stratified_auc(scores, positive, bins.index, seed),
        num_pairs=sum(s.num_solved * s.num_failed for s in strata),
    )


def enough_or_nan(scores: np.ndarray, positive: np.ndarray, seed: int) -> Interval:
    """Returns the AUC with its interval; NaN where a group has fewer than `MIN_GROUP`."""
    if min(positive.sum(), np.sum(~positive)) < MIN_GROUP:
        return UNDEFINED
    return bootstrap_auc(scores, positive, seed)


def stratified_auc(
    scores: ArrayLike,
    positive: ArrayLike,
    strata: ArrayLike,
    seed: int = 0,
    num_resamples: int = 2000,
) -> Interval:
    """Returns the AUC over the pairs of a positive and a negative that lie in one stratum.

      AUC = Σ_s n⁺_s n⁻_s AUC_s / Σ_s n⁺_s n⁻_s

    The weights are the pairs: the chance that, of a pair drawn from all pairs within strata, the
    positive scores higher (van Elteren's rank sum with weights of 1, not his 1/(n_s + 1)). ½ where
    the score says nothing beyond the stratum.

    Args:
      scores: (N,) one for each run; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.
      strata: (N,) integers, the stratum of each run.
      seed: Seed of the resampling.
      num_resamples: of the percentile bootstrap, which draws runs with replacement, whatever
        their stratum or group.

    Returns:
      The pooled AUC with its interval; NaN where no stratum holds both groups.
      A resample without a pair is left out.

    Raises:
      ValueError: as `rrjax.analysis.separation.bootstrap_auc`, or for strata of another shape.

    Source: van Elteren 1960, Bull. Inst. Int. Stat. 37, 351.
    """
    auc(scores, positive)  # which refuses what has no AUC
    positive = np.asarray(positive)
    scores = as_array("scores", scores, positive.shape)
    strata = as_array("strata", strata, positive.shape)
    members = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    n, rng = len(positive), np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, n))
    blocks = [
        _pooled(scores, positive, members, draw_counts(rng, min(size, num_resamples - first), n))
        for first in range(0, num_resamples, size)
    ]
    resampled = np.concatenate(blocks)
    low, high = percentile_interval(resampled[~np.isnan(resampled)])
    value = _pooled(scores, positive, members, np.ones((1, n), dtype=np.int64))[0]
    return Interval(value, low, high)


def _pooled(
    scores: np.ndarray, positive: np.ndarray, members: list[np.ndarray], counts: np.ndarray
) -> np.ndarray:
    """Returns the pooled AUC of each resample (B, n); NaN without a pair."""
    won, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for here in members:
        drawn, right = counts[:, here], positive[here]
        number = drawn[:, right].sum(axis=1) * drawn[:, ~right].sum(axis=1)
        share = auc_of_resamples(scores[here], right, drawn)[:, 0]
        won += np.where(number > 0, share, 0) * number
        pairs += number
    return np.divide(won, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
