"""Two-dimensional slices of initial states, and when the runs from them come to rest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from rrjax.contract import Brief, Dynamics, State
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import observe_segments, residual
from rrjax.frames import Frame

ReadAnswer = Callable[[Any], Array]
"""Returns the answer, an array of integers, from a readout."""


def on_plane(origin: State, directions: Frame, coordinates: Float[Array, "2"]) -> State:
    """Returns z0 + a·u + b·v.

    Args:
      origin: z0.
      directions: u and v, a state with a leading axis 2.
      coordinates: a and b, in the unit of the state where u and v are orthonormal.
    """
    return jax.tree.map(
        lambda z, pair: z + jnp.tensordot(coordinates.astype(z.dtype), pair, axes=1),
        origin,
        directions,
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class SettlingTime(Brief):
    """When a run came to rest, and where. A pytree; segments count from 1.

    Attributes:
      answer_at: () the first segment from which on the answer is the last one. It is late where
        the answer changed only just before the end; whether it would have changed again is not
        known.
      residual_at: () the first segment from which on the relative residual stays below the
        threshold; one more than there are segments where that of the last is not below it.
      residual: () ‖z′ − z‖ / ‖z′‖ of the last segment.
      answer: The answer after the last segment.
      state: The state after the last segment.
    """

    answer_at: Array
    residual_at: Array
    residual: Array
    answer: Array
    state: State


def argmax_tokens(readout: Any) -> Array:
    """Returns the answer of a cell: the likeliest token of each position."""
    return getattr(readout, "logits", readout).argmax(-1)


def settling_time(
    dynamics: Dynamics,
    num_segments: int = 16,
    *,
    threshold: float,
    initial: State | None = None,
    read_answer: ReadAnswer = argmax_tokens,
    precision: str = "exact",
) -> SettlingTime:
    """Runs `num_segments` segments and returns when the answer and the state came to rest.

    Each answer is compared with the one before, read anew from the state before. A bit and a number
    are kept of a segment, whatever the size of an answer.

    Args:
      dynamics, initial: As in `rrjax.spectrum`.
      num_segments: How many segments to run.
      threshold: Of the relative residual.
      read_answer: a function of a module.
      precision: As in `rrjax.rollout`.

    Returns:
      A `SettlingTime`. A run that is not finite has a NaN residual and never falls below the
      threshold, but its answer may look settled: see its residual.

    Raises:
      ValueError: As `rrjax.rollout`, and for a threshold that is not positive.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> rest = rrjax.settling_time(shrink, 30, threshold=1e-3, read_answer=lambda z: z > 1.9)
      >>> int(rest.answer_at), int(rest.residual_at)
      (5, 10)
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    with exact_products():
        state, (changed, residuals) = observe_segments(
            dynamics,
            Partial(_observe, Partial(read_answer)),
            num_segments,
            initial=initial,
            precision=precision,
        )
        answer = read_answer(dynamics.readout(dynamics.context, state))
    segments = jnp.arange(1, num_segments + 1, dtype=jnp.int32)
    # what the initial state would have answered is no answer of the run
    last_change = jnp.where(changed, segments, 1).max()
    last_large = jnp.where(residuals < threshold, 0, segments).max()
    return SettlingTime(last_change, last_large + 1, residuals[-1], answer, state)


def _observe(
    read_answer: Partial, dynamics: Dynamics, before: State, after: State, frame: None
) -> tuple[Array, Array]:
    old, new = (read_answer(dynamics.readout(dynamics.context, z)) for z in (before, after))
    return (old != new).any(), residual(before, after)
