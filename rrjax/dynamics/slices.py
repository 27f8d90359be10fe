"""Two-dimensional slices of initial states, and when the runs from them come to rest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import Drive, Dynamics, State, run_segment
from rrjax.dynamics.rollout import observe_segments, residual
from rrjax.dynamics.spectrum import initial_frame
from rrjax.frames import Frame, orthonormalize

ReadAnswer = Callable[[Any], Array]
"""From a readout to the answer: an array of integers."""


def on_plane(origin: State, directions: Frame, coordinates: Float[Array, "2"]) -> State:
    """z0 + a·u + b·v.

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
@dataclass(frozen=True)
class Settling:
    """When a run came to rest, and where. A pytree; segments count from 1.

    Attributes:
      answer_at: () the first segment from which on the answer is the last one. A run whose answer
        changed only just before its end has a late one: whether it would have changed again
        is not known.
      residual_at: () the first segment from which on the relative residual stays below the
        threshold; one more than there are segments where that of the last is not.
      residual: () of the last segment, ‖z′ − z‖ / ‖z′‖.
      answer: after the last segment.
      state: after the last segment.
    """

    answer_at: Array
    residual_at: Array
    residual: Array
    answer: Array
    state: State


def argmax_tokens(readout: Any) -> Array:
    """The answer of a cell: the likeliest token of each position."""
    return getattr(readout, "logits", readout).argmax(-1)


