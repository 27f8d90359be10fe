"""AUC against the definition, known cases and distributions whose AUC is known."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu

from rrjax.analysis import separation
from rrjax.analysis.separation import auc, bootstrap_auc

# Few distinct values, so that ties are common; infinities are ordered like other numbers.
SCORES = st.one_of(
    st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, np.inf]),
    st.floats(-1e3, 1e3, allow_nan=False),
)


@st.composite
def scored_groups(draw):
    n = draw(st.integers(0, 30))
    scores = draw(hnp.arrays(np.float64, (n, draw(st.integers(1, 3))), elements=SCORES))
    return scores, draw(hnp.arrays(np.bool_, n))


def auc_over_all_pairs(scores, positive):
    won = [
        (above > below) + (above == below) / 2
        for above in scores[positive]
        for below in scores[~positive]
    ]
    return np.sum(won) / len(won) if won else np.nan


def normal_groups(rng, shift, num_positive, num_negative):
    scores = rng.normal(size=num_positive + num_negative)
    positive = np.arange(len(scores)) < num_positive
    return scores + shift * positive, positive


@given(scored_groups())
@settings(deadline=None)
def test_auc_is_the_share_of_pairs_won(case):
    scores, positive = case
    expected = [auc_over_all_pairs(column, positive) for column in scores.T]
    np.testing.assert_allclose(auc(scores, positive), expected, rtol=1e-14)


def test_auc_of_known_cases():
    positive = np.array([True, True, False, False])
    assert auc([3, 4, 1, 2], positive) == 1
    assert auc([1, 2, 3, 4], positive) == 0
    assert auc([7, 7, 7, 7], positive) == 0.5
    assert auc([1, 2, 1, 2], positive) == 0.5
    assert auc([2, 3, 1, 2], positive) == 3.5 / 4


def test_auc_agrees_with_scipy_on_a_large_sample():
    rng = np.random.default_rng(0)
    scores, positive = normal_groups(rng, 0.7, 300, 200)
    scores = np.round(scores, 1)
    u = mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert auc(scores, positive) == pytest.approx(u / (300 * 200), rel=1e-14)


@given(scored_groups())
@settings(deadline=None)
def test_auc_depends_on_the_order_of_the_scores_alone(case):
    scores, positive = case
    # Ranks are the coarsest monotone image; arctan of scores could merge two of them.
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in scores.T], axis=1)
    np.testing.assert_array_equal(auc(np.exp(ranks / 9), positive), auc(scores, positive))


@given(scored_groups())
@settings(deadline=None)
def test_turning_scores_or_groups_round_turns_the_auc_round(case):
    scores, positive = case
    value = auc(scores, positive)
    np.testing.assert_allclose(auc(-scores, positive), 1 - value, atol=1e-14)
    np.testing.assert_allclose(auc(scores, ~positive), 1 - value, atol=1e-14)


def test_trailing_axes_are_columns_of_their_own():
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=(20, 2, 3)), np.arange(20) < 8
    value = auc(scores, positive)
    assert value.shape == (2, 3)
    assert value[1, 2] == auc(scores[:, 1, 2], positive)
    estimate = bootstrap_auc(scores, positive, seed=0, num_resamples=50)
    alone = bootstrap_auc(scores[:, 1, 2], positive, seed=0, num_resamples=50)
    assert estimate.low.shape == estimate.high.shape == (2, 3)
    assert (estimate.low[1, 2], estimate.high[1, 2]) == (alone.low, alone.high)


@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize("group", [True, False])
def test_an_empty_group_has_no_auc(n, group):
    scores, positive = np.arange(n), np.full(n, group)
    assert np.isnan(auc(scores, positive))
    estimate = bootstrap_auc(scores, positive, seed=0)
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


@given(scored_groups(), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_the_interval_is_ordered_and_inside_the_unit_interval(case, seed):
    estimate = bootstrap_auc(*case, seed=seed, num_resamples=7)
    defined = ~np.isnan(estimate.low)
    assert np.all((estimate.low >= 0) & (estimate.low <= estimate.high) | ~defined)
    assert np.all((estimate.high <= 1) | ~defined)


def test_resamples_are_those_of_plain_resampling(monkeypatch):
    # In blocks of one resample the generator is read just as in this loop.
    monkeypatch.setattr(separation, "BLOCK", 1)
    scores, positive = normal_groups(np.random.default_rng(2), 0.5, 6, 3)
    rng, values = np.random.default_rng(3), []
    for _ in range(200):
        rows = rng.integers(9, size=9)
        values.append(auc_over_all_pairs(scores[rows], positive[rows]))
    values = np.sort([value for value in values if not np.isnan(value)])
    assert len(values) < 200
    estimate = bootstrap_auc(scores, positive, seed=3, num_resamples=200)
    expected = np.quantile(values, (0.025, 0.975), method="inverted_cdf")
    np.testing.assert_allclose((estimate.low, estimate.high), expected, rtol=1e-14)


def test_the_interval_covers_the_true_auc_as_often_as_it_says():
    rng, shift, num_trials = np.random.default_rng(4), 1.0, 300
    truth = NormalDist().cdf(shift / np.sqrt(2))
    covered = 0
    for trial in range(num_trials):
        estimate = bootstrap_auc(*normal_groups(rng, shift, 40, 30), seed=trial, num_resamples=300)
        covered += estimate.low <= truth <= estimate.high
    # Three standard errors of the simulation about 0.95, and .02 for the small groups.
    assert 0.89 <= covered / num_trials <= 0.99


def test_a_seed_fixes_the_interval():
    case = normal_groups(np.random.default_rng(5), 0.5, 20, 20)
    assert bootstrap_auc(*case, seed=1) == bootstrap_auc(*case, seed=1)
    assert bootstrap_auc(*case, seed=1) != bootstrap_auc(*case, seed=2)


@pytest.mark.parametrize(
    ("scores", "positive", "message"),
    [
        ([0.0, np.nan], [True, False], "1 of 2 rows"),
        ([0.0, 1.0], [1, 0], "positive must be booleans"),
        ([0.0, 1.0], [[True], [False]], "positive must be booleans"),
        ([0.0], [True, False], "scores must be numbers of shape"),
    ],
)
def test_bad_input_is_refused(scores, positive, message):
    with pytest.raises(ValueError, match=message):
        auc(scores, np.array(positive))
    with pytest.raises(ValueError, match=message):
        bootstrap_auc(scores, np.array(positive), seed=0)
