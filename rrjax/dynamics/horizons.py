"""Exponents of any window and clock, from the growth of one pass.

Everything is a sum of ln Rᵢᵢ: nothing is computed anew for another horizon.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rrjax.contract import Schedule, clock_steps


def growth_per_step(
    log_growth: Float[Array, "updates k"], schedule: Schedule, clock: str
) -> Float[Array, "steps k"]:
    """ln growth of every direction in each step of a clock, in nats.

    Args:
      log_growth: of whole segments, one row an update.
      schedule: the updates of a segment (`dynamics.schedule`).
      clock: `update`, `latent`, `cycle` or `segment` (`rrjax.contract.clock_steps`).

    Raises:
      ValueError: for another clock, or rows that are not whole segments.
    """
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
    log_growth: Float[Array, "updates k"],
    schedule: Schedule,
    clock: str,
    start: int = 0,
    stop: int | None = None,
) -> Float[Array, " k"]:
    """Finite-time Lyapunov exponents of the steps start, …, stop − 1, in nats per step of `clock`.

    Raises:
      ValueError: for another clock, rows that are not whole segments, or an empty window.
    """
    growth = growth_per_step(log_growth, schedule, clock)
    stop = len(growth) if stop is None else stop
    if not 0 <= start < stop <= len(growth):
        raise ValueError(
            f"the window must lie in 0..{len(growth)}, the {clock} steps there are, and not be "
            f"empty; got start {start}, stop {stop}"
        )
    return growth[start:stop].mean(0)


def running_exponents(
    log_growth: Float[Array, "updates k"], schedule: Schedule, clock: str
) -> Float[Array, "steps k"]:
    """The exponents of every prefix: row t is the mean growth of the first t + 1 steps."""
    growth = growth_per_step(log_growth, schedule, clock)
    counts = jnp.arange(1, len(growth) + 1, dtype=growth.dtype)
    return jnp.cumsum(growth, axis=0) / counts[:, None]