def settle(
    dynamics: Dynamics,
    threshold: float,
    num_segments: int = 16,
    initial: State | None = None,
    read_answer: ReadAnswer = argmax_tokens,
) -> Settling:
    """Run `num_segments` segments and keep when answer and state came to rest.

    Each answer is compared with the one before, read anew from the state before: of a segment a
    bit and a number are kept, whatever the size of an answer.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      threshold: of the relative residual.
      num_segments: segments to run.
      initial: the initial state in place of `dynamics.initial`.
      read_answer: a function of a module.

    Returns:
      A `Settling`. A run that is not finite has a NaN residual and never falls below the
      threshold, but its answer may look settled: see its residual.

    Raises:
      ValueError: for a threshold that is not positive, or as `observe_segments`.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    with jax.default_matmul_precision("highest"):
        state, (changed, residuals) = observe_segments(
            dynamics, _observer(read_answer), num_segments, initial
        )
        answer = read_answer(dynamics.readout(dynamics.context, state))
    segments = jnp.arange(1, num_segments + 1, dtype=jnp.int32)
    # what the initial state would have answered is no answer of the run
    last_change = jnp.where(changed, segments, 1).max()
    last_large = jnp.where(residuals < threshold, 0, segments).max()
    return Settling(last_change, last_large + 1, residuals[-1], answer, state)


@cache
def _observer(read_answer: ReadAnswer):
    """Equal for equal `read_answer`, so that it is compiled once."""
    return partial(_observe, read_answer)


def _observe(
    read_answer: ReadAnswer, dynamics: Dynamics, before: State, after: State
) -> tuple[Array, Array]:
    old, new = (read_answer(dynamics.readout(dynamics.context, z)) for z in (before, after))
    return (old != new).any(), residual(before, after)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ForwardVectors:
    """The leading forward Lyapunov vectors at a state. A pytree.

    Attributes:
      frame: k orthonormal tangent vectors, a state with a leading axis k; each up to its sign.
      log_growth: (k,) ln σᵢ, nats over the whole horizon, as the last pass found it.
      residual: () how far their span may still be off, as a sine: t/(1 − r), t that by which the
        last pass turned it, r = t over that of the pass before; inf where t did not fall.
      passes: () forwards and back.
      converged: () whether the residual came down to the tolerance.
    """

    frame: Frame
    log_growth: Array
    residual: Array
    passes: Array
    converged: Array


def forward_vectors(
    dynamics: Dynamics,
    key: jax.Array,
    num_vectors: int = 2,
    num_segments: int = 4,
    *,
    max_passes: int = 100,
    tolerance: float = 1e-3,
) -> ForwardVectors:
    r"""The finite-time forward Lyapunov vectors at the initial state.

        M = ∂z_n/∂z_0 = J_n ⋯ J_1,    MᵀM vᵢ = σᵢ² vᵢ

    the right singular vectors of the Jacobian of the first n segments: of all perturbations of z0
    those that grow most until then. Not the vectors of a `Spectrum`, which are frames at the end of
    a run (backward Lyapunov vectors). By orthogonal iteration on MᵀM: a frame goes through the
    segments by forward differentiation and back by reverse differentiation, with QR after every
    segment on both ways, so that neither growth nor condition of M matters. Memory: the states
    at n segments and one linearised segment.

    Args:
      dynamics: of one puzzle.
      key: draws the first frame.
      num_vectors: k.
      num_segments: n.
      max_passes: forwards and back, at most.
      tolerance: of the residual. The span converges by (σ_{k+1}/σ_k)² a pass.

    Returns:
      A `ForwardVectors`. Where σ_k and σ_{k+1} are equal the last vector is not unique, and the
      residual says so.

    Raises:
      ValueError: for no segments, a drive with fewer, a k beyond the state's dimension, or states
        that are not float32 or float64.

    References:
      Legras & Vautard 1996; Kuptsov & Parlitz 2012, "Theory and computation of covariant Lyapunov
      vectors", whose forward vectors these are.
    """
    drives = dynamics.drives(num_segments)
    frame = initial_frame(dynamics.initial, key, None, num_vectors, "num_vectors")
    return _forward_vectors(dynamics, drives, frame, tolerance, num_segments, max_passes)


@partial(jax.jit, static_argnums=(4, 5))
def _forward_vectors(
    dynamics: Dynamics, drives: Drive, first: Frame, tolerance, num_segments: int, max_passes: int
) -> ForwardVectors:
    """From the frame `first`."""

    def proceed(carry: tuple[ForwardVectors, Array]) -> Array:
        found, turned = carry
        return ~found.converged & (found.passes < max_passes) & jnp.isfinite(turned)

    def again(carry: tuple[ForwardVectors, Array]) -> tuple[ForwardVectors, Array]:
        found, before = carry
        end, growth = _forwards(dynamics, path, found.frame)
        frame = _backwards(dynamics, path, end)
        turned = _distance(found.frame, frame)
        # what is left of a geometric series: slow turning alone is no convergence
        ratio = turned / before
        left = jnp.where(ratio < 1, turned / (1 - ratio), jnp.inf)
        passes = found.passes + 1
        return ForwardVectors(frame, growth, left, passes, left <= tolerance), turned

    with jax.default_matmul_precision("highest"):
        path = _path(dynamics, drives, num_segments)
        leaf = jax.tree.leaves(first)[0]
        unknown, passes = jnp.full(len(leaf), jnp.nan, leaf.dtype), jnp.zeros((), jnp.int32)
        infinity = jnp.full((), jnp.inf, leaf.dtype)
        start = ForwardVectors(first, unknown, infinity, passes, jnp.array(False))
        return jax.lax.while_loop(proceed, again, (start, jnp.ones((), leaf.dtype)))[0]


def _path(dynamics: Dynamics, drives: Drive, num_segments: int) -> tuple[State, Drive]:
    """The states before each of the segments, and what drives these."""

    def segment(state: State, drive: Drive) -> tuple[State, State]:
        return run_segment(dynamics, state, drive), state

    return jax.lax.scan(segment, dynamics.initial, drives, length=num_segments)[1], drives


def _forwards(
    dynamics: Dynamics, path: tuple[State, Drive], frame: Frame
) -> tuple[Frame, Float[Array, " k"]]:
    """The frame after the segments, and Σ ln diag R."""

    def segment(frame: Frame, at: tuple[State, Drive]) -> tuple[Frame, Array]:
        state, drive = at
        _, apply = jax.linearize(lambda z: run_segment(dynamics, z, drive), state)
        frame, r = orthonormalize(jax.vmap(apply)(frame))
        return frame, jnp.log(jnp.diagonal(r))

    end, logs = jax.lax.scan(segment, frame, path)
    return end, logs.sum(0)


def _backwards(dynamics: Dynamics, path: tuple[State, Drive], frame: Frame) -> Frame:
    """The frame before the segments, by their transposed Jacobians in reverse order."""

    def segment(frame: Frame, at: tuple[State, Drive]) -> tuple[Frame, None]:
        state, drive = at
        _, transposed = jax.vjp(lambda z: run_segment(dynamics, z, drive), state)
        return orthonormalize(jax.vmap(transposed)(frame)[0])[0], None

    return jax.lax.scan(segment, frame, path, reverse=True)[0]


def _distance(old: Frame, new: Frame) -> Float[Array, ""]:
    """The part of an orthonormal frame that lies outside the span of another."""
    rows = [[leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(f)] for f in (old, new)]
    before, after = (jnp.concatenate(parts, axis=1) for parts in rows)
    return jnp.linalg.norm(after - (after @ before.T) @ before)
