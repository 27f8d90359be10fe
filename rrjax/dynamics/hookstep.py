"""Newton's step within a radius: the best one that a Krylov space holds (hook step)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rrjax.dynamics.krylov import grow

Vector = Float[Array, " n"]

BISECTIONS = 64
"""Halvings of the interval of λ, after which nothing is left of it in float64."""


class KrylovSpace(NamedTuple):
    """The space of b, A b, A² b … with A Vᵀ = Vᵀ H, where b is the first row of V up to its length.

    Attributes:
      V: (m + 1, n) orthonormal rows; those beyond the dimension are 0.
      H: (m + 1, m) the small matrix; columns beyond the dimension are 0.
    """

    V: Float[Array, "m_plus_1 n"]
    H: Float[Array, "m_plus_1 m"]


def krylov_space(
    apply: Callable[[Vector], Vector],
    right: Vector,
    size: int,
    tolerance: Float[Array, ""] | float,
) -> KrylovSpace:
    """Returns the smallest Krylov space in which ‖A x − b‖ ≤ tolerance · ‖b‖ has a solution.

    The least residual is 1 / ‖u‖ times ‖b‖, where uᵀ H = 0 and u₀ = 1: each new column of H gives
    one more entry of u.

    Args:
      apply: A; it is traced once.
      right: b, not 0.
      size: m, the largest dimension, at which the space ends in any case.
      tolerance: the relative residual.

    References:
      Saad and Schultz 1986, SIAM J. Sci. Stat. Comput. 7, 856 (GMRES).
    """

    def proceed(carry: tuple[Array, Array, Array, Array, Array]) -> Bool[Array, ""]:
        _, _, u, length, j = carry
        return (j < size) & (length > 0) & (jnp.linalg.norm(u) * tolerance < 1)

    def extend(
        carry: tuple[Array, Array, Array, Array, Int[Array, ""]],
    ) -> tuple[Array, Array, Array, Array, Array]:
        V, H, u, _, j = carry
        V, H, length = grow(apply, V, H, j)
        u = u.at[j + 1].set(-(H[:, j] @ u) / length)  # H[j + 1, j] is the length; u ends at j
        return V, H, u, length, j + 1

    V = jnp.zeros((size + 1, right.size), right.dtype).at[0].set(right / jnp.linalg.norm(right))
    H = jnp.zeros((size + 1, size), right.dtype)
    u = jnp.zeros(size + 1, right.dtype).at[0].set(1)
    start = (V, H, u, jnp.ones((), right.dtype), jnp.zeros((), int))
    return KrylovSpace(*jax.lax.while_loop(proceed, extend, start)[:2])


class Hook(NamedTuple):
    """The minimum of ‖length · e₁ − H y‖ over ‖y‖ ≤ radius, for any radius.

    Attributes:
      b: (m,) the components of length · e₁ along the left singular vectors of H.
      s: (m,) the singular values; W: (m, m) the right singular vectors as rows.
    """

    b: Float[Array, " m"]
    s: Float[Array, " m"]
    W: Float[Array, "m m"]

    def step(self, radius: Float[Array, ""] | float) -> Float[Array, " m"]:
        """Returns y: the least-squares solution, or where that is too long (HᵀH + λ) y = Hᵀ b.

        Directions that H maps to nothing, up to round-off, have no part in it.

        References:
          Dennis and Schnabel 1996, "Numerical Methods for Unconstrained Optimization", chapter 6.4;
          Viswanath 2007, J. Fluid Mech. 580, 339 (within a Krylov space).
        """
        b, s = self.b, self.s
        is_used = s > 10 * jnp.finfo(s.dtype).eps * s[0]
        newton = jnp.where(is_used, b / jnp.where(is_used, s, 1), 0)

        def within(damping: Array) -> Array:
            return jnp.where(is_used, s * b / (s**2 + damping), 0)

        def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            is_long = jnp.linalg.norm(within(middle)) > radius
            return jnp.where(is_long, middle, low), jnp.where(is_long, high, middle)

        most = s[0] * jnp.linalg.norm(b) / radius
        _, damping = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.zeros_like(most), most))
        is_short = jnp.linalg.norm(newton) <= radius
        return jnp.where(is_short, newton, within(damping)) @ self.W


def hook(H: Float[Array, "m_plus_1 m"], length: Float[Array, ""]) -> Hook:
    """Returns the steps of a Krylov space whose right side has this length.

    Args:
      H: the small matrix of a `KrylovSpace`.
      length: ‖b‖.
    """
    U, s, W = jnp.linalg.svd(H, full_matrices=False)
    return Hook(length * U[0], s, W)
