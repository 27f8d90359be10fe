"""The tangent engine: a state and a frame pushed along a trajectory, with QR on the way.

Spectra, differentiable exponents, covariant vectors, the full spectrum and forward vectors all read
this one engine. It is traced but never compiled by itself: each reader has one compiled function.
"""

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Int

from rrjax.contract import (
    Brief,
    Context,
    Drive,
    Dynamics,
    Schedule,
    State,
    Update,
    check_key,
    count_updates,
    scan_updates,
)
from rrjax.dynamics.horizons import mean_growth
from rrjax.dynamics.precision import exact_products, linearize
from rrjax.frames import (
    Frame,
    above_round_off,
    count_vectors,
    dimension,
    gram,
    orthonormalize,
    random_frame,
)

Carry = tuple[State, Frame]
"""A state, and k tangent vectors: a state with a leading axis k."""

Push = Callable[[Context, Drive, Update, Carry], tuple[Carry, Any]]
"""Moves a state by an update and its tangent vectors by the Jacobian; returns something besides."""

QR = Callable[[Frame], tuple[Frame, Array]]
"""A thin QR, V = Q R with diag(R) > 0."""

Record = Callable[[Array, Array, Any], Any]
"""`record(R, sound, extra)` returns what is kept of one QR. `sound` says whether the state after it
and R are finite; `extra` is what the push returned besides."""


def raw_growth(R: Array, sound: Array, extra: Any) -> tuple[Array, Array, Array, Any]:
    """Returns ln Rᵢᵢ, whether each Rᵢᵢ stands above round-off, `sound` and `extra`: a record."""
    return jnp.log(jnp.diagonal(R)), above_round_off(R), sound, extra


def push_forward(
    context: Context, drive: Drive, update: Update, carry: Carry, precision: str = "exact"
) -> tuple[Carry, None]:
    """Returns the state moved by an update, and the tangent vectors moved by its Jacobian J.

    J is not formed. The update is linearised once and its directional derivatives are taken
    together, at the cost of about 1 + k updates.
    """
    z, V = carry
    z, jacobian = linearize(lambda z: update(context, z, drive), z, precision)
    return (z, jax.vmap(jacobian)(V)), None


def push_segment(
    dynamics: Dynamics,
    carry: Carry,
    drive: Drive,
    *,
    record: Record,
    push: Push = push_forward,
    qr: QR = orthonormalize,
) -> tuple[Carry, Any]:
    """Pushes a frame through one segment with a QR after every update: J_t Q_{t−1} = Q_t R_t.

    Returns the state and frame at its end, and the records stacked along the updates.
    """

    def step(update: Update, carry: Carry) -> tuple[Carry, Any]:
        carry, extra = push(dynamics.context, drive, update, carry)
        return _orthonormalized(carry, extra, qr, record)

    return scan_updates(dynamics.schedule, step, carry)


def push_frame(
    dynamics: Dynamics,
    carry: Carry,
    drives: Drive,
    num_segments: int,
    *,
    record: Record,
    push: Push = push_forward,
    qr: QR = orthonormalize,
    keep: Callable[[Carry, Carry, Any], Any] = lambda before, after, records: records,
    policy: Callable | None = None,
) -> tuple[Carry, Any]:
    """Pushes a frame along a trajectory with a QR after every update.

    Args:
      dynamics: Of one puzzle.
      carry: The state, and k orthonormal tangent vectors.
      drives: The drive's slices for the segments.
      num_segments: How many segments to run.
      record: What is kept of one QR.
      push: How one update moves the state and the tangent vectors.
      qr: Which QR.
      keep: `keep(before, after, records)` returns what is kept of one segment: from the carry
        before it, the carry after it and the records of its updates. It runs inside of what a
        checkpoint policy wraps.
      policy: What a backward pass finds stored, of `jax.checkpoint_policies`; all else of a segment
        is computed again. State and frame at the start of each segment are stored besides. None:
        no checkpointing.

    Returns:
      The state and frame at the end, and what was kept, stacked along the segments.
    """

    def segment(carry: Carry, drive: Drive) -> tuple[Carry, Any]:
        after, records = push_segment(dynamics, carry, drive, record=record, push=push, qr=qr)
        return after, keep(carry, after, records)

    return jax.lax.scan(_checkpointed(segment, policy), carry, drives, length=num_segments)


