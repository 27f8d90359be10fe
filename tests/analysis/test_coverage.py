"""Every interval that a table prints covers 93 % and more where it claims 95 %.

Fractions and rates are held against all counts, the others by simulation. The kinds are those of
`rrjax.analysis.intervals`, `separation`, `controls`, `paired` and `survival`; a table prints no
other.
"""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binom, poisson

from rrjax.analysis.controls import auc_given, auc_near
from rrjax.analysis.intervals import (
    Interval,
    fraction_interval,
    mean_interval,
    median_interval,
    rate_interval,
    rate_ratio_interval,
    student_interval,
)
from rrjax.analysis.paired import paired_difference
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.survival import kaplan_meier

LEAST = 0.93

NUMBERS = pytest.mark.parametrize("number", [150, pytest.param(1500, marks=pytest.mark.slow)])
"""Simulated cases of a test: enough to see a wrong method, and enough to measure a right one."""


def covers(interval: Interval, truth: float) -> bool:
    return bool(interval.low <= truth <= interval.high)


def share_covered(intervals, truth: float) -> float:
    return float(np.mean([covers(interval, truth) for interval in intervals]))


@pytest.mark.parametrize("n", [1, 9, 64, 500])
def test_fractions(n):
    interval = fraction_interval(np.arange(n + 1), n)
    for p in np.concatenate([np.linspace(0.002, 0.998, 300), [0.18 / n, 1 / n, 1 - 1 / n]]):
        inside = (interval.low <= p) & (p <= interval.high)
        assert binom.pmf(np.arange(n + 1), n, p)[inside].sum() > 0.95 - 1e-9


def test_rates():
    counts = np.arange(200)
    ends = np.array([rate_interval(count, 10.0).ends for count in counts.tolist()])
    for events in np.concatenate([np.linspace(0.01, 20, 300), [60.0, 100.0]]):
        inside = (ends[:, 1] <= events / 10) & (events / 10 <= ends[:, 2])
        assert poisson.pmf(counts, events)[inside].sum() > 0.95 - 1e-9


@NUMBERS
@pytest.mark.parametrize(("first", "second"), [(1, 7), (0.5, 0.5), (30, 20)])
def test_ratios_of_rates(first, second, number):
    rng = np.random.default_rng(0)
    counts = rng.poisson((first, second), (number, 2)).tolist()
    intervals = [rate_ratio_interval(a, 15_145, b, 9_219) for a, b in counts if a + b]
    assert share_covered(intervals, (first / 15_145) / (second / 9_219)) >= LEAST


def test_medians():
    rng = np.random.default_rng(1)
    for n in (6, 7, 9, 64):
        for values in (rng.exponential(size=(n, 4000)), rng.integers(0, 3, (n, 4000))):
            truth = np.log(2) if values.dtype == float else 1
            interval = median_interval(values)
            assert np.mean((interval.low <= truth) & (truth <= interval.high)) >= LEAST


def fractions_of_runs(rng, number, n, K, mean, alike):
    """Returns (number, n) the fraction of K runs that solve a puzzle; all or none for `alike` 1."""
    size = 1 / alike - 1
    return rng.binomial(K, rng.beta(mean * size, (1 - mean) * size, (number, n))) / K


@NUMBERS
@pytest.mark.parametrize("n", [9, 64])
@pytest.mark.parametrize("mean", [0.02, 0.5])
@pytest.mark.parametrize(("K", "alike"), [(4, 0.05), (16, 0.4)])
def test_means_of_fractions(n, mean, K, alike, number):
    rows = fractions_of_runs(np.random.default_rng(2), number, n, K, mean, alike)
    assert share_covered(map(mean_interval, rows), mean) >= LEAST


@NUMBERS
@pytest.mark.parametrize("rho", [0.0, 0.7, 0.95])
def test_means_of_rank_correlations(rho, number):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 4))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=x.shape)
    distance = x.argsort(axis=1).argsort(axis=1) - y.argsort(axis=1).argsort(axis=1)
    spearman = 1 - 6 * (distance**2).sum(axis=1) / (4 * 15)
    for n in (3, 9):
        rows = rng.choice(spearman, (number, n))
        intervals = [mean_interval(row, -1, 1) for row in rows]
        assert share_covered(intervals, spearman.mean()) >= LEAST


@NUMBERS
def test_means_over_seeds(number):
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(number, 3))
    assert share_covered(map(student_interval, rows.tolist()), 0) >= LEAST


SHIFT = {a: np.sqrt(2) * NormalDist().inv_cdf(a) for a in (0.5, 0.8, 0.93, 0.99)}


