"""Intervals against SciPy, exact tails and each other. That they cover is in test_coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom, chi2, ttest_1samp

from rrjax.analysis.intervals import (
    UNDEFINED,
    Interval,
    fraction_interval,
    mean_interval,
    median_interval,
    rate_interval,
    rate_ratio_interval,
    student_interval,
)


@pytest.mark.parametrize(("num_successes", "num_trials"), [(-1, 3), (4, 3), (1, 0)])
def test_impossible_counts_are_refused(num_successes, num_trials):
    with pytest.raises(ValueError, match="num_successes must lie in"):
        fraction_interval(num_successes, num_trials)


def tail(k: int, n: int, p: float) -> float:
    """P(X ≥ k)."""
    return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_fraction_leaves_out_half_the_rest_on_each_side(counts):
    k, n = counts
    value, low, high = fraction_interval(k, n).ends
    assert 0 <= low <= value == k / n <= high <= 1
    assert low == 0 if k == 0 else tail(k, n, low) == pytest.approx(0.025)
    assert high == 1 if k == n else 1 - tail(k + 1, n, high) == pytest.approx(0.025)


def test_fractions_of_no_trials_and_of_many_columns():
    assert np.isnan(fraction_interval(0, 0).ends).all()
    assert fraction_interval(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))
    columns = fraction_interval(np.array([0, 3, 10]), 10)
    assert columns.each() == [fraction_interval(k, 10) for k in (0, 3, 10)]


NUMBERS = st.floats(-1e300, 1e300, allow_subnormal=False)
"""Where a thread flushes subnormal numbers to zero, the mean of two of them is not between them."""


@given(hnp.arrays(np.float64, (12, 2), elements=NUMBERS), st.integers(6, 12))
@settings(deadline=None)
def test_median_is_numpys_and_lies_in_its_interval(values, n):
    interval = median_interval(values[:n])
    np.testing.assert_allclose(interval.value, np.median(values[:n] / 2, axis=0) * 2, rtol=1e-12)
    assert np.all(interval.low <= interval.value)
    assert np.all(interval.value <= interval.high)


@pytest.mark.parametrize("n", [6, 25, 24, 101, 1000])
def test_the_interval_of_a_median_ends_at_the_exact_order_statistics(n):
    interval = median_interval(np.arange(1, n + 1))
    assert interval.high == n + 1 - interval.low
    assert binom.cdf(interval.low - 1, n, 0.5) <= 0.025 < binom.cdf(interval.low, n, 0.5)


def test_infinities_are_ordered_like_other_numbers():
    interval = median_interval(np.array([-np.inf] * 5 + [0.0, 1.0])[:, None])
    assert (interval.value, interval.low, interval.high) == (-np.inf, -np.inf, 1.0)


def test_medians_of_few():
    none = median_interval(np.zeros((0, 3)))
    assert none.value.shape == none.low.shape == none.high.shape == (3,)
    assert np.isnan(none.ends).all()
    five = median_interval([4.0, 1.0, 2.0, 3.0, 5.0])
    assert five.value == 3
    assert np.isnan([five.low, five.high]).all()  # 1 to 5 covers 93.75 %


def test_nan_is_refused():
    with pytest.raises(ValueError, match="1 of 2 rows"):
        median_interval([[0.0, np.nan], [1.0, 2.0]])


@pytest.mark.parametrize(("share", "number"), [(0.0, 12), (1.0, 12), (0.0, 1), (1.0, 1)])
def test_means_at_a_bound_are_fractions_of_as_many_trials(share, number):
    expected = fraction_interval(int(share * number), number)
    assert mean_interval(np.full(number, share)) == expected


def test_means_of_yes_and_no_are_fractions_and_more_runs_say_more():
    flags = np.arange(60) % 3 == 0
    mean, fraction = mean_interval(flags), fraction_interval(20, 60)
    assert mean.ends == pytest.approx(fraction.ends, abs=0.02)
    rates = np.full(60, 1 / 3) + np.tile([-0.1, 0.1], 30)
    assert mean_interval(rates).high - mean_interval(rates).low < 0.3 * (mean.high - mean.low)


def test_means_have_the_unit_of_their_bounds_and_leave_out_nan():
    values = np.array([0.2, 0.5, np.nan, 0.9])
    scaled = mean_interval(2 * values - 1, -1, 1)
    assert scaled.ends == pytest.approx(mean_interval(values).map(lambda x: 2 * x - 1).ends)
    assert mean_interval(values).value == pytest.approx(1.6 / 3)
    assert np.isnan(mean_interval([np.nan]).ends).all()


def test_the_rate_is_events_over_time_with_garwoods_interval():
    expected = (9 / 359, chi2.ppf(0.025, 18) / 2 / 359, chi2.ppf(0.975, 20) / 2 / 359)
    assert rate_interval(9, 359.0).ends == pytest.approx(expected)
    value, low, high = rate_interval(0, 10.0).ends
    assert (value, low) == (0, 0)
    assert high == pytest.approx(-np.log(0.025) / 10)  # P(no event) = 2.5 %
    assert np.isnan(rate_interval(0, 0.0).ends).all()


def test_the_ratio_of_rates_is_refuted_by_the_conditional_binomial():
    """1 in 15,145 against 7 in 9,219: neither five times as fast, nor as fast."""
    ratio = rate_ratio_interval(1, 15_145, 7, 9_219)
    assert ratio.value == pytest.approx(9_219 / 15_145 / 7)
    assert ratio.high < 1
    p = ratio.high * 15_145 / (ratio.high * 15_145 + 9_219)
    assert binom.cdf(1, 8, p) == pytest.approx(0.025)
    turned = rate_ratio_interval(7, 9_219, 1, 15_145)
    assert (turned.low, turned.high) == pytest.approx((1 / ratio.high, 1 / ratio.low))


def test_ratios_without_events():
    assert rate_ratio_interval(3, 10, 0, 10).high == rate_ratio_interval(3, 10, 0, 10).value
    assert rate_ratio_interval(3, 10, 0, 10).value == np.inf
    assert rate_ratio_interval(0, 10, 3, 10).low == 0
    assert np.isnan(rate_ratio_interval(0, 10, 0, 10).ends).all()
    assert np.isnan(rate_ratio_interval(1, 10, 0, 0).ends).all()


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
