"""How alike representations are: unbiased linear CKA, and RSA; puzzles are the samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.checks import refuse

LEAST = 4
"""The unbiased estimate needs so many puzzles; leaving one out needs one more."""


class Comparison(NamedTuple):
    """Similarities of representations with each other.

    Attributes:
      value: (S, S) of all puzzles.
      left_out: (m, S, S) without each puzzle, or without each group of puzzles.
    """

    value: np.ndarray
    left_out: np.ndarray


def gram(features: np.ndarray) -> np.ndarray:
    """Returns the (N, N) products of puzzles' features (N, d), in float64, with a zero diagonal."""
    products = (features @ features.T).astype(np.float64)
    np.fill_diagonal(products, 0)
    return products


def unbiased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the unbiased estimate of ‖cov(x, y)‖², from products with a zero diagonal.

      H(K, L) = [tr KL + 1ᵀK1 1ᵀL1/((n−1)(n−2)) − 2 1ᵀKL1/(n−2)] / (n(n−3))

    Source: Song et al. 2012, J. Mach. Learn. Res. 13, 1393.
    """
    return float(_hsic(np.stack([first, second]))[0][0, 1])


def unbiased_cka(grams: ArrayLike) -> Comparison:
    """Returns the unbiased linear CKA of every pair of representations.

      CKA = H(K, L) / √(H(K, K) H(L, L))

    It may be negative. Without the correction two independent representations of d ≫ n features
    have a CKA near 1.

    Args:
      grams: (S, n, n) K = X Xᵀ of each representation, for features X (n, d) of n ≥ 5 puzzles;
        the diagonals play no part.

    Returns:
      The (S, S) values, and those without each puzzle. A representation that is the same for all
      puzzles has NaN.

    Raises:
      ValueError: There are too few puzzles.

    Source: Nguyen, Raghu and Kornblith 2021, ICLR (arXiv 2010.15327).

    Example:
      >>> x = np.random.default_rng(0).normal(size=(50, 3))
      >>> y = x @ np.array([[0, 2, 0], [2, 0, 0], [0, 0, 2]]) + 1
      >>> rrjax.analysis.unbiased_cka([x @ x.T, y @ y.T]).value.round(6)
      array([[1., 1.],
             [1., 1.]])
    """
    K = np.array(grams, np.float64)
    number = K.shape[1]
    if number <= LEAST:
        refuse("puzzles", f"be at least {LEAST + 1} for an unbiased CKA with an interval", number)
    K[:, np.arange(number), np.arange(number)] = 0
    whole, left_out = _hsic(K)
    return Comparison(_normalised(whole), _normalised(left_out))


def _normalised(hsic: np.ndarray) -> np.ndarray:
    own = np.diagonal(hsic, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(own > 0, own, np.nan))
    return hsic / (scale[..., :, None] * scale[..., None, :])


def _hsic(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (S, S) unbiased estimates, and (n, S, S) those without each puzzle."""
    number = K.shape[1]
    rows = K.sum(2)  # (S, n)
    total = rows.sum(1)  # (S,)
    # without puzzle i every sum loses the terms that i has a part in
    shared = np.moveaxis(np.einsum("sij,tij->sti", K, K, optimize=True), 2, 0)  # (n, S, S)
    product = np.einsum("sij,tj->ist", K, rows, optimize=True)
    product = product + np.swapaxes(product, 1, 2)
    outer = rows.T[:, :, None] * rows.T[:, None, :]
    traces, twice = shared.sum(0), rows @ rows.T
    totals = total[None, :] - 2 * rows.T  # (n, S)
    whole = _estimate(traces, total[:, None] * total, twice, number)
    left_out = _estimate(
        traces - 2 * shared,
        totals[:, :, None] * totals[:, None, :],
        twice - outer - product + shared,
        number - 1,
    )
    return whole, left_out


def _estimate(traces: np.ndarray, totals: np.ndarray, twice: np.ndarray, n: int) -> np.ndarray:
    middle = totals / ((n - 1) * (n - 2))
    return (traces + middle - 2 * twice / (n - 2)) / (n * (n - 3))


