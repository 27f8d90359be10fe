"""Trajectories: the readout after every segment, and how far the state still moves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from rrjax.contract import Dynamics, State, run_segment
from rrjax.frames import norms

Observe = Callable[[Dynamics, State, State], Any]
"""`observe(dynamics, before, after)` -> a pytree of arrays, of one segment."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trajectory:
    """What a rollout saw. A pytree.

    Attributes:
      readout: the dynamics' readout after every segment, stacked along a leading axis.
      drift: per field of the state, (segments,) Euclidean norms of its change over each segment.
      state: the end state.
    """

    readout: Any
    drift: State
    state: State

    @property
    def logits(self) -> Array:
        """(segments, seq, vocab) logits of a cell's answers."""
        return self.readout.logits

    @property
    def q_halt(self) -> Array:
        """(segments,) logits of "the answer is right"."""
        return self.readout.q_halt


def rollout(dynamics: Dynamics, num_segments: int = 16, initial: State | None = None) -> Trajectory:
    """Runs `num_segments` segments and returns the readout after each. It never halts early.

    All readouts are kept: for thousands of segments see `observe_segments`.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      num_segments: segments to run.
      initial: the initial state in place of `dynamics.initial`.

    Raises:
      ValueError: for no segments, a drive with fewer, or a state of another structure or shape.
    """
    state, seen = observe_segments(dynamics, _readout_and_drift, num_segments, initial)
    readout, moved = seen
    return Trajectory(readout, moved, state)


def observe_segments(
    dynamics: Dynamics, observe: Observe, num_segments: int = 16, initial: State | None = None
) -> tuple[State, Any]:
    """Run `num_segments` segments and keep of each only what `observe` returns.

    Memory grows with what is kept alone, states and readouts are dropped.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      observe: a function of a module, or `jax.tree_util.Partial` of one with arrays for its first
        arguments. A new lambda at every call would be compiled at every call.
      num_segments: segments to run.
      initial: the initial state in place of `dynamics.initial`.

    Returns:
      The end state, and what was observed, stacked along a leading axis of segments.

    Raises:
      ValueError: for no segments, a drive with fewer, or a state of another structure or shape.
    """
    seen_by = observe if isinstance(observe, Partial) else Partial(observe)
    drives = dynamics.drives(num_segments)
    return _scan(dynamics, dynamics.start(initial), seen_by, drives, length=num_segments)


def drift(before: State, after: State) -> State:
    """‖z′ − z‖ of every field of a state."""
    return norms(jax.tree.map(jnp.subtract, after, before))


def residual(before: State, after: State) -> Array:
    """‖z′ − z‖ / ‖z′‖ of the whole state: 0 at a fixed point of the segment, NaN for z′ = z = 0."""
    return whole_norm(drift(before, after)) / whole_norm(norms(after))


def whole_norm(parts: State) -> Array:
    """The norm of a state from those of its fields, each an array of any one shape."""
    return jnp.linalg.norm(jnp.stack(jax.tree.leaves(parts)), axis=0)


def _readout_and_drift(dynamics: Dynamics, before: State, after: State) -> tuple[Any, State]:
    return dynamics.readout(dynamics.context, after), drift(before, after)


@partial(jax.jit, static_argnames="length")
def _scan(
    dynamics: Dynamics, start: State, observe: Partial, drives: Any, *, length: int
) -> tuple[State, Any]:
    def segment(state: State, drive: Any) -> tuple[State, Any]:
        after = run_segment(dynamics, state, drive)
        return after, observe(dynamics, state, after)

    return jax.lax.scan(segment, start, drives, length=length)
