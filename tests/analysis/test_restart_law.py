"""Escape laws: fits against planted laws, cut-offs against sums, and Luby's sequence."""

import numpy as np
import pytest

from rrjax.analysis.restart_law import (
    EscapeLaw,
    best_restart,
    expected_luby,
    expected_segments,
    exponential_test,
    fit_escape_law,
    luby,
    solved_within,
)
from rrjax.analysis.survival import Waits

LAW = EscapeLaw(trapped=0.3, delay=4, hazard=0.08)


def sample(law: EscapeLaw, number: int, watched: int, seed: int) -> Waits:
    rng = np.random.default_rng(seed)
    times = law.delay + rng.geometric(law.hazard, number).astype(float)
    times[rng.random(number) < law.trapped] = np.inf
    return Waits(np.minimum(times, watched), times <= watched)


def log_likelihood(law: EscapeLaw, waits: Waits) -> float:
    steps = waits.durations[waits.observed] - law.delay
    density = (1 - law.trapped) * law.hazard * (1 - law.hazard) ** (steps - 1)
    later = 1 - law.solved_by(waits.durations[~waits.observed])
    return float(np.log(density).sum() + np.log(np.maximum(later, 1e-300)).sum())


def test_a_planted_law_is_found():
    law = fit_escape_law(sample(LAW, 20_000, 60, seed=0))
    assert law.delay == 4
    assert law.trapped == pytest.approx(0.3, abs=0.015)
    assert law.hazard == pytest.approx(0.08, abs=0.003)


@pytest.mark.parametrize("watched", [12, 25, 80])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_law_is_likelier(watched, seed):
    waits = sample(LAW, 60, watched, seed)
    law = fit_escape_law(waits)
    best = log_likelihood(law, waits)
    for trapped in np.linspace(0, 0.95, 96):
        for hazard in np.linspace(0.005, 0.6, 120):
            other = EscapeLaw(float(trapped), law.delay, float(hazard))
            assert log_likelihood(other, waits) <= best + 1e-9


def test_ends_of_the_fit():
    assert fit_escape_law(Waits(np.full(3, 9.0), np.zeros(3, bool))).trapped == 1
    all_solved = fit_escape_law(Waits(np.array([3.0, 5, 4]), np.ones(3, bool)))
    assert (all_solved.trapped, all_solved.delay) == (0, 2)
    assert all_solved.hazard == pytest.approx(0.5)
    at_once = fit_escape_law(Waits(np.array([2.0, 2, 10]), np.array([True, True, False])))
    assert at_once.trapped == pytest.approx(1 / 3)
    late = fit_escape_law(Waits(np.array([1.0, 10, 10, 10]), np.array([True, True, True, False])))
    assert late.trapped == 0  # more escape late than early: not yet over
    with pytest.raises(ValueError, match="watched equally long; got 3 to 4"):
        fit_escape_law(Waits(np.array([3.0, 4, 1]), np.array([False, False, True])))
    with pytest.raises(ValueError, match="durations must be"):
        fit_escape_law(Waits(np.empty(0), np.empty(0, bool)))


def test_the_mean_of_a_cutoff_is_that_of_runs():
    rng, cutoff = np.random.default_rng(0), 15
    total = np.zeros(20_000)
    unsolved = np.ones(20_000, bool)
    while unsolved.any():
        times = LAW.delay + rng.geometric(LAW.hazard, len(total)).astype(float)
        times[rng.random(len(total)) < LAW.trapped] = np.inf
        total += np.where(unsolved, 2 + np.minimum(times, cutoff), 0)
        unsolved &= times > cutoff
    expected = expected_segments(LAW, cutoff, cost=2)
    assert total.mean() == pytest.approx(expected, rel=4 * total.std() / total.mean() / 141)
    assert expected_segments(LAW, LAW.delay) == np.inf


@pytest.mark.parametrize("cost", [0.0, 3.0])
@pytest.mark.parametrize("law", [LAW, EscapeLaw(0.7, 10, 0.01), EscapeLaw(0.05, 2, 0.002)])
def test_the_best_cutoff_is_the_least_of_all(law, cost):
    cutoffs = np.arange(law.delay + 1, 6000)
    means = np.array([expected_segments(law, int(cutoff), cost) for cutoff in cutoffs[::7]])
    best = best_restart(law, cost)
    # the continuum is off by the half of a segment that a whole one is late
    assert best.expected == pytest.approx(means.min(), rel=0.1)
    assert expected_segments(law, round(best.cutoff), cost) <= means.min() * 1.01


def test_cutoffs_at_the_ends():
    assert best_restart(EscapeLaw(0.0, 3, 0.1)).cutoff == np.inf
    assert best_restart(EscapeLaw(1.0, 0, np.nan)).expected == np.inf
    free = best_restart(EscapeLaw(0.5, 0, 0.1))
    rate = -np.log(0.9)
    assert free.cutoff == 0
    assert free.expected == pytest.approx(1 / (0.5 * rate))


def test_a_budget_is_filled_with_starts():
    rng = np.random.default_rng(1)
    times = LAW.delay + rng.geometric(LAW.hazard, (50_000, 3)).astype(float)
    times[rng.random(times.shape) < LAW.trapped] = np.inf
    solved = ((times[:, :2] <= 15).any(axis=1)) | (times[:, 2] <= 10)
    assert solved_within(LAW, 15, 40) == pytest.approx(solved.mean(), abs=0.007)


def test_an_exponential_law_passes_and_others_fail():
    p_values = [exponential_test(sample(LAW, 150, 60, seed), 99).p_value for seed in range(20)]
    assert 0.2 < np.mean(p_values) < 0.8
    assert np.sum(np.array(p_values) <= 0.05) <= 4
    rng = np.random.default_rng(0)
    late = Waits(np.clip(np.round(rng.normal(30, 3, 150)), 5, 60), np.ones(150, bool))
    assert exponential_test(late, 99).p_value == pytest.approx(0.01)
    assert np.isnan(exponential_test(Waits(np.full(4, 9.0), np.zeros(4, bool))).p_value)


def test_lubys_sequence():
    assert luby(15).tolist() == [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
    assert luby(3).tolist() == [1, 1, 2]


@pytest.mark.parametrize("unit", [1, 3])
@pytest.mark.parametrize("law", [LAW, EscapeLaw(0.7, 10, 0.01), EscapeLaw(0.9, 0, 0.5)])
def test_lubys_mean_is_the_sum_over_its_terms_and_near_the_best(law, unit):
    cutoffs = unit * luby(2**16 - 1)
    segments = np.arange(cutoffs.max() + 1)
    one_start = np.concatenate([[0], np.cumsum(1 - law.solved_by(segments))])[cutoffs]
    unsolved = np.concatenate([[1], np.cumprod(1 - law.solved_by(cutoffs))[:-1]])
    mean = expected_luby(law, unit, cost=2)
    assert mean == pytest.approx(np.sum(unsolved * (2 + one_start)))
    best = min(expected_segments(law, cutoff, cost=2) for cutoff in range(1, 1000))
    assert best <= mean <= best * (1 + np.log2(best))


def test_lubys_mean_at_the_ends():
    assert expected_luby(EscapeLaw(1.0, 0, np.nan)) == np.inf
    assert expected_luby(EscapeLaw(0.0, 0, 0.25), unit=5) == pytest.approx(4)  # no memory
    with pytest.raises(ValueError, match="unit must be at least 1, got 0"):
        expected_luby(LAW, unit=0)
