"""Correlations with a graph: against NumPy's, and permuted labels against permuted matrices."""

import numpy as np

from rrjax.analysis.mixing import edge_ratio, graph_correlation, permuted_correlations
from rrjax.puzzles import peer_graphs

GRAPHS = peer_graphs(6)
OFF = ~np.eye(36, dtype=bool)


def test_correlation_and_ratio_are_those_of_the_pairs():
    strength = np.random.default_rng(0).normal(size=(2, 36, 36))
    graph = GRAPHS["all"]
    expected = [np.corrcoef(abs(one)[OFF], graph[OFF])[0, 1] for one in strength]
    np.testing.assert_allclose(graph_correlation(strength, graph), expected)
    one = abs(strength[0])
    ratio = one[graph].mean() / one[OFF & ~graph].mean()
    np.testing.assert_allclose(edge_ratio(strength, graph)[0], ratio)


def test_permuted_labels_move_whole_rows_and_columns():
    rng = np.random.default_rng(0)
    strength = rng.normal(size=(36, 36)) * rng.gamma(1, size=36)
    every = np.stack(list(GRAPHS.values()))
    values = permuted_correlations(strength, every, 3, seed=5)
    orders = np.argsort(np.random.default_rng(5).random((3, 36)), axis=1)
    for order, row in zip(orders, values, strict=True):
        moved = strength[np.ix_(order, order)]
        np.testing.assert_allclose(row, [graph_correlation(moved, graph) for graph in every])
