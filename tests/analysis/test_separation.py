"""AUC against the definition and known cases, its interval against the published formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu, t

from rrjax.analysis.separation import auc, auc_interval

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
    estimate = auc_interval(scores, positive)
    alone = auc_interval(scores[:, 1, 2], positive)
    assert estimate.low.shape == estimate.high.shape == (2, 3)
    assert (estimate.low[1, 2], estimate.high[1, 2]) == (alone.low, alone.high)


@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize("group", [True, False])
def test_an_empty_group_has_no_auc(n, group):
    scores, positive = np.arange(n), np.full(n, group)
    assert np.isnan(auc(scores, positive))
    estimate = auc_interval(scores, positive)
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


@given(scored_groups())
@settings(max_examples=50, deadline=None)
def test_the_interval_is_ordered_and_inside_the_unit_interval(case):
    estimate = auc_interval(*case)
    defined = ~np.isnan(estimate.low)
    assert np.all((estimate.low >= 0) & (estimate.low <= estimate.high) | ~defined)
    assert np.all((estimate.high <= 1) | ~defined)


def test_the_interval_is_delongs_on_the_logit_scale_where_that_is_the_wider():
    """Of groups of different spread, by the formula of DeLong for two columns of placements."""
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.normal(0.3, 5, 20), rng.normal(size=60)])
    positive = np.arange(80) < 20
    wins = (scores[:20, None] > scores[None, 20:]).astype(float)
    value, rows, columns = wins.mean(), wins.mean(axis=1), wins.mean(axis=0)
    parts = np.array([rows.var(ddof=1) / 20, columns.var(ddof=1) / 60])
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / 19 + parts[1] ** 2 / 59)
    reach = t.ppf(0.975, freedom / 2) * np.sqrt(parts.sum()) / (value * (1 - value))
    logit = np.log(value / (1 - value))
    expected = [1 / (1 + np.exp(-logit - side * reach)) for side in (-1, 1)]
    estimate = auc_interval(scores, positive)
    np.testing.assert_allclose((estimate.low, estimate.high), expected, rtol=1e-12)


def test_groups_that_do_not_overlap_have_newcombes_interval():
    """At A = 1 the score interval solves (1 − θ) mn = z² θ (1 + (N − 1)(…)); ends shrink with n."""
    widths = []
    for m in (3, 10, 100):
        estimate = auc_interval(np.arange(2 * m), np.arange(2 * m) >= m)
        assert (estimate.value, estimate.high) == (1, 1)
        low = estimate.low
        spread = 1 + (m - 1) * ((1 - low) / (2 - low) + low / (1 + low))
        assert (1 - low) * m**2 == pytest.approx(1.959963984540054**2 * low * spread)
        widths.append(1 - low)
        turned = auc_interval(-np.arange(2 * m), np.arange(2 * m) >= m)
        assert (turned.value, turned.low, turned.high) == pytest.approx((0, 0, 1 - low))
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("small", [1, 2])
def test_too_small_a_group_has_an_auc_and_no_interval(small):
    estimate = auc_interval(np.arange(20), np.arange(20) < small)
    assert estimate.value == 0
    assert np.isnan([estimate.low, estimate.high]).all()


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
        auc_interval(scores, np.array(positive))
