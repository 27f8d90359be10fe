"""Restarts: on maps with a known law they cost what the law says, and no label steers them."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.analysis.policies import Runs, right_choices
from rrjax.analysis.restart_law import (
    EscapeLaw,
    best_whole_cutoff,
    expected_luby,
    expected_segments,
    fit_escape_law,
    luby,
    solved_within,
)
from rrjax.analysis.restarting import (
    LubyRestarts,
    Restarting,
    RestartsAdrift,
    RestartsAtRest,
    choose_restarts,
    unchanged_for,
)
from rrjax.analysis.tuned_restarts import summarize_restarts, tune_restarts, waits_until_right
from rrjax.systems.maps import logistic

PUZZLES, STARTS, SEGMENTS = 4000, 15, 16
LAW = EscapeLaw(trapped=0.3, delay=1, hazard=0.25)


class Planted(NamedTuple):
    """Runs of a map, which of them are right, and which starts were planted as trapped ones."""

    runs: Runs
    solved: np.ndarray
    trapped: np.ndarray


def of_map(step, starts: np.ndarray, solves) -> tuple[Runs, np.ndarray]:
    """What is seen of a map from starts (N, K); q and the answer say whether it is solved."""

    def one(start):
        return rrjax.rollout(rrjax.Dynamics.from_map(step, start), SEGMENTS).readout

    states = np.asarray(jax.jit(jax.vmap(jax.vmap(one)))(jnp.asarray(starts)))
    before = np.concatenate([starts[:, :, None], states[:, :, :-1]], axis=2)
    moved = np.abs(states - before) / np.maximum(np.abs(states), 1e-30)
    solved = np.asarray(solves(states))
    return Runs(solved.astype(int), np.where(solved, 1.0, -1.0), moved, moved), solved


@pytest.fixture(scope="module")
def search() -> Planted:
    """A chaotic search whose law is exact: p = 0.3, d = 1, h = 1/4.

    In θ, where x = sin²(πθ/2), the logistic map is the tent map. Under it the place of a point
    among the quarters of [0, 1] is drawn anew every two updates, which are a segment here. A start
    four below waits for two segments, and x = 3/4 is a fixed point.
    """
    rng = np.random.default_rng(0)
    shape = PUZZLES, STARTS
    x = np.sin(np.pi / 2 * rng.random(shape)) ** 2
    trapped = rng.random(shape) < LAW.trapped
    starts = np.where(trapped, 0.75, x) - 4
    step = lambda x: jnp.where(x < 0, x + 2, logistic(logistic(x)))  # noqa: E731
    hole = np.sin(np.pi / 8) ** 2
    runs, solved = of_map(step, starts, lambda x: (x >= 0) & (x < hole))
    return Planted(runs, solved, trapped)


@pytest.fixture(scope="module")
def basins() -> Planted:
    """A two-basin map: z → ±1, from 2 where it solves and from −2 where it is trapped.

    The distance of both to where they go is 2⁻ˢ after s segments.
    """
    trapped = np.random.default_rng(1).random((PUZZLES, STARTS)) < LAW.trapped
    runs, solved = of_map(
        lambda z: (z + jnp.sign(z)) / 2, np.where(trapped, -2.0, 2.0), lambda z: abs(z - 1) < 0.1
    )
    return Planted(runs, solved, trapped)


def test_the_law_of_the_search_is_the_planted_one(search):
    law = fit_escape_law(waits_until_right(search.solved[:2000]))
    assert law.delay == LAW.delay
    assert law.trapped == pytest.approx(LAW.trapped, abs=0.01)
    assert law.hazard == pytest.approx(LAW.hazard, abs=0.005)


@pytest.mark.parametrize("unit", [1, 2])
def test_lubys_restarts_cost_what_the_law_says(search, unit):
    choice = LubyRestarts(unit=unit)(search.runs, 10**6)
    lengths = np.minimum(unit * luby(STARTS), SEGMENTS)
    one_start = [np.sum(1 - LAW.solved_by(np.arange(length))) for length in lengths]
    unsolved = np.cumprod([1, *(1 - LAW.solved_by(lengths))])
    assert choice.spent.mean() == pytest.approx(np.dot(unsolved[:-1], one_start), rel=0.03)
    solved = right_choices(choice, search.solved).mean()
    assert solved == pytest.approx(1 - unsolved[-1], abs=0.02)


def test_the_best_fixed_length_costs_what_the_law_says_and_luby_its_logarithm_more(search):
    cutoff = best_whole_cutoff(LAW, SEGMENTS)
    fixed = Restarting(cutoff=cutoff)(search.runs, 10**6).spent.mean()
    best = expected_segments(LAW, cutoff)
    assert fixed == pytest.approx(best, rel=0.03)  # 15 starts end early in 0.1 % of the puzzles
    assert best < expected_luby(LAW) < best * (1 + np.log2(best))
    left = 1 - LAW.solved_by(np.arange(cutoff + 2))
    soon = 1 - left[1:] / left[:-1]  # of a start that is unsolved, by how long it has run
    assert soon[cutoff - 1] >= 1 / best > soon[cutoff]  # so the rest of a start is not worth it


def test_trapped_starts_of_two_basins_cost_their_way_to_rest(basins):
    policy = RestartsAtRest(residual=0.02)
    choice = policy(basins.runs, 10**6)
    solves, rests = 4, 6  # 2⁻⁴ < 0.1 ≤ 2⁻³, and 2⁻⁶ < 0.02 ≤ 2⁻⁵
    before = np.where(basins.trapped.all(axis=1), STARTS, basins.trapped.argmin(axis=1))
    is_solved = before < STARTS
    np.testing.assert_array_equal(choice.spent, rests * before + solves * is_solved)
    np.testing.assert_array_equal(right_choices(choice, basins.solved), is_solved)
    expected = solves + rests * LAW.trapped / (1 - LAW.trapped)
    assert choice.spent.mean() == pytest.approx(expected, rel=0.02)


def test_an_answer_that_stays_the_same_is_given_up_in_time(basins):
    choice = RestartsAtRest(residual=0.0, patience=7)(basins.runs, 10**6)
    before = basins.trapped.argmin(axis=1)  # a trapped start: wrong from the 1st to the 8th
    solved = ~basins.trapped.all(axis=1)
    np.testing.assert_array_equal(choice.spent[solved], (8 * before + 4)[solved])
    answers = np.array([[[3, 3, 1, 1, 1, 3]]])
    assert unchanged_for(answers).tolist() == [[[0, 1, 0, 1, 2, 0]]]


def test_flat_drift_and_a_high_exponent_end_a_start(basins):
    shape = basins.solved.shape
    flat = np.where(basins.trapped[:, :, None], np.ones(shape), basins.runs.residual)
    high = np.where(basins.trapped[:, :, None], 0.1, np.full(shape, -0.1))
    policy = RestartsAdrift(patience=3, flat=0.5, lambda1=0.0)
    before = basins.trapped.argmin(axis=1)
    solved = ~basins.trapped.all(axis=1)
    choice = policy(replace(basins.runs, residual=flat, lambda1=high), 10**6)
    # the fourth segment is the first that can be held against one three before; a tangent doubles
    np.testing.assert_array_equal(choice.spent[solved], 2 * (4 * before + 4)[solved])
    np.testing.assert_array_equal(right_choices(choice, basins.solved), solved)
    for residual, lambda1 in ((flat, -high), (basins.runs.residual, 0 * high + 0.1)):
        patient = policy(replace(basins.runs, residual=residual, lambda1=lambda1), 10**6)
        np.testing.assert_array_equal(
            patient.spent[solved], 2 * (SEGMENTS * before + 4)[solved]
        )  # one sign alone is not enough
    half = policy(replace(basins.runs, residual=flat, lambda1=high), 21)
    assert half.spent.max() == 20


@pytest.mark.parametrize(("cutoff", "budget"), [(4, 20), (8, 40), (16, 20)])
def test_restarts_solve_what_the_law_says_within_a_budget(search, cutoff, budget):
    choice = Restarting(cutoff=cutoff)(search.runs, budget)
    expected = solved_within(LAW, cutoff, budget)
    assert right_choices(choice, search.solved).mean() == pytest.approx(expected, abs=0.025)
    assert choice.spent.max() == budget
    assert choice.spent.min() == LAW.delay + 1


def test_a_start_at_rest_with_a_low_q_is_given_up():
    q = np.array([[[-3.0, -3, -3], [-1, -1, 2]]])
    residual = np.array([[[1, 0.0, 0], [1, 1, 1]]])
    runs = Runs(np.zeros((1, 2, 3), int), q, residual, residual)
    waits = Restarting(cutoff=3)(runs, 9)
    gives_up = Restarting(accept_residual=1e-6, trust_q=0.0, cutoff=3)(runs, 9)
    assert (waits.run[0], waits.spent[0]) == (1, 6)
    assert (gives_up.run[0], gives_up.segment[0], gives_up.spent[0]) == (1, 2, 5)
    believes = Restarting(accept_residual=1e-6, trust_q=-5.0, cutoff=3)(runs, 9)
    assert (believes.run[0], believes.segment[0]) == (0, 1)
    short = Restarting(accept_residual=1e-6, trust_q=0.0, cutoff=3)(runs, 4)
    assert (short.run[0], short.segment[0], short.spent[0]) == (1, 1, 4)  # the larger last q


def test_the_best_candidate_on_training_puzzles_is_chosen(search):
    tuning = search.runs.of_puzzles(slice(200)), search.solved[:200]
    candidates = [Restarting(cutoff=cutoff) for cutoff in (1, 4, 16)]
    policy = choose_restarts(candidates, *tuning, 20)
    worth = {c: right_choices(c(tuning[0], 20), tuning[1]).sum() for c in candidates}
    assert worth[policy] == max(worth.values())
    assert policy.cutoff == 4


def test_labels_of_test_puzzles_change_no_threshold_and_no_decision(search):
    number, budget = 20, STARTS * SEGMENTS
    noise = np.random.default_rng(2).normal(size=search.solved[:60].shape)
    runs = replace(search.runs.of_puzzles(slice(60)), lambda1=noise)
    solved = search.solved[:60]
    mixed = solved.copy()
    mixed[number:] = solved[number:][::-1] & (noise[number:] > 0)
    first, second = (
        summarize_restarts(runs, labels, labels[:, 0], 21, number) for labels in (solved, mixed)
    )
    assert len(first) == 6
    assert [tuned.policy for tuned in first] == [tuned.policy for tuned in second]
    assert [tuned.point.evaluations for tuned in first] == [
        tuned.point.evaluations for tuned in second
    ]
    assert all(
        one.point.accuracy.value > two.point.accuracy.value
        for one, two in zip(first, second, strict=True)
    )
    tuning = runs.of_puzzles(slice(number)), solved[:number]
    law = fit_escape_law(waits_until_right(solved[:number]))
    assert tune_restarts(*tuning, law, budget) == {tuned.name: tuned.policy for tuned in first}
    others = {tuned.name: tuned.by_law / 21 for tuned in first}
    assert others["at the law's length"] == pytest.approx(
        min(expected_segments(law, cutoff) for cutoff in range(1, SEGMENTS + 1))
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LubyRestarts(unit=0), "unit must be at least 1, got 0"),
        (lambda: LubyRestarts(accept_q=np.nan), "accept_q must be a number"),
        (lambda: RestartsAtRest(residual=-1e-3), "residual must be finite and at least 0"),
        (lambda: RestartsAtRest(patience=0), "patience must be at least 1"),
        (lambda: RestartsAdrift(patience=0), "patience must be at least 1"),
        (lambda: RestartsAdrift(flat=0.0), "flat must be above 0 and at most 1"),
        (lambda: RestartsAdrift(flat=1.5), "flat must be above 0 and at most 1"),
        (lambda: RestartsAdrift(lambda1=np.inf), "lambda1 must be finite"),
    ],
)
def test_thresholds_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_policies_that_need_what_is_not_there_are_refused(basins):
    runs = basins.runs
    bare = replace(runs, q_halt=runs.q_halt * np.nan)
    for policy in (Restarting(), LubyRestarts(), RestartsAtRest()):
        with pytest.raises(ValueError, match="the model has none"):
            policy(bare, 20)
    with pytest.raises(ValueError, match="needs runs along which λ₁ was measured"):
        RestartsAdrift()(runs, 20)
    with pytest.raises(ValueError, match="budget must be at least 2"):
        RestartsAdrift()(replace(runs, lambda1=runs.residual), 1)
    with pytest.raises(ValueError, match="unit must be at most 16, the segments of a run; got 17"):
        LubyRestarts(unit=17)(runs, 20)
    with pytest.raises(ValueError, match=r"cutoff must lie in 1\.\.16"):
        Restarting(cutoff=17)(runs, 20)
    with pytest.raises(ValueError, match="budget must be at least one segment"):
        LubyRestarts()(runs, 0)
