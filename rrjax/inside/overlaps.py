"""How much of a tangent vector lies in a subspace of every cell, such as a probe's directions."""

import numpy as np
from numpy.typing import ArrayLike


def orthonormal(directions: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis (d, rank) of the span of directions (d, rank).

    Example:
      >>> abs(rrjax.inside.orthonormal(np.array([[2.0], [0.0]])))
      array([[1.],
             [0.]])
    """
    return np.linalg.qr(directions)[0]


def overlap(vectors: ArrayLike, basis: ArrayLike, cells: ArrayLike) -> np.ndarray:
    r"""Returns the share of a vector on some cells that lies in a subspace of every cell.

      Σ_c ‖Bᵀ v_c‖² / Σ_c ‖v_c‖²,   over the cells c

    A random vector has rank/d on average, with d channels.

    Args:
      vectors: (..., cells, d)
      basis: (..., d, rank) orthonormal; leading axes broadcast against those of the vectors.
      cells: (..., cells) booleans, which cells are looked at.

    Returns:
      (...) shares from 0 to 1; NaN where the vector is zero on these cells, or there are none.

    Example:
      >>> vectors, basis = np.array([[3.0, 4.0], [5.0, 0.0]]), np.array([[1.0], [0.0]])
      >>> print(rrjax.inside.overlap(vectors, basis, np.array([True, False])))
      0.36
    """
    chosen = np.where(np.asarray(cells)[..., None], vectors, 0)
    total = np.sum(np.square(chosen), axis=(-2, -1))
    inside = np.sum(np.square(chosen @ np.asarray(basis)), axis=(-2, -1))
    return np.divide(inside, total, out=np.full(total.shape, np.nan), where=total > 0)