def push_frame_coarsely(
    dynamics: Dynamics,
    carry: Carry,
    drives: Drive,
    num_segments: int,
    segments_per_qr: int,
    *,
    record: Record,
    push: Push = push_forward,
    qr: QR = orthonormalize,
    keep: Callable[[Carry, Carry, Any], Any] = lambda before, after, record: record,
    policy: Callable | None = None,
) -> tuple[Carry, Any]:
    """Pushes a frame along a trajectory with a QR after every group of segments.

    The last group is shorter where `segments_per_qr` does not divide the segments. Of each QR is
    recorded what the pushes of its group returned besides, stacked along (segments, updates).
    Returns the state and frame at the end, and what `keep(before, after, record)` returned for
    each group, stacked along the groups.
    """

    def segment(carry: Carry, drive: Drive) -> tuple[Carry, Any]:
        return scan_updates(dynamics.schedule, partial(push, dynamics.context, drive), carry)

    def group(carry: Carry, slices: Drive, length: int) -> tuple[Carry, Any]:
        moved, extra = jax.lax.scan(segment, carry, slices, length=length)
        after, kept = _orthonormalized(moved, extra, qr, record)
        return after, keep(carry, after, kept)

    whole, rest = divmod(num_segments, segments_per_qr)
    end = whole * segments_per_qr

    def grouped(leaf: Array) -> Array:
        return leaf[:end].reshape(whole, segments_per_qr, *leaf.shape[1:])

    records = []
    if whole:
        step = _checkpointed(partial(group, length=segments_per_qr), policy)
        carry, kept = jax.lax.scan(step, carry, jax.tree.map(grouped, drives), length=whole)
        records.append(kept)
    if rest:
        step = _checkpointed(partial(group, length=rest), policy)
        carry, kept = step(carry, jax.tree.map(lambda leaf: leaf[end:], drives))
        records.append(jax.tree.map(lambda leaf: leaf[None], kept))
    return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *records)


def _orthonormalized(carry: Carry, extra: Any, qr: QR, record: Record) -> tuple[Carry, Any]:
    z, V = carry
    Q, R = qr(V)
    return (z, Q), record(R, all_finite((z, R)), extra)


def _checkpointed(step: Callable, policy: Callable | None) -> Callable:
    return jax.checkpoint(step, policy=policy, prevent_cse=False) if policy else step


def split_drives(drives: Drive, *lengths: int) -> list[Drive]:
    """Returns the drives of consecutive parts of a run, which have these numbers of segments."""
    return [
        jax.tree.map(lambda leaf, start=end - length, stop=end: leaf[start:stop], drives)
        for end, length in zip(accumulate(lengths), lengths, strict=True)
    ]


class GrowthAlongRun(Brief):
    """What the results share that measure growth along a run.

    Attributes:
      unit: The unit of the exponents.
      failed_at: () the step, counted from 0, after which the run was first not finite; −1 if it
        stayed finite. From there on the numbers mean nothing.
    """

    unit: ClassVar[str] = "nats per update"
    failed_at: Any

    @property
    def clock(self) -> str:
        """What one step of `log_growth` is."""
        return "update"

    @property
    def finite(self) -> Array:
        """Whether the run stayed finite."""
        return self.failed_at < 0


