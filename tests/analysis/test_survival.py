"""Waiting times, Kaplan-Meier curves and rest: by hand, by SciPy, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.survival import escapes, kaplan_meier, rest_segments, while_moving

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


def test_without_censoring_the_interval_is_that_of_a_fraction():
    durations = np.array([3, 1, 2, 2, 5, 9, 9, 9])
    curve = kaplan_meier(durations, durations < 9)
    left = [int(np.sum(durations > time)) for time in curve.times]
    expected = fraction_interval(np.array(left), 8)
    np.testing.assert_allclose(curve.survival.ends, expected.ends, atol=1e-12)
    gone = kaplan_meier([1, 2], np.ones(2, bool)).survival
    assert (gone.value[-1], gone.low[-1]) == (0, 0)
    assert gone.high[-1] == pytest.approx(fraction_interval(0, 2).high)


def test_the_interval_with_censoring_is_that_of_the_product_of_betas():
    curve = kaplan_meier([1, 2, 3, 4, 5, 6], np.array([True, False, True, False, False, False]))
    rng = np.random.default_rng(0)
    upper = rng.beta(6, 1, 400_000) * rng.beta(4, 1, 400_000)
    lower = upper * rng.beta(3, 1, 400_000)
    assert curve.survival.value[-1] == pytest.approx(5 / 6 * 3 / 4)
    assert curve.survival.high[-1] == pytest.approx(np.quantile(upper, 0.975), abs=0.004)
    assert curve.survival.low[-1] == pytest.approx(np.quantile(lower, 0.025), abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_agrees_with_scipy(seed):
    durations, observed = random_waits(seed)
    data = CensoredData(uncensored=durations[observed], right=durations[~observed])
    curve = kaplan_meier(durations, observed)
    expected = ecdf(data).sf.evaluate(curve.times)
    np.testing.assert_allclose(curve.survival.value, expected, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30))
def test_a_curve_falls_inside_its_interval(waits):
    durations, observed = (np.array(column) for column in zip(*waits, strict=True))
    value, low, high = kaplan_meier(durations, observed).survival.ends
    assert np.all(np.diff(value) < 0)
    assert np.all((low >= 0) & (low <= value) & (value <= high) & (high <= 1))
    assert np.all(low < high)


def test_the_order_does_not_matter_and_the_unit_scales():
    durations, observed = random_waits(7)
    curve = kaplan_meier(durations, observed)
    order = np.random.default_rng(0).permutation(len(durations))
    other = kaplan_meier(21 * durations[order], observed[order])
    np.testing.assert_array_equal(other.survival.ends, curve.survival.ends)
    np.testing.assert_array_equal(other.times, 21 * curve.times)


def test_without_censoring_the_curve_counts_who_is_left():
    durations = np.array([3, 1, 2, 2, 5])
    value = kaplan_meier(durations, np.ones(5, bool)).survival.value
    np.testing.assert_allclose(value, [1, 4 / 5, 2 / 5, 1 / 5, 0], atol=1e-15)


def test_nothing_to_wait_for_and_nothing_happening():
    nobody = kaplan_meier([], np.zeros(0, bool))
    assert np.isnan(nobody.survival.ends).all()
    still = kaplan_meier([5, 5], np.zeros(2, bool))
    assert (still.times.tolist(), still.survival.value.tolist()) == ([0], [1])
    assert still.survival.high.tolist() == [1]
    assert still.survival.low[0] == pytest.approx(fraction_interval(2, 2).low)


def test_runs_at_rest_are_waited_for_as_long_as_they_move():
    nan, small = np.nan, 1e-7
    residual = np.array(
        [
            [1.0, 1.0, small, small, small],  # at rest after segment 2
            [1.0, small, 1.0, small, small],  # it moves again in segment 3
            [1.0, 1.0, 1.0, 1.0, 1.0],
            [small, small, small, small, small],
            [small, small, small, small, nan],
            [1.0, 1.0, 1.0, 1.0, small],
        ]
    )
    rest = rest_segments(residual, 1e-6)
    assert rest.tolist() == [2, 3, 5, 0, 5, 4]
    solved = np.zeros((6, 5), bool)
    solved[5, 3:] = True
    waits = escapes(solved, 2)
    moving = while_moving(waits, np.ones(6, bool), rest, 2)
    assert waits.durations.tolist() == [3, 3, 3, 3, 3, 2]
    assert moving.durations.tolist() == [0, 1, 3, 0, 3, 2]
    assert moving.observed.tolist() == waits.observed.tolist()


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
    ],
)
def test_bad_requests_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
