"""Choosing among runs: AUC within puzzles by loops, and λ₁ that adds something or nothing."""

import numpy as np
import pytest

from rrjax.analysis.choosing import LAMBDA1, compare_scores
from rrjax.analysis.policies import Runs

N, K, S = 300, 6, 4


def example(weight: float) -> tuple[Runs, np.ndarray]:
    """Runs whose outcome follows q and, with a weight, λ₁ at half the depth."""
    rng = np.random.default_rng(5)
    q, residual, change, lambda1 = rng.normal(size=(4, N, K, S))
    hidden = q[:, :, -1] - weight * lambda1[:, :, S // 2 - 1] + 0.5 * rng.normal(size=(N, K))
    solved = np.repeat((hidden > 0)[:, :, None], S, axis=2)
    return Runs(np.zeros((N, K, S), int), q, residual**2, change**2, lambda1), solved


def test_the_area_within_puzzles_is_the_share_of_pairs():
    runs, solved = example(1.0)
    choosing = compare_scores(runs, solved)
    areas = []
    for p in range(N):
        right, wrong = (np.flatnonzero(solved[p, :, -1] == kind) for kind in (True, False))
        if len(right) and len(wrong):
            wins = [runs.q_halt[p, i, -1] > runs.q_halt[p, j, -1] for i in right for j in wrong]
            areas.append(np.mean(wins))
    assert choosing.num_mixed == len(areas)
    assert choosing.within["q"].value == pytest.approx(np.mean(areas))
    assert choosing.within["−residual"].value == pytest.approx(0.5, abs=0.1)


def test_what_lambda1_adds_is_told_from_nothing():
    useful, idle = (compare_scores(*example(weight)) for weight in (1.0, 0.0))
    assert useful.gain.low > 0
    assert idle.gain.low < 0
    given = {rival.name: rival.lambda1_given for rival in useful.rivals}
    assert given["q"].low > 0.5
    assert set(given) == {"q", "−residual", "−change of logits", "q and −residual"}
    assert idle.rivals[0].lambda1_given.low < 0.5 < idle.rivals[0].lambda1_given.high
    assert LAMBDA1 not in given


def test_without_lambda1_or_a_mixed_puzzle_there_is_nothing_to_say():
    runs, solved = example(0.0)
    alike = compare_scores(
        Runs(runs.answers, runs.q_halt, runs.residual, runs.logit_change), solved
    )
    assert not alike.rivals
    assert np.isnan(alike.gain.value)
    every = compare_scores(runs, np.ones_like(solved))
    assert every.num_mixed == 0
    assert np.isnan(every.within["q"].value)
