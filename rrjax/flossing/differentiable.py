"""Exponents that training can push on: differentiable, in bounded memory.

Engelken 2023, "Gradient flossing: improving gradient descent through dynamic control of Jacobians".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from rrjax.checks import check_count, check_positive
from rrjax.contract import Dynamics, State, count_updates
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.tangent import (
    Carry,
    GrowthAlongRun,
    failing_update,
    first_failure,
    initial_frame,
    push_frame,
    push_frame_coarsely,
    split_drives,
)
from rrjax.frames import (
    Frame,
    above_round_off,
    count_vectors,
    dimension,
    orthonormalize,
    orthonormalize_dense,
)

_DENSE_VECTORS, _DENSE_DIMENSION = 16, 512
"""From this many vectors on, up to this dimension, the library's QR is the faster one on a CPU."""

FRAMES = jax.checkpoint_policies.save_only_these_names("frame")
"""The backward pass finds every orthonormal frame and its R stored, and computes the rest again."""

EVERYTHING = jax.checkpoint_policies.everything_saveable
"""Nothing is computed twice: for small states."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Exponents(GrowthAlongRun):
    """Finite-time Lyapunov exponents that can be differentiated. A pytree.

    Attributes:
      values: (k,) nats per update, in the order of the frame. NaN where not `resolved`, and from a
        failure on.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its QR wherever it was counted. The
        losses leave the others out, and no gradient passes through these.
      state: The end state.
      failed_at: () the update, counted from 0 after the transient, at whose QR the state or R was
        first not finite; −1 if none was.
    """

    values: Array
    resolved: Array
    state: State
    failed_at: Array


@dataclass(frozen=True)
class _Plan:
    """What is fixed when the program is compiled."""

    num_segments: int
    frame_transient: int
    stride: int
    segments_per_qr: int | None
    policy: Callable

    def __post_init__(self):
        check_positive(self, ("num_segments", "stride", "segments_per_qr"))
        check_count("frame_transient", self.frame_transient)
        if self.stride > 1 and self.segments_per_qr not in (1, None):
            raise ValueError(
                f"segments_per_qr must be 1 or None where stride counts single segments; got "
                f"{self.segments_per_qr} with stride {self.stride}"
            )


def exponents(
    dynamics: Dynamics,
    num_exponents: int = 8,
    num_segments: int = 16,
    *,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    frame_transient: int = 0,
    stride: int = 1,
    segments_per_qr: int | None = None,
    policy: Callable = FRAMES,
) -> Exponents:
    r"""Returns the exponents of `rrjax.spectrum`, for reverse-mode differentiation.

        λᵢ = (1/T) Σ_t ln (R_t)ᵢᵢ,  over the T updates of the segments that count.

    Gradients pass through the states, the tangents and every QR, with respect to the context, the
    drive, the start and the frame. For a local loss start from a state of a rollout, under
    `jax.lax.stop_gradient`.

    How often a QR is done does not change the values, up to round-off. `segments_per_qr` saves
    time as long as directions do not spread beyond float32 in between; `resolved` shows if they do.

    Memory: by default the backward pass finds the frames stored, one for each QR, and computes all
    else of a segment again. The compiled gradient of a TRM with 9,216 components, 8 updates a
    segment and k = 8 takes 298 MB of temporary memory over 4 segments and 330 MB over 16 (285 and
    289 with one QR a segment), against 1,031 and 3,263 with `EVERYTHING` stored.

    Args:
      dynamics, num_exponents, key, frame, initial: As in `rrjax.spectrum`.
      num_segments: How many segments to run after the transient.
      frame_transient: Segments that state and frame run first, uncounted.
      stride: After the transient, count the first segment and then every `stride`-th.
      segments_per_qr: Do a QR after so many segments; None: after every update.
      policy: What is stored for the backward pass: `FRAMES`, `EVERYTHING`, or another one of
        `jax.checkpoint_policies`.

    Raises:
      ValueError: As `rrjax.spectrum`, for a stride or `segments_per_qr` below 1, and for a stride
        with more than one segment per QR.

    Example:
      >>> def first(scale):
      ...     linear = rrjax.Dynamics.from_updates(
      ...         jnp.ones(2), lambda c, z, d: c * z, lambda c, z: z, scale
      ...     )
      ...     return rrjax.flossing.exponents(linear, 2, 4, frame=jnp.eye(2)).values[0]
      ...
      >>> jax.grad(first)(jnp.array([2.0, 0.5])).round(3)  # of ln 2: 1/2 and 0
      Array([0.5, 0. ], dtype=float32)
    """
    plan = _Plan(num_segments, frame_transient, stride, segments_per_qr, policy)
    start = dynamics.start(initial)
    first = initial_frame(start, key, frame, num_exponents)
    return _exponents(dynamics, start, first, plan)


@partial(jax.jit, static_argnums=3)
def _exponents(dynamics: Dynamics, start: State, frame: Frame, plan: _Plan) -> Exponents:
    lengths = plan.frame_transient, plan.num_segments
    turning, measured = split_drives(dynamics.drives(sum(lengths)), *lengths)
    with exact_products():
        carry = start, frame
        if plan.frame_transient:
            carry, _ = _push(dynamics, plan, carry, turning, plan.frame_transient)
        carry, (growth, resolved, sound) = _push(dynamics, plan, carry, measured, plan.num_segments)
    resolved = resolved[:: plan.stride].all(0)
    growth = growth[:: plan.stride].sum(0)
    counted = len(range(0, plan.num_segments, plan.stride)) * count_updates(dynamics.schedule)
    values = jnp.where(resolved, growth / counted, jnp.nan)
    return Exponents(values, resolved, carry[0], _failed_at(dynamics, plan, sound))


def _push(
    dynamics: Dynamics, plan: _Plan, carry: Carry, drives: Any, num_segments: int
) -> tuple[Carry, tuple[Array, Array, Array]]:
    """Returns the carry, and ln R, whether it is resolved and sound: for every group of segments.

    Where every update has its QR, a group is one segment, and `sound` is that of each update.
    """
    dense = count_vectors(carry[1]) >= _DENSE_VECTORS and dimension(carry[0]) <= _DENSE_DIMENSION

    def qr(V: Frame) -> tuple[Frame, Array]:
        return checkpoint_name((orthonormalize_dense if dense else orthonormalize)(V), "frame")

    def sums(before: Carry, after: Carry, records: tuple) -> tuple[Array, Array, Array]:
        growth, resolved, sound = records
        return growth.sum(0), resolved.all(0), sound

    sizes = dynamics, carry, drives, num_segments
    if plan.segments_per_qr is None:
        return push_frame(*sizes, record=_log_growth, qr=qr, keep=sums, policy=plan.policy)
    return push_frame_coarsely(
        *sizes, plan.segments_per_qr, record=_log_growth, qr=qr, policy=plan.policy
    )


def _log_growth(R: Array, sound: Array, extra: None) -> tuple[Array, Array, Array]:
    """Returns ln Rᵢᵢ, NaN in a run that has failed and 0 where it is not resolved.

    The logarithm is guarded before it is taken: a `where` after it would give NaN gradients.
    """
    R = jnp.where(sound, R, jnp.nan)
    resolved = above_round_off(R) | ~sound  # a failure must not look unresolved
    return jnp.log(jnp.where(resolved, jnp.diagonal(R), 1)), resolved, sound


def _failed_at(dynamics: Dynamics, plan: _Plan, sound: Array) -> Array:
    """Returns the update at whose QR the run failed."""
    at = first_failure(sound.ravel())
    if plan.segments_per_qr is None:
        return at
    return failing_update(dynamics.schedule, at, plan.segments_per_qr, plan.num_segments)
