"""AUC with something held fixed: against loops over pairs, and strata made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.analysis.controls import MIN_GROUP, auc_given, auc_near, controlled_auc, quantile_bins
from rrjax.analysis.separation import auc_interval


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
    found = auc_given(scores, positive, strata)
    assert found.value == pytest.approx(by_pairs(scores, positive, strata), nan_ok=True)


def test_strata_made_by_hand():
    # stratum 0: two pairs, one won; stratum 1: one pair, lost; stratum 2: one outcome only
    strata = np.array([0, 0, 0, 1, 1, 2, 2])
    positive = np.array([True, False, False, True, False, True, True])
    scores = np.array([2.0, 1.0, 3.0, 0.0, 5.0, 100.0, 100.0])
    assert auc_given(scores, positive, strata).value == pytest.approx(1 / 3)


def test_a_score_that_says_no_more_than_the_stratum_has_one_half():
    strata = np.repeat([0, 1, 2], 20)
    positive = np.concatenate([np.arange(20) < share for share in (4, 10, 16)])
    scores = strata.astype(float)
    assert auc_interval(scores, positive).low > 0.6
    found = auc_given(scores, positive, strata)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


def test_one_stratum_is_the_plain_auc():
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=50), rng.random(50) < 0.4
    pooled = auc_given(scores, positive, np.zeros(50))
    assert pooled.ends == pytest.approx(auc_interval(scores, positive).ends)


def test_near_runs_win_alike_on_both_sides():
    """Pairs by hand: of each distance in ranks, those with the positive above and below."""
    rng = np.random.default_rng(1)
    scores, values = rng.normal(size=40), rng.permutation(40).astype(float)
    positive = rng.random(40) < 0.5
    won, pairs = np.zeros(2), np.zeros(2)
    for distance in (1, 2, 3):
        wins = [[], []]
        for i, j in np.ndindex(40, 40):
            if positive[i] and not positive[j] and abs(values[i] - values[j]) == distance:
                wins[int(values[i] > values[j])].append(scores[i] > scores[j])
        weight = min(map(len, wins))
        won += [weight * np.mean(side) for side in wins]
        pairs += weight
    assert auc_near(scores, positive, values).value == pytest.approx(np.mean(won / pairs))


def test_near_runs_without_both_kinds_of_pairs_have_no_auc():
    values = np.arange(30.0)
    assert np.isnan(auc_near(values, values > 14, values).ends).all()
    assert np.isnan(auc_near(values, values > -1, values).ends).all()


def test_no_pair_within_a_stratum_is_nan():
    found = auc_given([1.0, 2.0], [True, False], [0, 1])
    assert np.isnan(found.ends).all()
    assert np.isnan(auc_given([1.0], [True], [0]).ends).all()


def test_bad_strata_and_scores_are_refused():
    with pytest.raises(ValueError, match="scores must hold no NaN"):
        auc_given([np.nan, 1.0], [True, False], [0, 0])
    with pytest.raises(ValueError, match=r"values must be numbers of shape \(2,\)"):
        auc_given([0.0, 1.0], [True, False], [0])


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
    fixed = auc_given(scores, positive, values)
    found = controlled_auc(scores, positive, values, 2, fixed)
    first, second = found.strata
    assert np.isnan(first.auc.ends).all()
    assert (first.num_solved, first.num_failed) == (few, many)
    here = values == 1
    assert second.auc.value == pytest.approx(by_pairs(scores[here], positive[here], values[here]))
    assert found.fixed.value == pytest.approx(by_pairs(scores, positive, values))
    assert found.plain.value == pytest.approx(by_pairs(scores, positive, np.zeros(len(values))))
