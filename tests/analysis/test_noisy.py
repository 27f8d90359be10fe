"""The numbers of noisy rollouts, on hand-made runs."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from rrjax.analysis.noisy import mixed_outcome, rank_correlation, summarize_ptrm
from tests.tools.reported import noisy


def test_the_noiseless_run_is_in_no_selection():
    found = summarize_ptrm(noisy())
    assert (found.num_puzzles, found.num_segments, found.sigma) == (4, 3, 0.3)
    assert found.noiseless.value == 2 / 4
    assert found.selection.num_runs == 4
    assert found.selection.pass_at["1"].value == pytest.approx(7 / 16)
    assert found.selection.pass_at["4"].value == 3 / 4


def test_rules_are_compared_with_the_noiseless_run_puzzle_by_puzzle():
    found = summarize_ptrm(noisy())
    changes = {name: (change.gained, change.lost) for name, change in found.changes.items()}
    assert changes == {
        "majority": (0, 0),
        "best_q": (1, 0),
        "smallest_residual": (1, 0),
        "smallest_lambda1": (1, 0),
        "some_run": (1, 0),
    }
    worse = noisy()
    worse["q_halt"] = -worse["q_halt"]
    change = summarize_ptrm(worse).changes["best_q"]
    assert (change.gained, change.lost) == (0, 1)


def test_q_and_lambda1_are_ranked_within_mixed_puzzles():
    found = summarize_ptrm(noisy()).correlation
    assert found is not None
    assert (found.num_mixed, found.num_used) == (2, 2)
    assert found.spearman.value == pytest.approx(-1)
    arrays = noisy()
    arrays["exponents"][2, 1:, 0] = 0.5  # always the same: no ranks
    found = summarize_ptrm(arrays).correlation
    assert found is not None
    assert (found.num_mixed, found.num_used) == (2, 1)
    assert found.spearman.value == pytest.approx(-1)


def test_differences_between_puzzles_are_no_correlation_within():
    rng = np.random.default_rng(0)
    level = np.arange(200)[:, None] * 10.0
    q, lambda1 = level + rng.normal(size=(200, 9)), level + rng.normal(size=(200, 9))
    solved = np.zeros((200, 9, 1), bool)
    solved[:, ::2] = True
    arrays = {
        "sigma": np.array([0, *8 * [0.3]]),
        "solved": solved,
        "answers": np.zeros((200, 9, 1), np.uint8),
        "q_halt": q,
        "residual": q,
        "exponents": lambda1[:, :, None],
    }
    found = summarize_ptrm(arrays).correlation
    assert found is not None
    assert found.num_used == 200
    assert found.spearman.low < 0 < found.spearman.high
    assert abs(found.spearman.value) < 0.1


def test_mixed_means_right_and_wrong():
    np.testing.assert_array_equal(
        mixed_outcome(np.array([[1, 1], [0, 0], [1, 0]], bool)), [False, False, True]
    )


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=9), rng.integers(0, 4, 9).astype(float)
    expected = spearmanr(a, b)[0]
    assert rank_correlation(a, b) == pytest.approx(expected)
    assert rank_correlation(np.append(a, np.nan), np.append(b, 1)) == pytest.approx(expected)
    assert rank_correlation(np.exp(a), b) == pytest.approx(expected)
    a[a.argmin()] = -np.inf
    assert rank_correlation(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([], [])])
def test_what_has_no_ranks_has_no_correlation(a, b):
    assert np.isnan(rank_correlation(np.array(a, float), np.array(b, float)))


def test_runs_that_blew_up_are_counted():
    arrays = noisy()
    arrays["residual"][1, 2:] = np.nan
    found = summarize_ptrm(arrays)
    assert found.num_not_finite == 3


@pytest.mark.parametrize("sigma", [[0.3] * 5, [0, 0, 0, 0, 0], [0, 0.3, 0.3, 0.1, 0.3]])
def test_another_kind_of_runs_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be 0 for the first run and one number"):
        summarize_ptrm(noisy() | {"sigma": np.array(sigma)})