def scored(rng, kind, truth, num_positive, num_negative, number):
    """Returns scores (n, number) with this AUC: normal, of other spread, or exponential."""
    positive = np.arange(num_positive + num_negative) < num_positive
    shape, column = (len(positive), number), positive[:, None]
    if kind == "exponential":
        scale = np.where(column, truth / (1 - truth), 1)
        return rng.exponential(size=shape) * scale, positive
    spread = 3 if kind == "wide" else 1
    shift = SHIFT[truth] * np.sqrt((1 + spread**2) / 2)
    return rng.normal(size=shape) * np.where(column, spread, 1) + shift * column, positive


def auc_coverage(kind, truth, groups, number):
    interval = auc_interval(*scored(np.random.default_rng(5), kind, truth, *groups, number))
    return np.mean((interval.low <= truth) & (truth <= interval.high))


@pytest.mark.parametrize(
    ("kind", "truth", "groups"),
    [
        ("normal", 0.99, (83, 45)),
        ("exponential", 0.99, (83, 45)),
        ("exponential", 0.93, (10, 54)),
        ("wide", 0.8, (10, 54)),
        ("wide", 0.5, (3, 10)),
    ],
)
def test_aucs(kind, truth, groups):
    assert auc_coverage(kind, truth, groups, 250) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "wide", "exponential"])
@pytest.mark.parametrize("groups", [(83, 45), (10, 54), (54, 10), (3, 10), (5, 60), (12, 12)])
def test_aucs_thoroughly(kind, groups):
    for truth in SHIFT:
        assert auc_coverage(kind, truth, groups, 600) >= LEAST


@pytest.mark.slow
def test_aucs_of_random_groups_thoroughly():
    """64 puzzles of which 15 % are solved, as many as chance has it."""
    rng, covered = np.random.default_rng(6), []
    for _ in range(2000):
        number = rng.binomial(64, 0.15)
        if number >= 3:
            scores, positive = scored(rng, "exponential", 0.93, number, 64 - number, 1)
            covered.append(covers(auc_interval(scores[:, 0], positive), 0.93))
    assert np.mean(covered) >= LEAST


def planted_null(rng, n, slope):
    """Returns scores that follow a value alone, outcomes that follow it alone, and the value."""
    value = rng.normal(size=n)
    solved = rng.random(n) < 1 / (1 + np.exp(slope * value + 0.5))
    return -value - 0.3 * rng.normal(size=n), solved, value


@NUMBERS
@pytest.mark.parametrize("slope", [3, 8])
def test_aucs_among_runs_near_in_a_value_under_the_planted_null(slope, number):
    rng = np.random.default_rng(7)
    cases = [planted_null(rng, 128, slope) for _ in range(number // 2)]
    intervals = [auc_near(*case) for case in cases]
    assert np.mean([auc_interval(score, solved).value for score, solved, _ in cases]) > 0.88
    assert np.nanmean([interval.value for interval in intervals]) == pytest.approx(0.5, abs=0.03)
    assert share_covered(intervals, 0.5) >= LEAST


@NUMBERS
def test_aucs_among_runs_of_equal_value_under_the_planted_null(number):
    """Six bins of these leave .53 where ½ is right: within a bin the value still tells."""
    rng, intervals = np.random.default_rng(8), []
    for _ in range(number // 2):
        _, solved, value = planted_null(rng, 128, 3)
        clues = np.round(3 * value)
        intervals.append(auc_given(-clues - 0.3 * rng.normal(size=128), solved, clues))
    assert np.mean([i.value for i in intervals]) == pytest.approx(0.5, abs=0.02)
    assert share_covered(intervals, 0.5) >= LEAST


@NUMBERS
@pytest.mark.parametrize(
    "shares", [[0.1, 0.3, 0.3, 0.3], [0.5, 0.01, 0.0, 0.49], [0.45, 0.05, 0.05, 0.45]]
)
@pytest.mark.parametrize("n", [9, 64])
def test_paired_differences(shares, n, number):
    """Shares of puzzles that both solve, only the second, only the first, and none."""
    kinds = np.random.default_rng(9).choice(4, (number, n), p=shares)
    intervals = [paired_difference((k == 0) | (k == 2), (k == 0) | (k == 1)) for k in kinds]
    assert share_covered(intervals, shares[1] - shares[2]) >= LEAST


@NUMBERS
@pytest.mark.parametrize(("n", "hazard"), [(9, 0.05), (45, 0.001), (45, 0.2)])
def test_survival_curves(n, hazard, number):
    """Half of the runs are watched for 20 segments, the others for random times."""
    rng, intervals = np.random.default_rng(10), []
    for _ in range(number):
        events = rng.geometric(hazard, n)
        ends = np.where(np.arange(n) < n // 2, 20, rng.integers(5, 20, n))
        curve = kaplan_meier(np.minimum(events, ends), events <= ends)
        place = np.searchsorted(curve.times, 10, "right") - 1
        intervals.append(curve.survival.at(int(place)))
    assert share_covered(intervals, (1 - hazard) ** 10) >= LEAST