def dissimilarities(features: np.ndarray, kind: str) -> np.ndarray:
    """Returns (n, n) dissimilarities of puzzles: `correlation`, 1 − Pearson's r, or `euclidean`.

    Args:
      features: (n, d)
      kind: Pearson's r is taken over the features, each puzzle's centred on its own mean.

    Raises:
      ValueError: The kind is another one.

    Source: Kriegeskorte, Mur and Bandettini 2008, Front. Syst. Neurosci. 2, 4.

    Example:
      >>> rrjax.analysis.dissimilarities(np.array([[1.0, 2, 3], [3, 2, 1]]), "correlation").round(6)
      array([[0., 2.],
             [2., 0.]])
    """
    x = np.asarray(features)
    if kind == "correlation":
        x = x - x.mean(1, keepdims=True)
        size = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(size > 0, size, np.nan)
        return 1 - (x @ x.T).astype(np.float64)
    if kind != "euclidean":
        refuse("kind", "be correlation or euclidean", repr(kind))
    return np.sqrt(squared_distances(x))


def squared_distances(features: np.ndarray) -> np.ndarray:
    """Returns (n, n) squared Euclidean distances, in float64."""
    products = (features @ features.T).astype(np.float64)
    squares = np.diagonal(products)
    distances = np.maximum(squares[:, None] + squares - 2 * products, 0)
    np.fill_diagonal(distances, 0)
    return distances


def rsa(matrices: ArrayLike, groups: np.ndarray) -> Comparison:
    """Returns Spearman's correlation of every pair of matrices of dissimilarities.

    Args:
      matrices: (S, n, n) dissimilarities of n puzzles in each representation.
      groups: (n,) the group of each puzzle, from 0; the intervals follow from leaving one out.

    Returns:
      The (S, S) values, and those without each group.

    Raises:
      ValueError: There are fewer than 4 puzzles.

    Source: Kriegeskorte, Mur and Bandettini 2008, Front. Syst. Neurosci. 2, 4.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(6, 3))
      >>> d = rrjax.analysis.dissimilarities(x, "euclidean")
      >>> rrjax.analysis.rsa([d, d**2], np.arange(6)).value.round(6)
      array([[1., 1.],
             [1., 1.]])
    """
    stacked = np.asarray(matrices, np.float64)
    if stacked.shape[1] < LEAST:
        refuse("puzzles", f"be at least {LEAST} for a comparison of dissimilarities", len(groups))
    first, second = np.triu_indices(stacked.shape[1], 1)
    pairs = stacked[:, first, second]
    kept = [(groups[first] != g) & (groups[second] != g) for g in range(groups.max() + 1)]
    every = np.ones(len(first), bool)
    ranks = np.stack([_centred_ranks(row, [every, *kept]) for row in pairs], axis=1)
    whole, *left_out = map(_correlations, ranks)
    return Comparison(whole, np.stack(left_out))


def _centred_ranks(values: np.ndarray, subsets: Sequence[np.ndarray]) -> np.ndarray:
    """Returns (subsets, m) the ranks within each subset less their mean, 0 outside of it.

    Values are sorted once for all subsets. Equal ones share the mean of their ranks; a subset that
    holds NaN has NaN everywhere.

    Args:
      values: (m,)
      subsets: (m,) masks.
    """
    order = np.argsort(values)
    ordered = values[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(values) - 1)
    run = None if len(ends) == len(values) else np.searchsorted(ends, np.arange(len(values)))
    ranks = np.zeros((len(subsets), len(values)), np.float32)
    unknown = np.isnan(values)
    for row, subset in zip(ranks, subsets, strict=True):
        if unknown[subset].any():
            row[:] = np.nan
            continue
        inside = subset[order]
        after = np.cumsum(inside)
        rank = after.astype(np.float32)
        if run is not None:
            before = np.concatenate([[0], after[ends[:-1]]])
            rank = ((before + 1 + after[ends]) / 2).astype(np.float32)[run]
        row[order] = np.where(inside, rank - (after[-1] + 1) / 2, 0)
    return ranks


def _correlations(centred: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(centred, axis=1)
    size = np.where(size > 0, size, np.nan)
    return (centred @ centred.T).astype(np.float64) / (size[:, None] * size)


def kendall_tau_a(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Kendall's τ_a of two lists of m numbers: ties count against it.

      τ_a = 2/(m(m−1)) Σ_{i<j} sign(x_i − x_j) sign(y_i − y_j)

    It takes m² operations.

    Source: Nili et al. 2014, PLoS Comput. Biol. 10, e1003553, for τ_a in RSA.

    Example:
      >>> rrjax.analysis.kendall_tau_a(np.array([1, 2, 3, 4]), np.array([1, 2, 4, 4]))
      0.8333333333333334
    """
    signs = [np.sign(np.subtract.outer(x, x)).astype(np.float32) for x in (first, second)]
    m = len(first)
    return float(np.einsum("ij,ij->", *signs, dtype=np.float64) / (m * (m - 1)))
