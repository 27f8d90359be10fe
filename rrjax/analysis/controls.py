"""Does a score say more than drift or difficulty do? AUC among runs that are alike in these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, check_no_nan
from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.analysis.separation import (
    Pairs,
    auc_interval,
    check_scores,
    interval_of_pairs,
    middle_ranks,
    pairs_within,
)

MIN_GROUP = 5
"""A stratum with fewer solved or fewer failed runs is counted in the pooled AUC, and gets none of
its own. From `separation.MIN_GROUP` on its interval covers, but with 4 in each group that of an AUC
of 0.8 reaches from 0.1 to 1.0: a row of these would say nothing."""

NEAR = 0.05
"""Runs are near each other within this fraction of the ranks, and within at least 3 ranks."""


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
      fixed: The AUC with the quantity held fixed, by `auc_given` or `auc_near`.
    """

    strata: list[Stratum]
    num_solved: int
    num_failed: int
    plain: Interval
    fixed: Interval


def controlled_auc(
    scores: np.ndarray, positive: np.ndarray, values: np.ndarray, num_bins: int, fixed: Interval
) -> Controlled:
    """Returns the AUC of a score inside the bins of another quantity, beside that given it.

    The scores, the booleans and the values that are held fixed are (N,), one for each run. The
    bins are those of `quantile_bins`.
    """
    index = quantile_bins(values, num_bins)
    strata = [
        Stratum(
            low=float(values[here].min()),
            high=float(values[here].max()),
            num_solved=int(positive[here].sum()),
            num_failed=int(np.sum(~positive[here])),
            auc=enough_or_nan(scores[here], positive[here]),
        )
        for here in (index == i for i in range(index.max() + 1))
    ]
    return Controlled(
        strata=strata,
        num_solved=int(positive.sum()),
        num_failed=int(np.sum(~positive)),
        plain=auc_interval(scores, positive),
        fixed=fixed,
    )


def enough_or_nan(scores: np.ndarray, positive: np.ndarray) -> Interval:
    """Returns the AUC with its interval; NaN where a group has fewer than `MIN_GROUP`."""
    if min(positive.sum(), np.sum(~positive)) < MIN_GROUP:
        return UNDEFINED
    return auc_interval(scores, positive)


def auc_given(scores: ArrayLike, positive: ArrayLike, values: ArrayLike) -> Interval:
    """Returns the AUC over the pairs of a positive and a negative with the same value.

      AUC = Σ_s n⁺_s n⁻_s AUC_s / Σ_s n⁺_s n⁻_s   over the strata s of equal values

    It is ½ where the score says nothing beyond the value. Bins of several values do not have this
    property: within a bin a score that follows the value still tells the groups apart.

    Args:
      scores: (N,) one for each run; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.
      values: (N,) what is held fixed, such as a number of clues.

    Returns:
      The AUC with the ends of `interval_of_pairs`; NaN where no value is shared by both groups.

    Raises:
      ValueError: There is NaN among the numbers, or the shapes or types are others.

    References:
      van Elteren 1960, Bull. Inst. Int. Stat. 37, 351, whose strata are weighted differently.
    """
    scores, positive, values = _checked(scores, positive, values)
    return interval_of_pairs([pairs_within(scores, positive, values)], positive)


def auc_near(scores: ArrayLike, positive: ArrayLike, values: ArrayLike) -> Interval:
    """Returns the AUC over the pairs of a positive and a negative that are near in a value.

      AUC = ½ (A₊ + A₋)

    Pairs are those within a twentieth of the ranks of the value. A₊ is the share that the positive
    wins of the pairs in which it has the larger value, A₋ that of the others; both count every
    distance in ranks alike. Where the score follows the value and nothing else, A₊ and A₋ lie on
    either side of ½ by the same amount, and their mean is ½. The mean over all pairs or within bins
    is not, since the group that tends to have the larger value has it in most of the pairs.

    Args:
      scores: (N,) one for each run; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.
      values: (N,) what is held fixed, such as a drift.

    Returns:
      The AUC with the ends of `interval_of_pairs`; NaN where there are no pairs of either kind.

    Raises:
      ValueError: There is NaN among the numbers, or the shapes or types are others.
    """
    scores, positive, values = _checked(scores, positive, values)
    order = np.argsort(values, kind="stable")
    s, p = scores[order], positive[order]
    won, number = np.zeros((2, len(s))), np.zeros((2, len(s)))
    for distance in range(1, min(len(s), max(3, int(NEAR * len(s)))) + 1):
        lower, upper = np.arange(len(s) - distance), np.arange(distance, len(s))
        upper_wins = (s[upper] > s[lower]) + 0.5 * (s[upper] == s[lower])
        kinds = (p[upper] & ~p[lower], p[lower] & ~p[upper])
        sizes = [pair.sum() for pair in kinds]
        if min(sizes) == 0:
            continue
        for kind, (pair, size, wins) in enumerate(
            zip(kinds, sizes, (upper_wins, 1 - upper_wins), strict=True)
        ):
            weight = pair * min(sizes) / size
            for run in (lower, upper):
                number[kind, run] += weight
                won[kind, run] += weight * wins
    return interval_of_pairs([Pairs(*kind) for kind in zip(won, number, strict=True)], p)


def _checked(
    scores: ArrayLike, positive: ArrayLike, values: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, positive = check_scores(scores, positive)
    values = as_array("values", values, positive.shape)
    check_no_nan("values", values)
    return as_array("scores", scores, positive.shape), positive, values
