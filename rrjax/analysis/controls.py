"""Does an exponent say more than drift or difficulty do? AUC among runs that are alike in these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, check_no_nan
from rrjax.analysis.intervals import UNDEFINED, Interval, percentile_interval
from rrjax.analysis.separation import (
    auc,
    auc_of_resamples,
    bootstrap_auc,
    middle_ranks,
    resample_counts,
)

MIN_GROUP = 5
"""A stratum with fewer solved or fewer failed runs is counted in the pooled AUC, and gets none of
its own: an interval from so few says nothing."""


def quantile_bins(values: ArrayLike, num_bins: int) -> np.ndarray:
    """Returns (N,) the bin of each value, from 0; the bins are of about equal size.

    Equal values share the bin of their middle rank, so there may be fewer bins than `num_bins`.
    """
    values = as_array("values", values, ("N",), least=1)
    check_no_nan("values", values)
    ranks = (middle_ranks(values) - 0.5) / len(values)  # in 0..1
    return np.unique(np.floor(num_bins * ranks), return_inverse=True)[1]


@dataclass(frozen=True)
class Stratum:
    """Runs that are alike.

    Attributes:
      low: The smallest value of what they are alike in.
      high: The largest.
      num_solved: Number of them that are positive.
      num_failed: Number of them that are not.
      auc: Among them; NaN where either group has fewer than `MIN_GROUP`.
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
      strata: One for each bin.
      num_solved: Runs that are positive, in all bins.
      num_failed: Runs that are not.
      plain: The AUC of the same runs with nothing held fixed.
      pooled: The AUC over all pairs within one bin.
      num_pairs: How many pairs that is; without any the pooled AUC is NaN.
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
    """Returns the AUC of a score inside the bins of another quantity, and pooled over them.

    The scores, the booleans and the values that are held fixed are (N,), one for each run. The
    bins are those of `quantile_bins`; `seed` is that of the bootstraps.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive)
    values, index = np.asarray(values), quantile_bins(values, num_bins)
    strata = [
        Stratum(
            low=float(values[here].min()),
            high=float(values[here].max()),
            num_solved=int(positive[here].sum()),
            num_failed=int(np.sum(~positive[here])),
            auc=enough_or_nan(scores[here], positive[here], seed),
        )
        for here in (index == i for i in range(index.max() + 1))
    ]
    return Controlled(
        strata=strata,
        num_solved=int(positive.sum()),
        num_failed=int(np.sum(~positive)),
        plain=bootstrap_auc(scores, positive, seed),
        pooled=stratified_auc(scores, positive, index, seed),
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
      num_resamples: Number of resamples of the percentile bootstrap, which draws runs with
        replacement, whatever their stratum or group.

    Returns:
      The pooled AUC with its interval; NaN where no stratum holds both groups.
      A resample without a pair is left out.

    Source: van Elteren 1960, Bull. Inst. Int. Stat. 37, 351.
    """
    auc(scores, positive)  # which refuses what has no AUC
    positive = np.asarray(positive)
    scores = as_array("scores", scores, positive.shape)
    strata = as_array("strata", strata, positive.shape)
    members = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    draws = resample_counts(len(positive), seed, num_resamples)
    resampled = np.concatenate([_pooled(scores, positive, members, counts) for counts in draws])
    value = _pooled(scores, positive, members, np.ones((1, len(positive)), dtype=np.int64))[0]
    return Interval(value, *percentile_interval(resampled[~np.isnan(resampled)]))


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
