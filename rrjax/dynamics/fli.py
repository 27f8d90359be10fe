"""The fast Lyapunov indicator, read from a spectrum's growth."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def fast_lyapunov_indicator(log_growth: ArrayLike) -> Float[Array, " updates"]:
    r"""The running maximum of a tangent vector's logarithmic length.

        FLI(t) = max_{1 ≤ s ≤ t} ln ‖w(s)‖,    ‖w(0)‖ = 1

    The first vector of a frame is never turned by QR, so its length is the product of the R₁₁ of
    `spectrum`, whatever k: the indicator needs no run of its own.

    Args:
      log_growth: (updates, k) of a `Spectrum`; its first column is read.

    Returns:
      FLI after every update, in nats; grows linearly under chaos, like ln t on regular orbits of a
      conservative system, and stays where it is under contraction. NaN from the first NaN on.

    Raises:
      ValueError: for an array without both axes, or with an empty one.

    References:
      Froeschlé, Lega & Gonczi 1997, "Fast Lyapunov indicators".
    """
    log_growth = jnp.asarray(log_growth)
    if log_growth.ndim != 2 or 0 in log_growth.shape:
        raise ValueError(
            "log_growth must have the shape (updates, k), that of Spectrum.log_growth of one "
            f"puzzle; got {log_growth.shape}; vmap over puzzles"
        )
    return jax.lax.associative_scan(jnp.maximum, jnp.cumsum(log_growth[:, 0]))
