"""Exponents of any window and clock, read from the growth of one run.

Every quantity here is a sum of ln Rᵢᵢ, so that no other horizon needs another run.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from rrjax.contract import Schedule, clock_steps

__all__ = [
    "exponents_per_step",
    "fast_lyapunov_indicator",
    "growth_per_step",
    "mean_growth",
    "running_exponents",
]


def mean_growth(
    log_growth: Float[Array, "updates k"], resolved: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """Returns the exponents: the mean of ln Rᵢᵢ over all updates, in nats per update.

    NaN where a direction is not resolved, but −inf where it is annihilated to an exact zero.

    Example:
      >>> rrjax.horizons.mean_growth(jnp.array([[0.5], [0.1]]), jnp.array([True])).round(3)
      Array([0.3], dtype=float32)
    """
    mean = log_growth.mean(0)
    return jnp.where(resolved | jnp.isneginf(mean), mean, jnp.nan)


def growth_per_step(
    log_growth: Float[Array, "rows k"], schedule: Schedule, clock: str, rows: str = "update"
) -> Float[Array, "steps k"]:
    """Returns the growth of every direction in each step of a clock, in nats.

    Args:
      log_growth: Ln Rᵢᵢ of whole segments.
      schedule: The updates of a segment (`dynamics.schedule`).
      clock: `update`, `latent`, `cycle` or `segment` (`rrjax.contract.clock_steps`).
      rows: What one row of `log_growth` is, the `clock` of its spectrum: `update`, or `segment`
        with a QR after each segment, of which no other clock can be read.

    Raises:
      ValueError: For another clock, or rows that are not whole segments.

    Example:
      >>> schedule = (rrjax.Repeat(2, (lambda context, z, drive: z,)),)  # a segment of 2 updates
      >>> growth = jnp.array([[0.5], [0.1], [-0.2], [-0.4]])  # of 2 segments
      >>> rrjax.horizons.growth_per_step(growth, schedule, "segment")[:, 0].round(3)
      Array([ 0.6, -0.6], dtype=float32)
    """
    if rows != "update":
        if (rows, clock) != ("segment", "segment"):
            raise ValueError(
                f"growth by {rows} cannot be read by {clock}; measure the spectrum with "
                "segments_per_qr=None"
            )
        return log_growth
    within = np.asarray(clock_steps(schedule, clock))
    num_segments, rest = divmod(len(log_growth), len(within))
    if rest or num_segments == 0:
        raise ValueError(
            f"log_growth must have whole segments of {len(within)} updates; it has "
            f"{len(log_growth)} rows"
        )
    per_segment = int(within[-1]) + 1
    steps = (np.arange(num_segments)[:, None] * per_segment + within).ravel()
    total = num_segments * per_segment
    return jax.ops.segment_sum(log_growth, steps, total, indices_are_sorted=True)


def exponents_per_step(
    log_growth: Float[Array, "rows k"],
    schedule: Schedule,
    clock: str,
    start: int = 0,
    stop: int | None = None,
    rows: str = "update",
) -> Float[Array, " k"]:
    """Returns the exponents of the steps start, …, stop − 1, in nats per step of `clock`.

    `rows` is as in `growth_per_step`.

    Raises:
      ValueError: For another clock, rows that are not whole segments, or an empty window.

    Example:
      >>> schedule = (rrjax.Repeat(2, (lambda context, z, drive: z,)),)  # a segment of 2 updates
      >>> growth = jnp.array([[0.5], [0.1], [-0.2], [-0.4]])  # of 2 segments
      >>> rrjax.horizons.exponents_per_step(growth, schedule, "segment", start=1).round(3)
      Array([-0.6], dtype=float32)
    """
    growth = growth_per_step(log_growth, schedule, clock, rows)
    stop = len(growth) if stop is None else stop
    if not 0 <= start < stop <= len(growth):
        raise ValueError(
            f"the window must lie in 0..{len(growth)}, the run's {clock} steps, and must not be "
            f"empty; got start {start}, stop {stop}"
        )
    return growth[start:stop].mean(0)


def running_exponents(
    log_growth: Float[Array, "rows k"], schedule: Schedule, clock: str, rows: str = "update"
) -> Float[Array, "steps k"]:
    """Returns the exponents of every prefix: row t is the mean growth of the first t + 1 steps.

    They are in nats per step of `clock`, and `rows` is as in `growth_per_step`.

    Example:
      >>> schedule = (rrjax.Repeat(2, (lambda context, z, drive: z,)),)  # a segment of 2 updates
      >>> growth = jnp.array([[0.5], [0.1], [-0.2], [-0.4]])  # of 2 segments
      >>> rrjax.horizons.running_exponents(growth, schedule, "update")[:, 0].round(3)
      Array([0.5  , 0.3  , 0.133, 0.   ], dtype=float32)
    """
    growth = growth_per_step(log_growth, schedule, clock, rows)
    counts = jnp.arange(1, len(growth) + 1, dtype=growth.dtype)
    return jnp.cumsum(growth, axis=0) / counts[:, None]


def fast_lyapunov_indicator(log_growth: ArrayLike) -> Float[Array, " updates"]:
    r"""Returns the running maximum of the logarithmic length of a tangent vector.

        FLI(t) = max_{1 ≤ s ≤ t} ln ‖w(s)‖,    ‖w(0)‖ = 1

    A QR never turns the first vector of a frame, so its length is the product of the R₁₁ of
    `spectrum` for any k. The indicator needs no run of its own.

    Args:
      log_growth: (updates, k) that of a `Spectrum`; only its first column is read.

    Returns:
      FLI after every update, in nats; of a spectrum with `segments_per_qr` after every QR. It grows
      linearly under chaos and like ln t on regular orbits of a conservative system, and stays where
      it is under contraction. NaN from the first NaN on.

    Raises:
      ValueError: For an array without both axes, or with an empty one.

    References:
      Froeschlé, Lega & Gonczi 1997, "Fast Lyapunov indicators".

    Example:
      >>> rrjax.horizons.fast_lyapunov_indicator(np.array([[0.5], [0.1], [-0.2]])).round(3)
      Array([0.5, 0.6, 0.6], dtype=float32)
    """
    log_growth = jnp.asarray(log_growth)
    if log_growth.ndim != 2 or 0 in log_growth.shape:
        raise ValueError(
            "log_growth must have the shape (updates, k), that of Spectrum.log_growth of one "
            f"puzzle; got {log_growth.shape}; vmap over puzzles"
        )
    return jax.lax.associative_scan(jnp.maximum, jnp.cumsum(log_growth[:, 0]))
