"""Intervals against SciPy, plain resampling and exact order statistics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom, binomtest, ttest_1samp

from rrjax.analysis.intervals import (
    UNDEFINED,
    Interval,
    bootstrap_median,
    exact_interval,
    student_interval,
    wilson_interval,
)


@given(st.data(), st.integers(1, 10_000))
@settings(deadline=None)
def test_wilson_interval_agrees_with_scipy(data, num_trials):
    num_successes = data.draw(st.integers(0, num_trials))
    expected = binomtest(num_successes, num_trials).proportion_ci(0.95, method="wilson")
    interval = wilson_interval(num_successes, num_trials)
    assert interval.value == num_successes / num_trials
    np.testing.assert_allclose(interval.ends[1:], expected, rtol=1e-9, atol=1e-12)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_no_trials_have_no_fraction():
    assert np.isnan(wilson_interval(0, 0).ends).all()


@pytest.mark.parametrize(("num_successes", "num_trials"), [(-1, 3), (4, 3), (1, 0)])
def test_impossible_counts_are_refused(num_successes, num_trials):
    with pytest.raises(ValueError, match="num_successes must lie in"):
        wilson_interval(num_successes, num_trials)


@given(hnp.arrays(np.float64, (7, 2), elements=st.floats(-1e300, 1e300)), st.integers(1, 7))
@settings(deadline=None)
def test_median_is_numpys_and_lies_in_its_interval(values, n):
    interval = bootstrap_median(values[:n], seed=0, num_resamples=200)
    np.testing.assert_allclose(interval.value, np.median(values[:n] / 2, axis=0) * 2, rtol=1e-12)
    assert np.all(interval.low <= interval.value)
    assert np.all(interval.value <= interval.high)


@pytest.mark.parametrize("n", [25, 24])
def test_the_interval_is_that_of_plain_resampling(n):
    values = np.random.default_rng(0).normal(size=n)
    rows = np.random.default_rng(1).integers(n, size=(20_000, n))
    expected = np.quantile(np.median(values[rows], axis=1), (0.025, 0.975))
    interval = bootstrap_median(values, seed=2, num_resamples=20_000)
    np.testing.assert_allclose(interval.ends[1:], expected, atol=0.03)


def test_the_interval_ends_at_the_exact_order_statistics():
    # The resampled median is at most the r-th of n values if n/2 or more draws fall among the r
    # lowest: a binomial tail.
    n = 101
    tail = binom.sf(n // 2, n, np.arange(1, n + 1) / n)
    low, high = (1 + np.searchsorted(tail, level) for level in (0.025, 0.975))
    interval = bootstrap_median(np.arange(1, n + 1), seed=0, num_resamples=50_000)
    assert abs(interval.low - low) <= 1
    assert abs(interval.high - high) <= 1


def test_infinities_are_ordered_like_other_numbers():
    interval = bootstrap_median([[-np.inf], [-np.inf], [0.0]], seed=0)
    assert (interval.value, interval.low, interval.high) == (-np.inf, -np.inf, 0.0)


def test_medians_of_none_and_of_one():
    none = bootstrap_median(np.zeros((0, 3)), seed=0)
    assert none.value.shape == none.low.shape == none.high.shape == (3,)
    assert np.isnan(none.ends).all()
    assert bootstrap_median([4.0], seed=0) == Interval(4.0, 4.0, 4.0)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="1 of 2 rows"):
        bootstrap_median([[0.0, np.nan], [1.0, 2.0]], seed=0)


def tail(k: int, n: int, p: float) -> float:
    """P(X ≥ k)."""
    return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_leaves_out_half_the_rest_on_each_side(counts):
    k, n = counts
    value, low, high = exact_interval(k, n).ends
    assert 0 <= low <= value == k / n <= high <= 1
    assert low == 0 if k == 0 else tail(k, n, low) == pytest.approx(0.025)
    assert high == 1 if k == n else 1 - tail(k + 1, n, high) == pytest.approx(0.025)


def test_the_exact_interval_of_no_trials_and_of_bad_counts():
    assert np.isnan(exact_interval(0, 0).ends).all()
    assert exact_interval(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))
    with pytest.raises(ValueError, match=r"num_successes must lie in 0\.\.3"):
        exact_interval(4, 3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_students_interval_is_the_one_of_the_t_test(values):
    value, low, high = student_interval(values).ends
    assert value == np.mean(values)
    if np.ptp(values) == 0:
        np.testing.assert_allclose((low, high), value, atol=1e-9)
    else:
        expected = ttest_1samp(values, 0).confidence_interval(0.95)
        np.testing.assert_allclose((low, high), expected, rtol=1e-9, atol=1e-9)


def test_one_value_has_no_students_interval():
    single = student_interval([0.5])
    assert single.value == 0.5
    assert np.isnan([single.low, single.high]).all()
    assert np.isnan(student_interval([]).ends).all()


def test_the_entries_of_an_interval_are_plain_numbers():
    interval = Interval(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([3.0, np.nan]))
    assert interval.at(0) == interval.each()[0] == Interval(1.0, 0.0, 3.0)
    assert np.isnan(interval.at(-1).high)
    assert type(interval.at(0).low) is float
    assert interval.at(0).map(lambda end: 2 * end) == Interval(2.0, 0.0, 6.0)
    assert np.isnan(UNDEFINED.ends).all()
