"""Dimensions: closed forms, brute force, and numbers of scikit-dimension."""

from itertools import permutations

import numpy as np
import pytest

from rrjax.analysis.dimension import (
    mle_dimension,
    nearest,
    participation_ratio,
    pooled,
    two_nn,
)
from rrjax.analysis.similarity import squared_distances


def points(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def estimated(x: np.ndarray, measure=participation_ratio) -> float:
    distances = squared_distances(x)
    points = distances if measure is participation_ratio else nearest(distances)
    return measure(points).value


def test_intrinsic_dimensions_are_those_of_scikit_dimension():
    x = np.random.default_rng(21).normal(size=(40, 6))
    x[:, 3:] *= 0.3
    # skdim 0.5: TwoNN(discard_fraction=0, method="mle").fit_transform(x)
    assert estimated(x, two_nn) == pytest.approx(5.393026491618117)
    # MLE().fit_transform(x, n_neighbors=10, comb="mle")
    assert estimated(x, mle_dimension) == pytest.approx(4.303103417602198)


def test_the_participation_ratio_has_no_bias_where_the_plain_one_has():
    spread = np.array([1, 1, 1, 0.5, 0.5, 0.25])
    exact = np.sum(spread**2) ** 2 / np.sum(spread**4)
    samples = [points(s, 12, 6) * spread for s in range(300)]
    inverse = [1 / estimated(x) for x in samples]
    assert np.mean(inverse) == pytest.approx(1 / exact, rel=0.05)
    plain = [np.trace(c) ** 2 / np.trace(c @ c) for c in map(np.cov, (x.T for x in samples))]
    assert np.mean(plain) == pytest.approx(1 / (1 / exact + 1 / 12), rel=0.06)


def test_it_is_a_ratio_of_means_over_different_puzzles():
    x = points(0, 7, 3)
    half = squared_distances(x) / 2
    squared_trace = np.mean([half[a, b] * half[c, d] for a, b, c, d in permutations(range(7), 4)])
    products = x @ x.T
    trace_of_square = np.mean(
        [
            products[a, b] * (products[a, b] + products[c, d] - 2 * products[a, c])
            for a, b, c, d in permutations(range(7), 4)
        ]
    )
    assert estimated(x) == pytest.approx(squared_trace / trace_of_square)


@pytest.mark.parametrize("measure", [two_nn, mle_dimension])
def test_intervals_of_neighbours_cover(measure):
    covered = 0
    for seed in range(150):
        interval = measure(nearest(squared_distances(points(seed, 120, 2))))
        covered += interval.low <= 2 <= interval.high
    assert covered >= 130  # 95 % are 142; that of independent ratios has 126 and fewer


def test_parts_agree_with_the_whole_and_narrow_their_interval():
    x = points(0, 400, 3)
    parts = [two_nn(nearest(squared_distances(x[i::4]))) for i in range(4)]
    together = pooled(parts)
    assert together.low <= 3 <= together.high
    assert together.high - together.low < min(p.high - p.low for p in parts)
    one = pooled(parts[:1])
    np.testing.assert_allclose(one.ends, parts[0].ends)


def test_copies_and_too_few_points_are_refused():
    x = points(0, 20, 3)
    x[4] = x[3]
    with pytest.raises(ValueError, match="puzzles 3, 4 have equal states"):
        nearest(squared_distances(x))
    with pytest.raises(ValueError, match="puzzles must be more than 10"):
        nearest(squared_distances(x[:10]))
    with pytest.raises(ValueError, match="at least 5 for a participation ratio"):
        participation_ratio(np.ones((4, 4)))
