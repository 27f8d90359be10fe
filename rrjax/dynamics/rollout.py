"""Trajectories: the readout after every segment, and how far the state still moves."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.contract import Dynamics, State, run_segment
from rrjax.linalg import norms


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
    """Run `num_segments` segments, reading out after each. Never halts early.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      num_segments: segments to run.
      initial: the initial state in place of `dynamics.initial`.

    Raises:
      ValueError: for no segments, a drive with fewer, or a state of another structure or shape.
    """
    return _rollout(dynamics, dynamics.start(initial), num_segments)


@partial(jax.jit, static_argnums=2)
def _rollout(dynamics: Dynamics, start: State, num_segments: int) -> Trajectory:
    def segment(state: State, drive: Any) -> tuple[State, Any]:
        after = run_segment(dynamics, state, drive)
        drift = norms(jax.tree.map(jnp.subtract, after, state))
        return after, (dynamics.readout(dynamics.context, after), drift)

    drives = dynamics.drives(num_segments)
    state, (readout, drift) = jax.lax.scan(segment, start, drives, length=num_segments)
    return Trajectory(readout, drift, state)
