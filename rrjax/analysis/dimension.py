"""The dimension of a cloud of states, one point for each puzzle: linear and intrinsic."""

from typing import Any, NamedTuple

import numpy as np
import scipy

from rrjax.analysis.intervals import TAIL, UNDEFINED, Interval
from rrjax.analysis.jackknife import jackknife_interval
from rrjax.checks import refuse

LEAST = 5
"""Puzzles that the bias of a participation ratio is corrected with, and one to leave out."""

NUM_NEIGHBOURS = 10
"""Neighbours of the maximum-likelihood estimate."""


def participation_ratio(distances: np.ndarray) -> Interval:
    r"""Returns the participation ratio (tr Σ)² / tr Σ² of a covariance, its bias corrected.

    The ratio of a sample's covariance is too small, 1/PR_n ≈ 1/PR + 1/n, and never exceeds n − 1.
    Here both parts are estimated without bias, by averages over different puzzles,

        (tr Σ)² = ⟨½|x₁ − x₂|² ½|x₃ − x₄|²⟩,    tr Σ² = H(K, K)

    with H as in `unbiased_cka`. The interval is a jackknife over puzzles.

    Args:
      distances: (n, n) squared Euclidean distances of n ≥ 5 puzzles.

    Returns:
      Three numbers; NaN where the estimate of tr Σ² is not positive, as for few points in very many
      equal directions.

    Raises:
      ValueError: There are too few puzzles.

    Source: Song et al. 2012, J. Mach. Learn. Res. 13, 1393, for the unbiased estimate of tr Σ².

    Example:
      >>> x = np.random.default_rng(0).normal(size=(200, 20))
      >>> d = ((x[:, None] - x) ** 2).sum(-1)
      >>> print(*(round(float(e), 1) for e in rrjax.analysis.participation_ratio(d).ends))
      19.5 18.9 20.2
    """
    half = distances / 2
    n = len(half)
    if n < LEAST:
        refuse("puzzles", f"be at least {LEAST} for a participation ratio", n)
    rows, squares = half.sum(1), np.square(half).sum(1)
    total, twice = rows.sum(), rows @ rows
    whole = _ratio(total, twice, squares.sum(), n)
    # without puzzle i: Σ_j (r_j − d_ij)², j ≠ i
    without = twice - rows**2 - 2 * (half @ rows) + squares
    left_out = _ratio(total - 2 * rows, without, squares.sum() - 2 * squares, n - 1)
    return jackknife_interval(whole, np.atleast_1d(left_out)).map(float)


def _ratio(total: Any, twice: Any, squares: Any, n: int) -> Any:
    """Returns the ratio from Σ D, Σ_i (Σ_j D_ij)² and Σ D² of D, half the squared distances.

    Doubly centred, −D is the matrix of products: H does not change.
    """
    trace_squared = (total**2 - 4 * twice + 2 * squares) / (n * (n - 1) * (n - 2) * (n - 3))
    hsic = squares + total**2 / ((n - 1) * (n - 2)) - 2 * twice / (n - 2)
    hsic = hsic / (n * (n - 3))
    return np.where(hsic > 0, trace_squared, np.nan) / np.where(hsic > 0, hsic, 1)


class Neighbours(NamedTuple):
    """Distances of points to their nearest neighbours.

    Attributes:
      distances: (n, k) ascending.
      indices: (n, k) the neighbours.
    """

    distances: np.ndarray
    indices: np.ndarray


