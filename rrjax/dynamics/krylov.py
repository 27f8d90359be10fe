"""Eigenvalues of a linear map that can only be applied, by Arnoldi's iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

Vector = Float[Array, " n"]

SQUARINGS = 50
"""ρ(H) = lim ‖H^N‖^(1/N) at N = 2^50: what is left of the limit is below float64's round-off."""

BREAKDOWN = 10
"""A new direction of fewer round-offs than this, relative to the image, is none."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dominant:
    """The dominant eigenvalue of a linear map A, from a Krylov space. A pytree.

    Attributes:
      value: () its modulus ρ; NaN if A returned something that is not finite.
      vector: (n,) a unit vector of its invariant subspace: for a real eigenvalue the eigenvector,
        up to sign; for a complex pair some vector of the plane.
      residual: () how far A moves that subspace out of the Krylov space, relative to ρ.
      iterations: () applications of A.
      converged: () whether the residual came down to the tolerance.
    """

    value: Array
    vector: Any
    residual: Array
    iterations: Array
    converged: Array


class _Krylov(NamedTuple):
    basis: Float[Array, "m_plus_1 n"]
    hessenberg: Float[Array, "m_plus_1 m"]
    iterations: Int[Array, ""]
    value: Float[Array, ""]
    residual: Float[Array, ""]


def dominant_eigenvalue(
    apply: Callable[[Vector], Vector],
    start: Vector,
    max_iterations: int,
    tolerance: Float[Array, ""] | float,
) -> Dominant:
    r"""Returns the largest |eigenvalue| of A, real or of a complex pair.

    The method is Arnoldi's with full reorthogonalisation, A V = V H + h v eᵀ. ρ(H) comes from
    repeated squaring of the small matrix, H^N = s P, with the residual h ‖eᵀP‖ / ‖P‖. For a
    symmetric A it is Lanczos' iteration. Nothing here needs LAPACK, which has no eigenvalues of
    general matrices off the CPU.

    Args:
      apply: A; it is traced once.
      start: (n,) a random vector; it need not have length 1.
      max_iterations: m, the largest number. The basis takes m + 1 vectors of memory.
      tolerance: The relative residual to stop at.

    References:
      Arnoldi 1951; Saad 2011, "Numerical Methods for Large Eigenvalue Problems", chapter 6;
      Gelfand 1941 for the spectral radius as a limit of norms.
    """

    def proceed(krylov: _Krylov) -> Bool[Array, ""]:
        unfinished = ~(krylov.residual <= tolerance * krylov.value) & jnp.isfinite(krylov.value)
        return unfinished & (krylov.iterations < max_iterations)

    basis = jnp.zeros((max_iterations + 1, start.size), start.dtype)
    small = jnp.zeros((max_iterations + 1, max_iterations), start.dtype)
    zero, infinity = jnp.zeros((), start.dtype), jnp.full((), jnp.inf, start.dtype)
    first = basis.at[0].set(start / jnp.linalg.norm(start))
    krylov = _Krylov(first, small, jnp.zeros((), int), zero, infinity)
    return _read(jax.lax.while_loop(proceed, lambda k: _extend(apply, k), krylov), tolerance)


def _extend(apply: Callable[[Vector], Vector], krylov: _Krylov) -> _Krylov:
    """Adds one basis vector and reads the larger space."""
    j = krylov.iterations
    V, H, length = grow(apply, krylov.basis, krylov.hessenberg, j)
    value, power = _spectral_radius(_projected(H, j + 1))
    residual = length * jnp.linalg.norm(power[j])  # of a power of norm 1
    return _Krylov(V, H, j + 1, value, residual)


def grow(
    apply: Callable[[Vector], Vector],
    V: Float[Array, "m_plus_1 n"],
    H: Float[Array, "m_plus_1 m"],
    j: Int[Array, ""],
) -> tuple[Array, Array, Float[Array, ""]]:
    """Returns the basis and the small matrix with one vector more, and that vector's length."""
    image = apply(V[j])
    column, rest = _orthogonalize(V, image)
    length = jnp.linalg.norm(rest)
    floor = BREAKDOWN * jnp.finfo(image.dtype).eps * jnp.linalg.norm(image)
    length = jnp.where(length <= floor, 0, length)  # an invariant subspace: stay in it
    V = V.at[j + 1].set(jnp.where(length == 0, 0, rest / length))
    return V, H.at[:, j].set(column.at[j + 1].set(length)), length


