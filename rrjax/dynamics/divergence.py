"""The divergence of two trajectories: λ₁ without any tangent dynamics, as a check of it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from rrjax.contract import Dynamics, State, check_key, count_updates, run_segment
from rrjax.dynamics.krylov import Vector
from rrjax.dynamics.precision import (
    check_precision,
    exact_products,
    in_precision,
    state_precision,
)
from rrjax.dynamics.tangent import GrowthAlongRun, first_failure
from rrjax.frames import random_frame

ROUND_OFFS = 100
"""At a distance of so many round-offs of the state's norm, growth is known to about a hundredth."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Divergence(GrowthAlongRun):
    """How fast two trajectories part that are brought together after every segment. A pytree.

    Attributes:
      exponent: () the mean growth, in nats per update; compare with the first of `spectrum`.
      log_growth: (segments,) ln of the ratio of the distances after and before a segment, in nats.
      state: The end state of the reference trajectory.
      failed_at: () the segment, counted from 0, after which a trajectory was first not finite; −1
        if both stayed finite. From there on the numbers mean nothing.
      resolved: () whether the distance stayed above `ROUND_OFFS` of the state before and after
        every segment. Where it did not, growth measures the arithmetic: take a greater distance, or
        float64.
    """

    exponent: Array
    log_growth: Array
    state: State
    failed_at: Array
    resolved: Array

    @property
    def clock(self) -> str:
        """What one step of `log_growth` is."""
        return "segment"


def divergence(
    dynamics: Dynamics,
    num_segments: int = 16,
    *,
    key: jax.Array,
    initial: State | None = None,
    distance: float = 1e-6,
    precision: str = "exact",
) -> Divergence:
    r"""Returns the leading exponent from the finite difference of two trajectories.

    A second trajectory starts at the distance δ in a random direction. After every segment F

        ln ( ‖F(z + d) − F(z)‖ / ‖d‖ )

    is recorded, and the difference is scaled back to δ in its direction. No derivative is taken.
    With the same key the first direction is that of `spectrum(..., num_exponents=1)`, so the two
    agree segment by segment up to δ times the curvature and round-off over δ.

    Args:
      dynamics, num_segments, initial: As in `rrjax.spectrum`.
      key: Draws the direction of the first difference.
      distance: δ, the Euclidean norm of the difference in the whole state. The best is about the
        root of the round-off times the state's norm: in float32 some 1e-4 of it, far above the
        default.
      precision: As in `rrjax.spectrum`, whose trajectory this is; there are no tangents here.

    Returns:
      A `Divergence`. Trajectories that merge to the last bit have the growth −inf from there on,
      and their exponent is −inf too.

    Raises:
      ValueError: For no segments, a distance that is not positive and finite, or a precision that
        `rrjax.spectrum` would refuse.

    References:
      Benettin, Galgani & Strelcyn 1976.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> run = rrjax.divergence(shrink, 4, key=jax.random.key(0), distance=1e-2)
      >>> round(float(run.exponent), 2)  # ln ½
      -0.69
    """
    if not 0 < distance < float("inf"):
        raise ValueError(f"distance must be positive and finite, got {distance}")
    check_key(key)
    start = dynamics.start(initial)
    check_precision(precision, start)
    running = in_precision(dynamics, state_precision(precision))
    return _divergence(running, start, key, distance, num_segments)


@partial(jax.jit, static_argnums=4)
def _divergence(
    dynamics: Dynamics, start: State, key: jax.Array, distance, num_segments: int
) -> Divergence:
    first, unravel = ravel_pytree(start)
    other = _at_distance(first, ravel_pytree(random_frame(key, start, 1))[0], distance)

    def segment(pair: tuple[Vector, Vector], drive: Any) -> tuple[tuple[Vector, Vector], Any]:
        before = jnp.linalg.norm(pair[1] - pair[0])  # δ as the rounding of the state left it
        z, other = (ravel_pytree(run_segment(dynamics, unravel(one), drive))[0] for one in pair)
        after = jnp.linalg.norm(other - z)
        growth = jnp.where(before == 0, -jnp.inf, jnp.log(after / before))
        sound = jnp.isfinite(z).all() & jnp.isfinite(other).all()
        floor = ROUND_OFFS * jnp.finfo(z.dtype).eps * jnp.linalg.norm(z)
        resolved = jnp.minimum(before, after) > floor
        return (z, _at_distance(z, other - z, distance)), (growth, sound, resolved)

    with exact_products():
        (z, _), (growth, sound, resolved) = jax.lax.scan(
            segment, (first, other), dynamics.drives(num_segments), length=num_segments
        )
    exponent = growth.mean() / count_updates(dynamics.schedule)
    return Divergence(exponent, growth, unravel(z), first_failure(sound), resolved.all())


def _at_distance(z: Vector, direction: Vector, distance: Array | float) -> Vector:
    """Returns the point at this distance from z; z itself where there is no direction."""
    length = jnp.linalg.norm(direction)
    return jnp.where(length == 0, z, z + direction * (distance / length))
