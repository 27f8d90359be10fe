"""Weights between tokens against the graph of constraints, with the board's labels permuted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import TAIL, Interval, student_interval


def graph_correlation(strength: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """Returns (...) Pearson's r of |strength| with the edges of a graph, off the diagonal.

    Args:
      strength: (..., n, n) numbers for ordered pairs of cells.
      graph: (n, n) truth values.

    Returns:
      Numbers in −1..1; NaN where all strengths are equal.

    Example:
      >>> graph = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
      >>> print(rrjax.analysis.graph_correlation(np.where(graph, 2.0, 1.0), graph).round(3))
      1.0
    """
    x, edges = _off_diagonal(np.abs(strength)), _off_diagonal(graph).astype(np.float64)
    x, edges = x - x.mean(-1, keepdims=True), edges - edges.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((x @ edges) / np.sqrt(np.sum(x**2, -1) * np.sum(edges**2)))


def edge_ratio(strength: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """Returns (...) the mean of |strength| over the edges, divided by that over other pairs.

    Args:
      strength: (..., n, n) numbers for ordered pairs of cells.
      graph: (n, n) truth values.

    Example:
      >>> graph = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
      >>> print(rrjax.analysis.edge_ratio(np.where(graph, 2.0, 1.0), graph))
      2.0
    """
    x, edges = _off_diagonal(np.abs(strength)), _off_diagonal(graph)
    return np.asarray(x[..., edges].mean(-1) / x[..., ~edges].mean(-1))


def permuted_correlations(
    strength: np.ndarray, graphs: np.ndarray, number: int = 999, seed: int = 0
) -> np.ndarray:
    """Returns (number, graphs) the correlations with the labels of the cells permuted.

    The n(n − 1) entries of a matrix are not independent: a cell that receives much does so from
    all. A permutation moves whole rows and columns, so that what remains is the chance that cells
    which have nothing to do with the graph agree with it as well (the test of Mantel).

    Args:
      strength: (n, n) numbers.
      graphs: (graphs, n, n) truth values.
      number: how many permutations.
      seed: draws them.

    Source: Mantel 1967, Cancer Res. 27, 209.
    """
    x = np.abs(strength).astype(np.float64)
    off = ~np.eye(len(x), dtype=bool)
    mean, deviation = x[off].mean(), x[off].std()
    rng = np.random.default_rng(seed)
    orders = np.argsort(rng.random((number, len(x))), axis=1)
    values = np.empty((number, len(graphs)))
    for place, graph in enumerate(graphs):
        rows, columns = np.nonzero(graph)
        share = len(rows) / off.sum()
        # r = (mean over edges − mean) / sd · √(share / (1 − share)): only the edges are looked up
        on_edges = x[orders[:, rows], orders[:, columns]].mean(1)
        values[:, place] = (on_edges - mean) / deviation * np.sqrt(share / (1 - share))
    return values


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix[..., ~np.eye(matrix.shape[-1], dtype=bool)]


@dataclass(frozen=True)
class Agreement:
    """How one matrix of one sub-layer agrees with the graph of constraints.

    Attributes:
      run: `trained` or `untrained`.
      matrix: Which matrix.
      stage: The update and the number of the layer.
      correlation: By graph Pearson's r of |W| off the diagonal. The ends are those of the middle
        95 % of the correlations with permuted labels, not of an error of r.
      p_value: By graph (1 + permutations with |r| as large) / (1 + permutations).
      ratio: Mean |W| of peers over that of other pairs.
    """

    run: str
    matrix: str
    stage: str
    correlation: dict[str, Interval]
    p_value: dict[str, float]
    ratio: float


@dataclass(frozen=True)
class MixingSummary:
    """Weights between tokens in numbers.

    Attributes:
      num_puzzles: Puzzles on which Jacobians were taken.
      segments: After how many segments.
      num_permutations: Permutations of labels.
      agreements: By run, matrix and stage.
      by_puzzle: By run and stage the mean over puzzles of r of the strength of that puzzle's
        Jacobian with the graph of all peers, with Student's interval.
    """

    num_puzzles: int
    segments: list[int]
    num_permutations: int
    agreements: list[Agreement]
    by_puzzle: dict[str, dict[str, Interval]]


def summarize_mixing(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> MixingSummary:
    """Returns all numbers of the weights between tokens.

    Args:
      arrays: What `rrjax.experiments.mixing` returns.
      record: Its record, with the names of runs, matrices, stages and graphs.
    """
    names = record["runs"], record["matrices"], record["stages"]
    graphs = record["graphs"]
    agreements = []
    for at in np.ndindex(arrays["ratio"].shape):
        r, null = arrays["correlation"][at], arrays["permuted"][at]  # (graphs,), (number, graphs)
        low, high = np.quantile(null, [TAIL, 1 - TAIL], axis=0)
        p = (1 + np.sum(np.abs(null) >= np.abs(r), axis=0)) / (1 + len(null))
        run, matrix, stage = (listed[i] for listed, i in zip(names, at, strict=True))
        correlation = dict(zip(graphs, Interval(r, low, high).each(), strict=True))
        p_value = dict(zip(graphs, p.tolist(), strict=True))
        ratio = float(arrays["ratio"][at])
        agreements.append(Agreement(run, matrix, stage, correlation, p_value, ratio))
    by_puzzle = {
        run: {
            stage: student_interval(arrays["by_puzzle"][i, :, j])
            for j, stage in enumerate(record["stages"])
        }
        for i, run in enumerate(record["runs"])
    }
    return MixingSummary(
        num_puzzles=arrays["by_puzzle"].shape[1],
        segments=list(record["options"]["segments"]),
        num_permutations=arrays["permuted"].shape[-2],
        agreements=agreements,
        by_puzzle=by_puzzle,
    )
