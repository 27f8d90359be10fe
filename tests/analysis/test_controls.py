"""AUC with something held fixed: against loops over pairs, and strata made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.analysis.controls import MIN_GROUP, controlled_auc, quantile_bins, stratified_auc
from rrjax.analysis.separation import bootstrap_auc


def by_pairs(scores: np.ndarray, positive: np.ndarray, strata: np.ndarray) -> float:
    worth = [
        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
        for i in np.flatnonzero(positive)
        for j in np.flatnonzero(~positive)
        if strata[i] == strata[j]
    ]
    return float(np.mean(worth)) if worth else np.nan


@pytest.mark.parametrize("seed", range(5))
def test_the_pooled_auc_counts_pairs_within_strata(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 40))
    scores = rng.integers(0, 6, n).astype(float)  # with ties
    positive, strata = rng.random(n) < 0.5, rng.integers(0, 4, n)
    found = stratified_auc(scores, positive, strata, num_resamples=20)
    assert found.value == pytest.approx(by_pairs(scores, positive, strata), nan_ok=True)


def test_strata_made_by_hand():
    # stratum 0: two pairs, one won; stratum 1: one pair, lost; stratum 2: one outcome only
    strata = np.array([0, 0, 0, 1, 1, 2, 2])
    positive = np.array([True, False, False, True, False, True, True])
    scores = np.array([2.0, 1.0, 3.0, 0.0, 5.0, 100.0, 100.0])
    assert stratified_auc(scores, positive, strata).value == pytest.approx(1 / 3)


def test_a_score_that_says_no_more_than_the_stratum_has_one_half():
    strata = np.repeat([0, 1, 2], 20)
    positive = np.concatenate([np.arange(20) < share for share in (4, 10, 16)])
    scores = strata.astype(float)
    assert bootstrap_auc(scores, positive, 0).low > 0.6
    assert stratified_auc(scores, positive, strata).ends == (0.5, 0.5, 0.5)


def test_one_stratum_is_the_plain_auc():
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=50), rng.random(50) < 0.4
    pooled = stratified_auc(scores, positive, np.zeros(50), seed=4)
    assert pooled.ends == pytest.approx(bootstrap_auc(scores, positive, seed=4).ends)


def test_the_interval_is_that_of_resampled_puzzles():
    rng = np.random.default_rng(0)
    n, seed, tail = 30, 7, (1 - 0.95) / 2
    strata, positive = rng.integers(0, 3, n), rng.random(n) < 0.5
    scores = rng.normal(size=n) + positive
    drawn = np.random.default_rng(seed).integers(n, size=(200, n))
    values = [by_pairs(scores[d], positive[d], strata[d]) for d in drawn]
    low, high = np.quantile(values, (tail, 1 - tail), method="inverted_cdf")
    found = stratified_auc(scores, positive, strata, seed, num_resamples=200)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_no_pair_within_a_stratum_is_nan():
    found = stratified_auc([1.0, 2.0], [True, False], [0, 1])
    assert np.isnan(found.ends).all()
    assert np.isnan(stratified_auc([1.0], [True], [0]).ends).all()


def test_bad_strata_and_scores_are_refused():
    with pytest.raises(ValueError, match="scores must hold no NaN"):
        stratified_auc([np.nan, 1.0], [True, False], [0, 0])
    with pytest.raises(ValueError, match=r"strata must be numbers of shape \(2,\)"):
        stratified_auc([0.0, 1.0], [True, False], [0])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 12))
def test_bins_hold_every_value_once_and_equal_ones_together(values, number):
    array = np.array(values, float)
    index = quantile_bins(array, number)
    assert index.shape == array.shape
    assert np.unique(index).tolist() == list(range(index.max() + 1))
    assert index.max() < number
    for i, inside in enumerate(index == i for i in range(index.max() + 1)):
        assert (array[index < i] < array[inside].min()).all()
        assert (array[index > i] > array[inside].max()).all()


def test_deciles_of_distinct_values_have_equal_sizes():
    index = quantile_bins(np.random.default_rng(0).permutation(70), 10)
    assert np.bincount(index).tolist() == [7] * 10


def test_a_value_that_most_runs_share_leaves_the_others_their_bin():
    assert np.bincount(quantile_bins([0] * 14 + [1] * 20, 2)).tolist() == [14, 20]
    index = quantile_bins([0] * 88 + [2, 3, 4, 5, 6, 6, 6, 6], 6)
    assert index.tolist() == [0] * 88 + [1] * 8


@pytest.mark.parametrize(
    ("values", "number", "words"),
    [
        ([], 3, "values must be"),
        ([np.nan], 3, "values must hold no NaN"),
    ],
)
def test_bad_bins_are_refused(values, number, words):
    with pytest.raises(ValueError, match=words):
        quantile_bins(values, number)


def test_a_stratum_with_few_runs_is_counted_but_has_no_auc_of_its_own():
    few, many = MIN_GROUP - 1, 2 * MIN_GROUP
    positive = np.array([True] * few + [False] * many + [True] * many + [False] * many)
    values = np.array([0] * (few + many) + [1] * (2 * many))
    scores = np.random.default_rng(0).normal(size=len(values))
    found = controlled_auc(scores, positive, values, 2)
    first, second = found.strata
    assert np.isnan(first.auc.ends).all()
    assert (first.num_solved, first.num_failed) == (few, many)
    here = values == 1
    assert second.auc.value == pytest.approx(by_pairs(scores[here], positive[here], values[here]))
    assert found.num_pairs == few * many + many * many
    assert found.pooled.value == pytest.approx(by_pairs(scores, positive, values))
    assert found.plain.value == pytest.approx(by_pairs(scores, positive, np.zeros(len(values))))
