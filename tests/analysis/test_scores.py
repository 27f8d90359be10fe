"""Scores of cells and their intervals over puzzles, against the jackknife and simulations."""

import numpy as np
import pytest

from rrjax.analysis import balanced_accuracy, clustered_fraction, explained_share, mean_interval
from rrjax.analysis.scores import Score, permutation_p


def table(seed: int, puzzles: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of two classes, right with a probability that belongs to the puzzle."""
    rng = np.random.default_rng(seed)
    number = rng.integers(1, 9, (puzzles, 2))
    return rng.binomial(number, rng.beta(4, 2, (puzzles, 1))), number


def explained(error: np.ndarray, spread: np.ndarray) -> Score:
    return explained_share(error[:, 0], spread[:, 0])


@pytest.mark.parametrize("score", [balanced_accuracy, explained])
def test_the_variance_is_that_of_the_jackknife(score):
    right, number = table(0, 200)
    left_out = [score(np.delete(right, i, 0), np.delete(number, i, 0)).value for i in range(200)]
    jackknife = np.var(left_out) * 199
    assert score(right, number).variance == pytest.approx(jackknife, rel=0.03)


def test_the_interval_covers():
    truth = 4 / 6
    hits = [
        interval.low <= truth <= interval.high
        for interval in (balanced_accuracy(*table(s, 30)).fraction_interval() for s in range(400))
    ]
    assert 0.92 <= np.mean(hits) <= 0.985


def test_all_right_and_nothing_to_score():
    number = np.full((20, 3), 2)
    assert balanced_accuracy(number, number).fraction_interval().ends == (
        1.0,
        pytest.approx(0.832, abs=1e-3),
        1.0,
    )
    assert np.isnan(balanced_accuracy(number, 0 * number).fraction_interval().value)
    assert np.isnan(explained_share(np.ones(3), np.zeros(3)).interval().value)


def test_a_difference_is_paired():
    right, number = table(1, 50)
    score = balanced_accuracy(right, number)
    assert (score - score).interval().ends == (0, 0, 0)
    assert isinstance(score - score, Score)


def test_permutations_and_bounded_means():
    assert permutation_p(1.0, np.zeros(19)) == 0.05
    assert permutation_p(0.0, np.zeros(19)) == 1.0
    values = np.linspace(0, 1, 40)
    p, variance = values.mean(), (39 * values.var(ddof=1) / 40 + 0.25 / 40) / 40
    np.testing.assert_allclose(
        clustered_fraction(float(p), float(variance), 40).ends, mean_interval(values).ends
    )
