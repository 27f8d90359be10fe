"""Random recurrent networks with known averages over the spectrum, or known large-N limits."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rrjax.systems.flows import rk4
from rrjax.systems.system import System


def coupling(size: int, gain: float, seed: int) -> Float[np.ndarray, "n n"]:
    """Returns independent Gaussian weights of variance gain²/size."""
    return np.random.default_rng(seed).normal(0, gain / np.sqrt(size), (size, size))


def without_diagonal(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Returns the weights of a network in which no neuron drives itself.

    The divergence of the rate network is then −N/τ everywhere.
    """
    return matrix - np.diag(np.diag(matrix))


def rate_field(matrix: np.ndarray):
    """Returns the field of the rate network τ dh/dt = −h + J tanh(h) with τ = 1."""

    def field(h: Float[Array, " n"]) -> Float[Array, " n"]:
        return -h + jnp.asarray(matrix, h.dtype) @ jnp.tanh(h)

    return field


def discrete_step(matrix: np.ndarray):
    """Returns the map of the discrete network x ↦ J tanh(x), which is Clark's with δ = 1."""

    def step(x: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(matrix, x.dtype) @ jnp.tanh(x)

    return step


def mean_field_exponent(gain: float) -> float:
    """Returns λ₁ of the discrete random network for N → ∞, in nats per update.

      Δ = g² ⟨tanh²(√Δ z)⟩,   λ₁ = ½ ln(g² ⟨tanh′²(√Δ z)⟩),   z ~ N(0, 1)

    Source: Molgedey, Schuchhardt and Schuster 1992, Phys. Rev. Lett. 69, 3717.
    """
    z = np.linspace(-9, 9, 4001)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    variance = 1.0
    for _ in range(1000):  # a contraction: each pass gains a digit or more
        variance = gain**2 * float(weight @ np.tanh(np.sqrt(variance) * z) ** 2)
    slope = 1 - np.tanh(np.sqrt(variance) * z) ** 2
    return 0.5 * float(np.log(gain**2 * (weight @ slope**2)))


def _start(size: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=size)


def _discrete(gain: float, measured: float) -> System:
    size = 256
    return System(
        f"discrete network g={gain:g}",
        discrete_step(coupling(size, gain, seed=0)),
        _start(size),
        {1: mean_field_exponent(gain)},
        0.015,
        f"mean-field theory for N → ∞ (Molgedey et al. 1992); Clark 2026 measured {measured} at "
        f"N = 4096. Here N = {size}, and single networks scatter about the limit",
        num_segments=20,
        transient=2,
    )


NETWORKS = (
    System(
        "rate network",
        rk4(rate_field(without_diagonal(coupling(40, 4.0, seed=2))), 0.1, num_steps=4),
        _start(40),
        {},
        0.01,
        "the mean exponent of a network without self-coupling is −1/τ: Engelken, Wolf and Abbott "
        "2023, Phys. Rev. Research 5, 043044",
        total=-40.0,
        total_tolerance=2e-3,
        time_step=0.4,
        num_segments=5,
        segment_updates=50,
    ),
    _discrete(1.5, 0.0650),
    _discrete(3.0, 0.3096),
)
