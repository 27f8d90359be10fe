"""Policies: rules against loops, and budgets against shorter runs."""

import numpy as np
import pytest

from rrjax.analysis import policies
from rrjax.analysis.policies import Runs, frontier, name_boards, right_choices

N, K, S = 40, 5, 12


@pytest.fixture(scope="module")
def boards() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (N, K, S, 2))


@pytest.fixture(scope="module")
def runs(boards) -> Runs:
    rng = np.random.default_rng(1)
    q, residual, change, lambda1 = rng.normal(size=(4, N, K, S))
    valid = rng.random((N, K, S)) < 0.05
    return Runs(name_boards(boards), q, residual**2, change**2, lambda1, valid)


@pytest.fixture(scope="module")
def solved() -> np.ndarray:
    return np.random.default_rng(2).random((N, K, S)) < 0.3


def test_equal_boards_have_equal_names(boards):
    names = name_boards(boards)
    for puzzle in range(3):
        flat, of_flat = boards[puzzle].reshape(-1, 2), names[puzzle].ravel()
        same = (flat[:, None] == flat[None]).all(axis=2)
        np.testing.assert_array_equal(of_flat[:, None] == of_flat[None], same)


def test_rules_choose_as_loops_do(runs):
    chosen = {
        name: getattr(policies, name)(runs)
        for name in (
            "plain",
            "best_q",
            "smallest_residual",
            "smallest_logit_change",
            "smallest_lambda1",
            "vote",
            "vote_by_q",
            "halt_first",
            "first_valid",
        )
    }
    for p in range(N):
        last = runs.answers[p, :, -1]
        sigma = 1 / (1 + np.exp(-runs.q_halt[p, :, -1]))
        expected = {
            "plain": 0,
            "best_q": max(range(K), key=lambda r: runs.q_halt[p, r, -1]),
            "smallest_residual": min(range(K), key=lambda r: runs.residual[p, r, -1]),
            "smallest_logit_change": min(
                range(K), key=lambda r: runs.logit_change[p, r, -3:].sum()
            ),
            "smallest_lambda1": min(range(K), key=lambda r: runs.lambda1[p, r, -1]),
            "vote": max(range(K), key=lambda r: (np.sum(last == last[r]), -r)),
        }
        for name, run in expected.items():
            assert chosen[name].run[p] == run, name
            assert chosen[name].segment[p] == S - 1
        weight = [sigma[last == answer].sum() for answer in last]
        assert weight[chosen["vote_by_q"].run[p]] == pytest.approx(max(weight))
        for name, flags in {"halt_first": runs.q_halt[p] > 0, "first_valid": runs.valid[p]}.items():
            segment = next((s for s in range(S) if flags[:, s].any()), None)
            if segment is None:
                assert (chosen[name].run[p], chosen[name].segment[p]) == (0, S - 1)
                continue
            assert chosen[name].segment[p] == segment
            assert chosen[name].spent[p] == K * (segment + 1)
            assert flags[chosen[name].run[p], segment]
    assert (chosen["plain"].spent == S).all()
    assert (chosen["vote"].spent == K * S).all()
    assert (chosen["smallest_lambda1"].spent == 2 * K * S).all()


def test_a_smaller_budget_is_read_off_the_same_runs(runs, solved):
    points = frontier({"vote": policies.vote}, runs, solved, solved[:, 0], 21)
    assert [(p.num_runs, p.num_segments) for p in points] == [
        (k, d) for k in (1, 2, 4, 5) for d in (1, 2, 4, 8, 12)
    ]
    for point in points:
        cut = runs.cut(point.num_runs, point.num_segments)
        assert cut.answers.shape[1:] == (point.num_runs, point.num_segments)
        right = right_choices(policies.vote(cut), solved)
        assert point.accuracy.value == pytest.approx(right.mean())
        spent = point.num_runs * point.num_segments
        assert point.evaluations == 21 * spent
        if spent <= S:
            difference = right.mean() - solved[:, 0, spent - 1].mean()
            assert point.gain.value == pytest.approx(difference)
        else:
            assert np.isnan(point.gain.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"residual": np.zeros((N, K, S - 1))}, "residual must be numbers of shape"),
        ({"answers": np.zeros((N, K), int)}, "answers must be integers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(runs, change, message):
    arrays = {"answers": runs.answers, "q_halt": runs.q_halt, "residual": runs.residual}
    with pytest.raises(ValueError, match=message):
        Runs(**(arrays | {"logit_change": runs.logit_change} | change))


def test_policies_that_need_what_is_not_there_are_refused(runs):
    bare = Runs(runs.answers, runs.q_halt * np.nan, runs.residual, runs.logit_change)
    for rule in (policies.best_q, policies.halt_first, policies.vote_by_q):
        with pytest.raises(ValueError, match="the model has none"):
            rule(bare)
    with pytest.raises(ValueError, match="λ₁ was measured"):
        policies.smallest_lambda1(bare)
    with pytest.raises(ValueError, match="rules can be asked"):
        policies.first_valid(bare)
