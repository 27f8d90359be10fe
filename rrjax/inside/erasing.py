"""Erasing what a linear probe can read, by the smallest change of the states."""

from typing import Any, NamedTuple

import numpy as np

from rrjax.checks import refuse
from rrjax.inside.probes import check_states

_RELATIVE_RANK = 1e-6
"""Variances below this share of the largest are taken for zero: states are in float32."""


class Eraser(NamedTuple):
    """An affine map x ↦ x − out into (x − mean) that removes directions of a state.

    Attributes:
      mean: (d,) the mean of the states, which stays where it is.
      out: (d, rank)
      into: (rank, d), with `into` `out` = 1: the map is a projection.
    """

    mean: np.ndarray
    out: np.ndarray
    into: np.ndarray

    def __call__(self, states: Any) -> Any:
        """Returns the states (..., d) without the directions, of NumPy or JAX."""
        return states - (states - self.mean) @ self.into.T @ self.out.T


def leace(states: np.ndarray, labels: np.ndarray) -> Eraser:
    r"""Returns the least change of states after which no linear probe beats a constant.

    With Σ the covariance of the states, C their cross-covariance with the labels, and Σ^½ and its
    pseudo-inverse W,

        x ↦ x − Σ^½ P W (x − mean),    P the projector onto the columns of W C,

    is of all affine maps with cross-covariance zero the one of the smallest mean squared change, in
    any norm. Its rank is that of C: at most one less than the number of classes.

    Args:
      states: (n, d)
      labels: (n,) classes, from 0, of integers or booleans; or (n, k) numbers.

    Raises:
      ValueError: There are not more states than features, numbers that are not finite, or nothing
        to erase, as with labels of one class.

    Source: Belrose et al. 2023, "LEACE: perfect linear concept erasure in closed form", eq. 1.

    Example:
      >>> rng = np.random.default_rng(0)
      >>> classes = np.arange(300) % 3
      >>> states = rng.normal(size=(300, 5)) + 2 * np.eye(5)[classes]
      >>> erased = rrjax.inside.leace(states, classes)(states)
      >>> bool(np.allclose([erased[classes == c].mean(0) for c in range(3)], erased.mean(0)))
      True
    """
    moments = _Moments.of(states)
    numbers = np.eye(int(labels.max()) + 1)[labels.astype(int)] if labels.ndim == 1 else labels
    centred = numbers - numbers.mean(0)
    cross = (states - moments.mean).T @ centred / len(states)
    basis, sizes, _ = np.linalg.svd(moments.whiten @ cross, full_matrices=False)
    # in units of the labels' spread: a correlation of states and labels
    rank = int(np.sum(sizes > _RELATIVE_RANK * np.sqrt(np.mean(np.square(centred)))))
    if rank == 0:
        refuse("labels", "vary with the states, so that there is something to erase", "no relation")
    return moments.eraser(basis[:, :rank])


def random_eraser(states: np.ndarray, rank: int, rng: np.random.Generator) -> Eraser:
    """Returns a control of `leace`: an eraser of as many random directions.

    They are drawn among the whitened states, where all directions are alike. So both erasers remove
    equally much in units of the states' own spread, and a direction that states do not use is not
    drawn.

    Args:
      states: (n, d)
      rank: Number of directions.
      rng: Draws them.

    Raises:
      ValueError: As `leace`, and where the states vary in fewer directions.

    Example:
      >>> states = np.random.default_rng(0).normal(size=(100, 5))
      >>> eraser = rrjax.inside.random_eraser(states, 2, np.random.default_rng(1))
      >>> np.linalg.matrix_rank(np.cov(eraser(states).T))
      np.int64(3)
    """
    moments = _Moments.of(states)
    used = moments.used
    if not 1 <= rank <= used.shape[1]:
        refuse("rank", f"lie in 1..{used.shape[1]}, the directions in which states vary", rank)
    drawn = np.linalg.qr(rng.normal(size=(used.shape[1], rank)))[0]
    return moments.eraser(used @ drawn)


class _Moments(NamedTuple):
    mean: np.ndarray
    root: np.ndarray  # Σ^½
    whiten: np.ndarray  # its pseudo-inverse
    used: np.ndarray  # (d, number) the directions in which the states vary

    @staticmethod
    def of(states: np.ndarray) -> "_Moments":
        check_states(states)
        states = states.astype(np.float64)
        mean = states.mean(0)
        centred = states - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(states))
        kept = values > values.max() * _RELATIVE_RANK
        sizes, used = np.sqrt(values[kept]), vectors[:, kept]
        return _Moments(mean, used * sizes @ used.T, used / sizes @ used.T, used)

    def eraser(self, basis: np.ndarray) -> Eraser:
        """Returns the eraser of orthonormal directions (d, rank) of the whitened states."""
        return Eraser(self.mean, self.root @ basis, basis.T @ self.whiten)
