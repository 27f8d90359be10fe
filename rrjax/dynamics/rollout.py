"""Trajectories: the readout after every segment, and how far the state still moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array

from rrjax.contract import Brief, Drive, Dynamics, State, describe_sizes, run_segment
from rrjax.dynamics.precision import check_precision, exact_products, in_precision
from rrjax.frames import Frame, norms

Observe = Callable[[Dynamics, State, State, Frame | None], Any]
"""`observe(dynamics, before, after, frame)` returns a pytree of arrays for one segment, from the
states before and after it and the frame of tangent vectors there (None in a rollout)."""

Take = Callable[[Dynamics, State], Any]
"""`take(dynamics, state)` returns a pytree of arrays of the state after a segment."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Trajectory(Brief):
    """What a rollout keeps. A pytree.

    Attributes:
      readout: The dynamics' readout after every segment, stacked along a leading axis.
      drift: For each field of the state, (segments,) Euclidean norms of its change over each
        segment.
      state: The end state.
    """

    readout: Any
    drift: State
    state: State

    @property
    def logits(self) -> Array:
        """(segments, seq, vocab) logits of a cell's answers."""
        return self._read("logits")

    @property
    def answers(self) -> Array:
        """(segments, seq) the likeliest token of each position, for a readout with logits."""
        return self.logits.argmax(-1)

    @property
    def q_halt(self) -> Array:
        """(segments,) logits of "the answer is right"."""
        return self._read("q_halt")

    def _read(self, name: str) -> Array:
        if not hasattr(self.readout, name):
            raise AttributeError(
                f"the readout of these dynamics has no {name}, as that of a cell has; the "
                f"trajectory's `readout` is {describe_sizes(self.readout)}"
            )
        return getattr(self.readout, name)


def rollout(
    dynamics: Dynamics,
    num_segments: int = 16,
    *,
    initial: State | None = None,
    precision: str = "exact",
) -> Trajectory:
    """Runs `num_segments` segments and returns the readout after each; it never halts early.

    All readouts are kept: for thousands of segments see `observe_segments`.

    Args:
      dynamics, initial: As in `rrjax.spectrum`.
      num_segments: How many segments to run.
      precision: How the updates' matrix products are computed; see `rrjax.dynamics.precision`. The
        trajectory of a spectrum is that of `exact`, or of `split` where the spectrum's own
        precision is not exact. The readout's products are exact.

    Raises:
      ValueError: For no segments, a drive with fewer, a state of another structure or shape, or a
        precision that `rrjax.spectrum` would refuse.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> run = rrjax.rollout(shrink, 3)
      >>> run.readout[:, 0]
      Array([1.  , 1.5 , 1.75], dtype=float32)
      >>> run.drift.round(3)
      Array([1.414, 0.707, 0.354], dtype=float32)
    """
    state, (readout, moved) = observe_segments(
        dynamics, _readout_and_drift, num_segments, initial=initial, precision=precision
    )
    return Trajectory(readout, moved, state)


def observe_segments(
    dynamics: Dynamics,
    observe: Observe,
    num_segments: int = 16,
    *,
    initial: State | None = None,
    precision: str = "exact",
) -> tuple[State, Any]:
    """Runs `num_segments` segments and keeps of each only what `observe` returns.

    Memory grows with what is kept alone; states and readouts are dropped.

    Args:
      dynamics, initial: As in `rrjax.spectrum`.
      observe: a function `(dynamics, before, after, frame)` of a module, or `jax.tree_util.Partial`
        of one with arrays for its first arguments; `frame` is None here. A new lambda at every
        call would be compiled at every call.
      num_segments: How many segments to run.
      precision: As in `rollout`; what `observe` computes is exact.

    Returns:
      The end state, and what was observed, stacked along a leading axis of segments.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> state, jumps = rrjax.observe_segments(
      ...     shrink, lambda d, before, after, frame: (after - before)[0], 4
      ... )
      >>> print(state, jumps)
      [1.875 1.875] [1.    0.5   0.25  0.125]
    """
    drives, start = dynamics.drives(num_segments), dynamics.start(initial)
    check_precision(precision, start)
    with exact_products():
        return _scan(dynamics, start, as_partial(observe), drives, num_segments, precision)


