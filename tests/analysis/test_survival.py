"""Waiting times, Kaplan-Meier curves and rates: by hand, by SciPy, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, chi2, ecdf

from rrjax.analysis.survival import escapes, exponential_rate, kaplan_meier

# 6-MP group of Freireich et al. 1963: the textbook example of Kaplan-Meier with censoring
TIMES = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
RELAPSED = np.arange(21) < 9


def random_waits(seed, number=40):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 15, number), rng.random(number) < 0.6


def test_kaplan_meier_of_the_textbook_example():
    curve = kaplan_meier(TIMES, RELAPSED)
    assert curve.times.tolist() == [0, 6, 7, 10, 13, 16, 22, 23]
    assert curve.num_at_risk.tolist() == [21, 21, 17, 15, 12, 11, 7, 6]
    assert curve.num_events.tolist() == [0, 3, 1, 1, 1, 1, 1, 1]
    published = [1, 0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    np.testing.assert_allclose(curve.survival.value, published, atol=5e-5)
    assert curve.end == 35


def test_the_interval_is_greenwoods_on_the_log_log_scale():
    # three of four by hand: S = 3/4 · 1/2 with one censored between, V = 1/(4·3) + 1/(2·1)
    curve = kaplan_meier([1, 2, 3, 4], np.array([True, False, True, False]))
    s, v = 3 / 8, 1 / 12 + 1 / 2
    reach = 1.959963984540054 * np.sqrt(v) / np.log(s)
    assert curve.survival.value[-1] == pytest.approx(s)
    assert curve.survival.low[-1] == pytest.approx(s ** np.exp(-reach))
    assert curve.survival.high[-1] == pytest.approx(s ** np.exp(reach))


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")  # where S = 0
@pytest.mark.parametrize("seed", range(5))
def test_curve_and_interval_agree_with_scipy(seed):
    durations, observed = random_waits(seed)
    data = CensoredData(uncensored=durations[observed], right=durations[~observed])
    survival = ecdf(data).sf
    curve = kaplan_meier(durations, observed)
    value = survival.evaluate(curve.times)
    np.testing.assert_allclose(curve.survival.value, value, atol=1e-12)
    ends = survival.confidence_interval(0.95, method="log-log")
    inside = (value > 0) & (value < 1)
    low, high = (end.evaluate(curve.times)[inside] for end in (ends.low, ends.high))
    np.testing.assert_allclose(curve.survival.low[inside], low, atol=1e-12)
    np.testing.assert_allclose(curve.survival.high[inside], high, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30))
def test_a_curve_falls_inside_its_interval(waits):
    durations, observed = (np.array(column) for column in zip(*waits, strict=True))
    value, low, high = kaplan_meier(durations, observed).survival.ends
    assert np.all(np.diff(value) < 0)
    defined = value > 0
    assert np.all((low[defined] >= 0) & (low[defined] <= value[defined]))
    assert np.all((value[defined] <= high[defined]) & (high[defined] <= 1))
    assert np.isnan([low[~defined], high[~defined]]).all()


def test_the_order_does_not_matter_and_the_unit_scales():
    durations, observed = random_waits(7)
    curve, rate = kaplan_meier(durations, observed), exponential_rate(durations, observed)
    order = np.random.default_rng(0).permutation(len(durations))
    other = kaplan_meier(21 * durations[order], observed[order])
    np.testing.assert_array_equal(other.survival.ends, curve.survival.ends)
    np.testing.assert_array_equal(other.times, 21 * curve.times)
    slower = exponential_rate(21 * durations, observed)
    np.testing.assert_allclose(slower.ends, np.array(rate.ends) / 21)


def test_without_censoring_the_curve_counts_who_is_left():
    durations = np.array([3, 1, 2, 2, 5])
    value = kaplan_meier(durations, np.ones(5, bool)).survival.value
    np.testing.assert_allclose(value, [1, 4 / 5, 2 / 5, 1 / 5, 0], atol=1e-15)


def test_nothing_to_wait_for_and_nothing_happening():
    nobody = kaplan_meier([], np.zeros(0, bool))
    assert np.isnan(nobody.survival.ends).all()
    assert np.isnan(exponential_rate([], np.zeros(0, bool)).ends).all()
    assert np.isnan(exponential_rate([0, 0], np.zeros(2, bool)).ends).all()
    assert np.isnan(exponential_rate([3], np.ones(1, bool), start=2.0, stop=2.0).ends).all()
    still = kaplan_meier([5, 5], np.zeros(2, bool))
    assert (still.times.tolist(), still.survival.value.tolist()) == ([0], [1])
    value, low, high = exponential_rate([5, 5], np.zeros(2, bool)).ends
    assert (value, low) == (0, 0)
    assert high == pytest.approx(-np.log(0.025) / 10)  # P(no event) = 2.5 %


def test_the_rate_is_events_over_time_with_garwoods_interval():
    rate = exponential_rate(TIMES, RELAPSED)
    total = TIMES.sum()
    assert total == 359
    expected = (9, chi2.ppf(0.025, 18) / 2, chi2.ppf(0.975, 20) / 2)
    np.testing.assert_allclose(rate.ends, np.array(expected) / total)


def test_the_interval_of_simulated_rates_covers_the_true_one():
    rng, true, hits = np.random.default_rng(1), 0.03, 0
    for _ in range(400):
        waits = rng.exponential(1 / true, 50)
        rate = exponential_rate(np.minimum(waits, 40), waits <= 40)
        hits += rate.low <= true <= rate.high
    assert 0.94 * 400 <= hits <= 0.995 * 400


def test_the_rates_of_windows_add_up_and_see_a_change():
    rng = np.random.default_rng(2)
    first = rng.exponential(5, 4000)
    waits = np.where(first < 10, first, 10 + rng.exponential(50, 4000))
    observed = waits < 60
    durations = np.minimum(waits, 60)
    early = exponential_rate(durations, observed, stop=10.0)
    late = exponential_rate(durations, observed, start=10.0)
    assert early.low < 1 / 5 < early.high
    assert late.low < 1 / 50 < late.high
    whole = exponential_rate(durations, observed)
    before = np.minimum(durations, 10).sum()
    after = durations.sum() - before
    total = early.value * before + late.value * after
    assert whole.value == pytest.approx(total / durations.sum())


def test_escapes_of_the_failures_at_the_readout():
    solved = np.array(
        [
            [0, 1, 1, 1, 1],  # solved at the readout
            [0, 0, 1, 0, 1],  # escapes at once; what comes later does not count
            [0, 0, 0, 0, 1],
            [1, 0, 0, 0, 0],  # lost the answer before, and does not find it again
        ],
        dtype=bool,
    )
    waits = escapes(solved, 2)
    assert waits.durations.tolist() == [1, 3, 3]
    assert waits.observed.tolist() == [True, True, False]
    end = escapes(solved, 5)
    assert (end.durations.tolist(), end.observed.tolist()) == ([0], [False])
    assert len(escapes(np.ones((3, 2), bool), 1).durations) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: escapes(np.ones((2, 3), bool), 0), r"readout_segment must lie in 1\.\.3"),
        (lambda: escapes(np.ones((2, 3), bool), 4), r"readout_segment must lie in 1\.\.3"),
        (lambda: escapes(np.ones((2, 3)), 1), "solved must be booleans"),
        (lambda: kaplan_meier([1, 2], np.ones(3, bool)), "observed must be booleans of shape"),
        (lambda: kaplan_meier([1], np.ones(1)), "observed must be booleans of shape"),
        (lambda: kaplan_meier([-1], np.ones(1, bool)), "not negative"),
        (lambda: exponential_rate([np.nan], np.ones(1, bool)), "not negative"),
    ],
)
def test_bad_requests_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