def read_growth(records: Any) -> tuple[dict[str, Any], Any]:
    """Returns by name what a run's `raw_growth` says, and what the pushes returned besides."""
    growth, resolved, sound, extra = by_update(records)
    resolved = resolved.all(0)
    named = {
        "exponents": mean_growth(growth, resolved),
        "log_growth": growth,
        "failed_at": first_failure(sound),
        "resolved": resolved,
    }
    return named, extra


def by_update(records: Any) -> Any:
    """Returns records stacked along (segments, updates) as stacked along all updates of a run."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), records)


def first_failure(sound: Bool[Array, " steps"]) -> Int[Array, ""]:
    """Returns the first step that is not sound, counted from 0; −1 if all are."""
    return jnp.where(sound.all(), -1, jnp.argmin(sound)).astype(jnp.int32)


def failing_update(
    schedule: Schedule, failure: Array, segments_per_qr: int, num_segments: int
) -> Int[Array, ""]:
    """Returns the last update before a QR, counted from 0, from the QR's number; −1 for −1."""
    segments = jnp.minimum((failure + 1) * segments_per_qr, num_segments)
    return jnp.where(failure < 0, -1, segments * count_updates(schedule) - 1)


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Returns whether every number of a pytree is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def initial_frame(
    start: State,
    key: jax.Array | None,
    frame: Frame | None,
    num_vectors: int,
    name: str = "num_exponents",
) -> Frame:
    """Returns the given frame, checked, or an orthonormal frame drawn from the key.

    Args:
      start: The state that the vectors are tangent to.
      key: Draws the frame. Exactly one of `key` and `frame` is given.
      frame: a state with a leading axis k.
      num_vectors: k of a frame that is drawn.
      name: What the caller calls k.
    """
    check_dtypes(start)
    if (key is None) == (frame is None):
        raise ValueError("give exactly one of key and frame: it sets the initial tangent vectors")
    if frame is None:
        check_key(key)
        _check_size(num_vectors, start, name)
        return _draw_frame(key, start, num_vectors)
    frame = jax.tree.map(jnp.asarray, frame)
    _check_frame(frame, start)
    return jax.tree.map(lambda rows, leaf: rows.astype(leaf.dtype), frame, start)


@partial(jax.jit, static_argnums=2)
def _draw_frame(key: jax.Array, start: State, num_vectors: int) -> Frame:
    with exact_products():
        return random_frame(key, start, num_vectors)


def check_dtypes(start: State) -> None:
    """Refuses states that are too coarse for tangents."""
    for leaf in jax.tree.leaves(start):
        if jnp.result_type(leaf) not in (jnp.float32, jnp.float64):
            raise ValueError(
                f"tangent dynamics need states of float32 or float64, got {jnp.result_type(leaf)}; "
                "load the model with dtype='float32'"
            )


def _check_size(num_vectors: int, start: State, name: str) -> None:
    if not 1 <= num_vectors <= dimension(start):
        raise ValueError(
            f"{name} must lie in 1..{dimension(start)}, the dimension of the state; "
            f"got {num_vectors}"
        )


def _check_frame(frame: Frame, start: State) -> None:
    """Refuses a frame of the wrong shape or, where its values are known, one not orthonormal."""
    k = count_vectors(frame) if jnp.ndim(jax.tree.leaves(frame)[0]) else 0
    expected = jax.tree.map(lambda leaf: (k, *leaf.shape), start)
    shapes = jax.tree.map(jnp.shape, frame)
    if shapes != expected:
        raise ValueError(f"frame must be a state with a leading axis k, {expected}; got {shapes}")
    _check_size(k, start, "the frame's number of vectors")
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(frame)):
        return  # inside a transformation values are unknown
    with jax.ensure_compile_time_eval():  # a frame from outside of a `jit` is known in it too
        skew = float(jnp.max(jnp.abs(gram(frame) - jnp.eye(k))))
    if not skew < 1e-3:
        raise ValueError(
            f"frame must be orthonormal, but its Gram matrix differs from the identity by "
            f"{skew:.2g}; rrjax.frames.orthonormalize makes it so"
        )
