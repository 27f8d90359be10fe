"""Exponents that training can push on: differentiable, in bounded memory, with their losses.

Engelken 2023, "Gradient flossing: improving gradient descent through dynamic control of Jacobians".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from rrjax.contract import Drive, Dynamics, State, Update, count_updates, fold
from rrjax.dynamics.spectrum import all_finite, check_dtypes, check_frame, push_forward
from rrjax.frames import (
    Frame,
    above_round_off,
    dimension,
    orthonormalize,
    orthonormalize_dense,
)

Carry = tuple[State, Frame]

_DENSE_VECTORS, _DENSE_DIMENSION = 16, 512
"""From this many vectors, up to this dimension, the library's QR is the faster one on a CPU."""

FRAMES = jax.checkpoint_policies.save_only_these_names("frame")
"""What the backward pass finds stored: every orthonormal frame and its R."""

EVERYTHING = jax.checkpoint_policies.everything_saveable
"""Nothing is computed twice: for small states."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Exponents:
    """Finite-time Lyapunov exponents that can be differentiated. A pytree.

    Attributes:
      values: (k,) nats per update, in the order of the frame. NaN where not `resolved`, and where
        the state or the frame was not finite.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its QR wherever it was counted. The
        losses leave the others out; gradients do not pass through them.
      state: where the window ended.
    """

    values: Array
    resolved: Array
    state: State

    @property
    def num_unresolved(self) -> Array:
        """How many directions the losses leave out."""
        return jnp.sum(~self.resolved)


@dataclass(frozen=True)
class _Plan:
    """What is fixed when the program is compiled."""

    window: range
    segments_per_qr: int | None
    policy: Callable

    def __post_init__(self):
        window, every = self.window, self.segments_per_qr
        if not isinstance(window, range) or not window or window.step < 1 or window.start < 0:
            raise ValueError(
                "window must be a range of segments counted from 0, e.g. range(16), range(12, 16) "
                f"or range(0, 16, 4), increasing and not empty; got {window!r}"
            )
        if every is not None and every < 1:
            raise ValueError(f"segments_per_qr must be at least 1, or None; got {every}")
        if every is not None and every > 1 and window.step > 1:
            raise ValueError(
                f"segments_per_qr must be 1 or None for a window of single segments; got {every} "
                f"with {window!r}"
            )


def exponents(
    dynamics: Dynamics,
    frame: Frame,
    window: range,
    initial: State | None = None,
    *,
    segments_per_qr: int | None = None,
    policy: Callable = FRAMES,
) -> Exponents:
    r"""The exponents of `rrjax.spectrum`, for reverse-mode differentiation.

        λᵢ = (1/T) Σ_t ln (R_t)ᵢᵢ,  over the T updates of the segments in the window.

    Gradients pass through the states, the tangents and every QR, with respect to the context, the
    drive, the start and the frame. Segments before the window move state and frame, uncounted.
    For a local loss start from a state of a rollout, under `jax.lax.stop_gradient`.

    The values do not depend on how often QR is done, up to round-off: `segments_per_qr` saves time,
    as long as directions do not spread beyond float32 in between, which `resolved` would show.

    Memory: by default what the backward pass finds stored are the frames, one per QR; all else of
    a segment is computed again. Temporary memory of the compiled gradient of a TRM with 9,216
    components, 8 updates a segment and k = 8, over 4 and over 16 segments: 298 and 330 MB (285 and
    289 with one QR a segment), against 1,031 and 3,263 with `EVERYTHING` stored.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      frame: orthonormal, k vectors: a state with a leading axis k (`rrjax.frames.random_frame`).
      window: the segments that count, from 0: the first ones `range(4)`, the last ones
        `range(12, 16)`, every fourth `range(3, 16, 4)`. Nothing runs beyond.
      initial: the initial state in place of `dynamics.initial`.
      segments_per_qr: QR after so many segments; None: after every update.
      policy: of `jax.checkpoint_policies`: what is stored for the backward pass (`FRAMES`,
        `EVERYTHING`).

    Raises:
      ValueError: for an empty or decreasing window or one beyond the drive, a frame of the wrong
        shape or not orthonormal, states that are not float32 or float64.
    """
    start = dynamics.start(initial)
    check_dtypes(start)
    frame = jax.tree.map(jnp.asarray, frame)
    check_frame(frame, start)
    frame = jax.tree.map(lambda row, leaf: row.astype(leaf.dtype), frame, start)
    return _exponents(dynamics, start, frame, _Plan(window, segments_per_qr, policy))


@partial(jax.jit, static_argnums=3)
def _exponents(dynamics: Dynamics, start: State, frame: Frame, plan: _Plan) -> Exponents:
    drives = dynamics.drives(plan.window[-1] + 1)
    first = plan.window.start
    with jax.default_matmul_precision("highest"):
        carry = (start, frame)
        if first:
            before = jax.tree.map(lambda leaf: leaf[:first], drives)
            carry, _ = _run(dynamics, plan, carry, before, first)
        inside = jax.tree.map(lambda leaf: leaf[first:], drives)
        carry, (growth, resolved) = _run(dynamics, plan, carry, inside, plan.window[-1] + 1 - first)
    counted = np.arange(len(growth)) % plan.window.step == 0
    resolved = resolved[counted].all(0)
    updates = len(plan.window) * count_updates(dynamics.schedule)
    values = jnp.where(resolved, growth[counted].sum(0) / updates, jnp.nan)
    return Exponents(values, resolved, carry[0])


def _run(
    dynamics: Dynamics, plan: _Plan, carry: Carry, drives: Drive, length: int
) -> tuple[Carry, tuple[Array, Array]]:
    """So many segments; ln R and whether it is resolved, for every group of segments."""
    group = plan.segments_per_qr or 1
    segment = _qr_every_update if plan.segments_per_qr is None else _qr_at_the_end
    step = jax.checkpoint(partial(segment, dynamics), policy=plan.policy, prevent_cse=False)
    whole, rest = divmod(length, group)

    def grouped(leaf: Array) -> Array:
        return leaf[: whole * group].reshape(whole, group, *leaf.shape[1:])

    found = []
    if whole:
        slices = (jax.tree.map(grouped, drives), jnp.zeros((whole, group)))
        carry, steps = jax.lax.scan(step, carry, slices)
        found.append(steps)
    if rest:
        last = jax.tree.map(lambda leaf: leaf[whole * group :], drives)
        carry, steps = step(carry, (last, jnp.zeros(rest)))
        found.append(jax.tree.map(lambda leaf: leaf[None], steps))
    return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)


def _qr_every_update(dynamics: Dynamics, carry: Carry, group: tuple) -> tuple[Carry, Any]:
    """A single segment."""
    drive = jax.tree.map(lambda leaf: leaf[0], group[0])

    def step(update: Update, carry: Carry) -> tuple[Carry, Any]:
        return _orthonormal(push_forward(dynamics.context, drive, update, carry))

    carry, (growth, resolved) = fold(dynamics.schedule, step, carry)
    return carry, (growth.sum(0), resolved.all(0))


def _qr_at_the_end(dynamics: Dynamics, carry: Carry, group: tuple) -> tuple[Carry, Any]:
    """Some segments, with tangents left as they turn."""

    def segment(carry: Carry, item: tuple) -> tuple[Carry, None]:
        def step(update: Update, carry: Carry) -> tuple[Carry, None]:
            return push_forward(dynamics.context, item[0], update, carry), None

        return fold(dynamics.schedule, step, carry)[0], None

    return _orthonormal(jax.lax.scan(segment, carry, group)[0])


def _orthonormal(carry: Carry) -> tuple[Carry, tuple[Array, Array]]:
    """State and frame after QR, ln R, and where it is a number or the run has failed."""
    z, V = carry
    k, n = len(jax.tree.leaves(V)[0]), dimension(z)
    dense = k >= _DENSE_VECTORS and n <= _DENSE_DIMENSION
    Q, R = checkpoint_name((orthonormalize_dense if dense else orthonormalize)(V), "frame")
    R = jnp.where(all_finite(z), R, jnp.nan)
    resolved = above_round_off(R) | ~jnp.isfinite(R).all()  # a failure must not look unresolved
    growth = jnp.log(jnp.where(resolved, jnp.diagonal(R), 1))
    return (z, Q), (growth, resolved)


Loss = Callable[[Exponents], Array]
"""Of the exponents of one trajectory; the target and so on are bound by `functools.partial`."""


def engelken_l2(found: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """Two-sided: mean_i (λᵢ − λ*)², over the resolved directions; NaN where none is.

    Args:
      found: from `exponents`.
      target: λ*, nats per update: a number, or (k,).

    Raises:
      ValueError: for a target that is not finite or of another shape.
    """
    return _mean_square(found, _excess(found, target))


def spectrum_cf(found: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """One-sided: mean_i relu(λᵢ − λ*)², over the resolved directions; NaN where none is.

    Raises:
      ValueError: for a target that is not finite or of another shape.
    """
    return _mean_square(found, jax.nn.relu(_excess(found, target)))


def top1_cf(found: Exponents, target: float = 0.0) -> Float[Array, ""]:
    """One-sided on the first alone: relu(λ₁ − λ*)²; NaN where it is not resolved.

    Raises:
      ValueError: for a target that is not a finite number.
    """
    (first,) = _excess(Exponents(found.values[:1], found.resolved[:1], None), target)
    return jnp.where(found.resolved[0], jnp.square(jax.nn.relu(first)), jnp.nan)


def volume_cf(found: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """One-sided on the growth of volume: relu(Σᵢ λᵢ − k λ*)², over the k resolved directions.

    NaN where none is.

    Raises:
      ValueError: for a target that is not finite or of another shape.
    """
    volume = jax.nn.relu(_excess(found, target).sum())
    return jnp.where(found.resolved.any(), jnp.square(volume), jnp.nan)


def _excess(found: Exponents, target: float | Array) -> Float[Array, " k"]:
    """λᵢ − λ* of the resolved directions, 0 for the others."""
    if not isinstance(target, Tracer) and not np.isfinite(target).all():
        raise ValueError(f"target must be finite, in nats per update; got {target}")
    if jnp.shape(target) not in ((), found.values.shape):
        raise ValueError(
            f"target must be a number or one for each of the {found.values.shape[0]} exponents; "
            f"got shape {jnp.shape(target)}"
        )
    return jnp.where(found.resolved, found.values - target, 0)


def _mean_square(found: Exponents, excess: Array) -> Float[Array, ""]:
    return jnp.sum(jnp.square(excess)) / found.resolved.sum()


def answer_kl(
    old_logits: Float[Array, "seq vocab"], new_logits: Float[Array, "seq vocab"]
) -> Float[Array, ""]:
    """KL(old ‖ new) of the answers, mean over the tokens, in nats; the old ones are constant."""
    old, new = (jax.nn.log_softmax(x, axis=-1) for x in (old_logits, new_logits))
    old = jax.lax.stop_gradient(old)
    return jnp.mean(jnp.sum(jnp.exp(old) * (old - new), axis=-1))


def mean_over(
    losses: Float[Array, " batch"], chosen: Bool[Array, " batch"] | Float[Array, " batch"]
) -> Float[Array, ""]:
    """The mean of a batch's losses weighted by `chosen`, e.g. `~solved`; 0 where none is chosen.

    The loss of a puzzle that is not chosen may be NaN.
    """
    weights = jnp.asarray(chosen, losses.dtype)
    total = jnp.sum(jnp.where(weights != 0, losses * weights, 0))
    return total / jnp.where(weights.any(), weights.sum(), 1)