def nearest(distances: np.ndarray, number: int = NUM_NEIGHBOURS) -> Neighbours:
    """Returns the distances of points to their nearest neighbours.

    Args:
      distances: (n, n) squared Euclidean distances.
      number: Number of neighbours.

    Raises:
      ValueError: There are too few points, or two points are one: a copy has no dimension.

    Example:
      >>> x = np.array([0.0, 1.0, 3.0])
      >>> near = rrjax.analysis.nearest((x[:, None] - x) ** 2, number=1)
      >>> near.distances[:, 0].tolist(), near.indices[:, 0].tolist()
      ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    n = len(distances)
    if n <= number:
        refuse("puzzles", f"be more than {number}, the neighbours of a dimension", n)
    others = distances + np.diag(np.full(n, np.inf))
    indices = np.argsort(others, axis=1, kind="stable")[:, :number]
    closest = np.sqrt(np.take_along_axis(others, indices, axis=1))
    if not closest[:, 0].all():
        copies = np.flatnonzero(closest[:, 0] == 0)
        raise ValueError(
            f"puzzles {', '.join(map(str, copies[:4]))} have equal states: expected one point for "
            "each trajectory, and no copies"
        )
    return Neighbours(closest, indices)


def two_nn(neighbours: Neighbours) -> Interval:
    """Returns the TwoNN dimension, from the ratio μ of the second to the nearest distance.

      log μ ~ Exp(d),    d = (N − 1)/Σ log μ

    The χ² interval that is usual for it takes the N ratios for independent. They are not: two
    points that are neighbours of each other share a distance, so that it is a fifth too narrow.
    Here the variance of the mean of log μ also has the products of such pairs.

    Args:
      neighbours: Of N points that do not depend on each other, so one point of each trajectory.

    Returns:
      Three numbers; NaN where all distances of a point are equal. The upper end may be infinite.

    Source: Facco et al. 2017, Sci. Rep. 7, 12140.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(500, 3))
      >>> near = rrjax.analysis.nearest(((x[:, None] - x) ** 2).sum(-1))
      >>> print(*(round(end, 2) for end in rrjax.analysis.two_nn(near).ends))
      2.95 2.65 3.33
    """
    n = len(neighbours.distances)
    return _inverse(neighbours, 2).map(lambda end: end * (n - 1) / n)


def mle_dimension(neighbours: Neighbours) -> Interval:
    """Returns the maximum-likelihood dimension from k neighbours, inverses averaged over points.

      1/d = ⟨1/(k − 1) Σ_{j<k} log(r_k/r_j)⟩

    The interval is that of `two_nn`. In many dimensions the estimate is too small: for 400 normal
    points in 10 dimensions it is 8.8, as k neighbours reach to where the density has changed.

    Args:
      neighbours: As for `two_nn`; k is their number.

    Source: Levina and Bickel 2004, NIPS 17; MacKay and Ghahramani 2005, comments on it.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(500, 3))
      >>> near = rrjax.analysis.nearest(((x[:, None] - x) ** 2).sum(-1))
      >>> print(*(round(end, 2) for end in rrjax.analysis.mle_dimension(near).ends))
      3.11 2.99 3.23
    """
    return _inverse(neighbours, neighbours.distances.shape[1])


def _inverse(neighbours: Neighbours, k: int) -> Interval:
    """Returns one over the mean of the local 1/d; its interval knows neighbouring pairs."""
    local = local_inverses(neighbours, k)
    n, mean = len(local), float(local.mean())
    if not mean > 0:
        return UNDEFINED
    near = np.eye(n, dtype=bool)
    near[np.arange(n)[:, None], neighbours.indices[:, :k]] = True
    change = local - mean
    variance = max(0.0, float(change @ (near & near.T) @ change)) / n / (n - 1)
    reach = float(scipy.special.stdtrit(n - 1, 1 - TAIL)) * variance**0.5
    return Interval(1 / mean, 1 / (mean + reach), 1 / (mean - reach) if mean > reach else np.inf)


def local_inverses(neighbours: Neighbours, k: int) -> np.ndarray:
    """Returns (n,) 1/d of each point: the mean of log(r_k/r_j) over its k − 1 nearest."""
    r = neighbours.distances[:, :k]
    return np.log(r[:, -1:] / r[:, :-1]).mean(1)


def pooled(estimates: list[Interval]) -> Interval:
    """Returns the dimension of clouds of one size that share no point: the mean of 1/d inverted.

    Args:
      estimates: Of the parts of a set of points.
    """
    inverses = np.array([[1 / end for end in (e.value, e.high, e.low)] for e in estimates])
    mean = inverses[:, 0].mean()
    below, above = (
        float(np.sqrt(np.sum(np.square(inverses[:, 0] - inverses[:, end]))) / len(estimates))
        for end in (1, 2)
    )
    highest = 1 / (mean - below) if mean > below else np.inf
    return Interval(float(1 / mean), float(1 / (mean + above)), float(highest))