def arnoldi(
    apply: Callable[[Vector], Vector], start: Vector, size: int
) -> Float[Array, "m_plus_1 m"]:
    """Returns the small matrix H of Arnoldi's iteration, A V = V H, for `ritz_values`.

    Args:
      apply: A; it is traced once.
      start: (n,) a random vector; it need not have length 1.
      size: m, the number of applications of A. The basis takes m + 1 vectors of memory.

    Returns:
      (m + 1, m), the last row of which is h eᵀ. A space that A does not leave ends with a zero
      below the diagonal.
    """
    V = jnp.zeros((size + 1, start.size), start.dtype).at[0].set(start / jnp.linalg.norm(start))
    H = jnp.zeros((size + 1, size), start.dtype)

    def extend(j: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return grow(apply, *carry, j)[:2]

    return jax.lax.fori_loop(0, size, extend, (V, H))[1]


def ritz_values(
    H: Float[np.ndarray, "m_plus_1 m"], number: int
) -> tuple[Complex[np.ndarray, " number"], Float[np.ndarray, " number"]]:
    """Returns approximate eigenvalues of A, the largest modulus first, and the residual of each.

    The residual is ‖A v − μ v‖ of the unit vector v that belongs to μ; only for a normal A is it a
    bound on the error of μ. Both are NaN where H is not finite, and for values beyond the dimension
    of the Krylov space. Runs on the host.

    Args:
      H: What `arnoldi` returns.
      number: How many values are returned.
    """
    values, residuals = np.full(number, np.nan, np.complex128), np.full(number, np.nan)
    if np.isfinite(H).all():
        ends = np.flatnonzero(np.diagonal(H, -1) == 0)
        size = int(ends[0]) + 1 if len(ends) else H.shape[1]
        all_values, vectors = np.linalg.eig(np.asarray(H[:size, :size], np.float64))
        order = np.argsort(-np.abs(all_values), kind="stable")[:number]
        values[: len(order)] = all_values[order]
        residuals[: len(order)] = H[size, size - 1] * np.abs(vectors[-1, order])
    return values, residuals


def _orthogonalize(V: Float[Array, "m n"], image: Vector) -> tuple[Float[Array, " m"], Vector]:
    """Does Gram-Schmidt twice, because cancellation in the first pass leaves a remainder."""
    first = V @ image
    image = image - first @ V
    second = V @ image
    return first + second, image - second @ V


def _projected(H: Float[Array, "m_plus_1 m"], size: Int[Array, ""]) -> Float[Array, "m m"]:
    rows = jnp.arange(H.shape[1])[:, None]
    return jnp.where(rows < size, H[:-1], 0)


def _spectral_radius(H: Float[Array, "m m"]) -> tuple[Float[Array, ""], Float[Array, "m m"]]:
    """Returns ρ(H) by Gelfand's formula, and a high power of H of norm 1 (0 if H is nilpotent)."""

    def square(
        carry: tuple[Array, Array], weight: Float[Array, ""]
    ) -> tuple[tuple[Array, Array], None]:
        logarithm, power = carry
        norm = jnp.linalg.norm(power)
        power = jnp.where(norm == 0, 0, power / norm)
        return (logarithm + weight * jnp.log(norm), power @ power), None

    weights = 0.5 ** jnp.arange(SQUARINGS, dtype=H.dtype)
    start = (jnp.zeros((), H.dtype), H)
    (logarithm, power), _ = jax.lax.scan(square, start, weights)
    norm = jnp.linalg.norm(power)
    return jnp.exp(logarithm), jnp.where(norm == 0, 0, power / norm)


def _read(krylov: _Krylov, tolerance: Float[Array, ""] | float) -> Dominant:
    _, power = _spectral_radius(_projected(krylov.hessenberg, krylov.iterations))
    column = power[:, jnp.argmax(jnp.linalg.norm(power, axis=0))]
    vector = column @ krylov.basis[:-1]
    value = jnp.where(jnp.isfinite(krylov.value), krylov.value, jnp.nan)
    residual = jnp.where(krylov.residual == 0, 0, krylov.residual / value)
    converged = krylov.residual <= tolerance * value
    vector = vector / jnp.linalg.norm(vector)
    return Dominant(value, vector, residual, krylov.iterations, converged)
