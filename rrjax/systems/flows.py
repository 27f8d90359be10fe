"""Flows as maps, by Runge-Kutta steps of fixed length.

Exponents per unit of time are exponents per update divided by the time of an update.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rrjax.systems.system import System, by_index

Vector = Float[Array, " n"]


def rk4(
    field: Callable[[Vector], Vector], time_step: float, num_steps: int = 1
) -> Callable[[Vector], Vector]:
    """Returns `num_steps` classical fourth-order Runge-Kutta steps of dz/dt = field(z) as one map.

    The map's exponents per unit of time differ from the flow's by O(dt⁴).
    """

    def step(z: Vector) -> Vector:
        a = field(z)
        b = field(z + time_step / 2 * a)
        c = field(z + time_step / 2 * b)
        d = field(z + time_step * c)
        return z + time_step / 6 * (a + 2 * b + 2 * c + d)

    def steps(z: Vector) -> Vector:
        return jax.lax.fori_loop(0, num_steps, lambda _, z: step(z), z)

    return step if num_steps == 1 else steps


def lorenz63(z: Float[Array, "3"]) -> Float[Array, "3"]:
    """Lorenz's convection model with σ = 10, ρ = 28, β = 8/3; its divergence is −(σ + 1 + β)."""
    x, y, w = z
    return jnp.stack([10 * (y - x), x * (28 - w) - y, x * y - 8 / 3 * w])


def rossler(z: Float[Array, "3"]) -> Float[Array, "3"]:
    """Rössler's spiral with a = b = 0.2, c = 5.7."""
    x, y, w = z
    return jnp.stack([-y - w, x + 0.2 * y, 0.2 + w * (x - 5.7)])


def lorenz96(z: Float[Array, " n"]) -> Float[Array, " n"]:
    """Lorenz's ring dzᵢ/dt = (zᵢ₊₁ − zᵢ₋₂) zᵢ₋₁ − zᵢ + 8; its divergence is −n."""
    return (jnp.roll(z, -1) - jnp.roll(z, 2)) * jnp.roll(z, 1) - z + 8


FLOWS = (
    System(
        "lorenz63",
        rk4(lorenz63, 0.02),
        np.array([1.0, 1.0, 20.0]),
        by_index(0.9056, 0.0, -14.5723),
        0.02,
        "Sprott 2003, Chaos and Time-Series Analysis; the sum is −(10 + 1 + 8/3)",
        total=-41 / 3,
        total_tolerance=5e-3,
        dimension=2.06215,
        time_step=0.02,
        num_segments=500,
        transient=10,
    ),
    System(
        "rossler",
        rk4(rossler, 0.05),
        np.array([-9.0, 0.0, 0.0]),
        by_index(0.0714, 0.0, -5.3943),
        0.01,
        "Sprott 2003, Chaos and Time-Series Analysis",
        dimension=2.0132,
        time_step=0.05,
        num_segments=500,
        transient=20,
    ),
    System(
        "lorenz96",
        rk4(lorenz96, 0.05, num_steps=4),
        8 + 0.01 * np.cos(np.arange(40.0) ** 2),  # off the unstable fixed point zᵢ = 8
        {1: 1.67},
        0.06,
        "Lorenz and Emanuel 1998, J. Atmos. Sci. 55, 399 (N = 40, F = 8): errors double in 0.42, "
        "the attractor's dimension is 27.1; the sum is the divergence −N",
        total=-40.0,
        total_tolerance=0.02,
        dimension=27.1,
        time_step=0.2,
        num_segments=20,
        transient=3,
        segment_updates=50,
    ),
)