def observe_and_take(
    dynamics: Dynamics,
    observe: Observe,
    take: Take,
    segments: Sequence[int],
    *,
    initial: State | None = None,
    precision: str = "exact",
) -> tuple[State, Any, Any]:
    """Returns what `observe_segments` does, and what `take` returns after some segments.

    What is taken after the other segments is dropped at once, so that it may be large.

    Args:
      dynamics, observe, initial, precision: As in `observe_segments`.
      take: a function `(dynamics, state)` that returns a pytree of arrays, or a `Partial` of one.
      segments: The segments, from 1 and ascending, after which it counts; the run ends with the
        last of them.

    Returns:
      The end state, what was observed, stacked over all segments, and what was taken, stacked over
      those of `segments`.
    """
    drives, start = dynamics.drives(segments[-1]), dynamics.start(initial)
    check_precision(precision, start)
    functions = as_partial(observe), as_partial(take)
    with exact_products():
        return _scan_and_take(dynamics, start, *functions, drives, tuple(segments), precision)


def as_partial(observe: Callable) -> Partial:
    """Returns an observer as a pytree, which compiled functions take as an argument."""
    return observe if isinstance(observe, Partial) else Partial(observe)


def run_segments(dynamics: Dynamics, state: State, drives: Drive, num_segments: int) -> State:
    """Returns the state after some segments, of which `drives` has the slices."""

    def segment(state: State, drive: Drive) -> tuple[State, None]:
        return run_segment(dynamics, state, drive), None

    return jax.lax.scan(segment, state, drives, length=num_segments)[0]


def drift(before: State, after: State) -> State:
    """Returns ‖z′ − z‖ of every field of a state."""
    return norms(jax.tree.map(jnp.subtract, after, before))


def residual(before: State, after: State) -> Array:
    """Returns ‖z′ − z‖ / ‖z′‖ of the whole state.

    It is 0 at a fixed point of the segment, and NaN for z′ = z = 0.
    """
    return whole_norm(drift(before, after)) / whole_norm(norms(after))


def whole_norm(parts: State) -> Array:
    """Returns the norm of a state from those of its fields, which are arrays of any one shape."""
    return jnp.linalg.norm(jnp.stack(jax.tree.leaves(parts)), axis=0)


def _readout_and_drift(
    dynamics: Dynamics, before: State, after: State, frame: None
) -> tuple[Any, State]:
    return dynamics.readout(dynamics.context, after), drift(before, after)


@partial(jax.jit, static_argnums=(4, 5))
def _scan(
    dynamics: Dynamics,
    start: State,
    observe: Partial,
    drives: Drive,
    num_segments: int,
    precision: str,
) -> tuple[State, Any]:
    running = in_precision(dynamics, precision)

    def segment(state: State, drive: Drive) -> tuple[State, Any]:
        after = run_segment(running, state, drive)
        return after, observe(dynamics, state, after, None)

    return jax.lax.scan(segment, start, drives, length=num_segments)


@partial(jax.jit, static_argnums=(5, 6))
def _scan_and_take(
    dynamics: Dynamics,
    start: State,
    observe: Partial,
    take: Partial,
    drives: Drive,
    segments: tuple[int, ...],
    precision: str,
) -> tuple[State, Any, Any]:
    running = in_precision(dynamics, precision)
    # each segment overwrites the slot of the next one that counts, which is written to last
    slots = np.searchsorted(segments, np.arange(1, segments[-1] + 1))
    shapes = jax.eval_shape(take, dynamics, start)
    empty = jax.tree.map(lambda one: jnp.zeros((len(segments), *one.shape), one.dtype), shapes)

    def segment(carry: tuple[State, Any], inputs: tuple[Drive, Array]) -> tuple[Any, Any]:
        (state, kept), (drive, slot) = carry, inputs
        after = run_segment(running, state, drive)
        taken = take(dynamics, after)
        kept = jax.tree.map(lambda slots, one: slots.at[slot].set(one), kept, taken)
        return (after, kept), observe(dynamics, state, after, None)

    (state, kept), observed = jax.lax.scan(segment, (start, empty), (drives, jnp.asarray(slots)))
    return state, observed, kept
