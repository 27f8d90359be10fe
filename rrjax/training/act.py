"""Adaptive computation time as upstream streams it: one segment a step, slots refilled on halting.

A slot keeps its puzzle, and its state, until it halts; the row offered meanwhile is discarded.
Source: TinyRecursiveModels `trm.py`, HRM `hrm_act_v1.py` (the ACT wrappers).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rrjax.cells import Config, Readout, bind_vector, initial_state
from rrjax.cells.layers import Params
from rrjax.contract import Dynamics, State, run_segment, run_updates, split_last
from rrjax.puzzles.batch import Batch


class Slots(NamedTuple):
    """The streaming carry: state with a leading batch axis, and what each slot works on."""

    state: State
    batch: Batch
    steps: Int[Array, " batch"]
    halted: Bool[Array, " batch"]


class Segment(NamedTuple):
    """One segment of all slots: the slots after it, their readout, and the bootstrap target."""

    slots: Slots
    readout: Readout
    target_q_continue: Float[Array, " batch"] | None


def empty_slots(params: Params, config: Config, batch: Batch) -> Slots:
    """Slots that have all halted: the first refill gives each its puzzle and initial state."""
    size = batch.inputs.shape[0]
    start = initial_state(params, config)
    state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (size, *leaf.shape)), start)
    return Slots(state, batch, jnp.zeros(size, jnp.int32), jnp.ones(size, bool))


def refill(slots: Slots, batch: Batch, initial: State) -> Slots:
    """Give halted slots a new puzzle, the initial state and step 0; leave the others alone."""
    start = jax.tree.map(lambda old, new: jnp.broadcast_to(new, old.shape), slots.state, initial)
    state, data = jax.tree.map(
        lambda old, new: jnp.where(_over(slots.halted, old), new, old),
        (slots.state, slots.batch),
        (start, batch),
    )
    return Slots(state, data, jnp.where(slots.halted, 0, slots.steps), slots.halted)


def segment_with_gradient(dynamics: Dynamics, state: State) -> State:
    """A segment whose last `gradient_updates` updates alone are differentiated.

    The carry is detached, and so is the context of the updates before: a `stop_gradient` behind
    them would leave their tangents to be computed and thrown away.
    """
    assert dynamics.gradient_updates is not None
    head, tail = split_last(dynamics.schedule, dynamics.gradient_updates)
    state = jax.lax.stop_gradient(state)
    state = run_updates(head, jax.lax.stop_gradient(dynamics), state, None)
    return run_updates(tail, dynamics, state, None)


def run_slots(
    params: Params,
    vectors: Float[Array, "batch ndim"] | None,
    config: Config,
    slots: Slots,
    key: jax.Array,
) -> Segment:
    """One training segment of every slot, and which of them halt.

    Args:
      params: nested parameters (differentiated).
      vectors: the puzzle-embedding vectors of the slots' puzzles (differentiated), or None.
      config: the cell.
      slots: refilled slots.
      key: for the exploration of longer runs.
    """

    def bind(tokens: Array, vector: Array | None) -> Dynamics:
        return bind_vector(params, config, tokens, vector)

    def run(tokens: Array, vector: Array | None, state: State) -> tuple[State, Readout]:
        dynamics = bind(tokens, vector)
        state = segment_with_gradient(dynamics, state)
        return jax.lax.stop_gradient(state), dynamics.readout(dynamics.context, state)

    def look_ahead(tokens: Array, vector: Array | None, state: State) -> Readout:
        dynamics = jax.lax.stop_gradient(bind(tokens, vector))
        return dynamics.readout(dynamics.context, run_segment(dynamics, state))

    state, readout = jax.vmap(run)(slots.batch.inputs, vectors, slots.state)
    steps = slots.steps + 1
    last = steps >= config.arch.halt_max_steps
    target = None
    if config.arch.bootstraps_q_continue and config.arch.halt_max_steps > 1:
        ahead = jax.vmap(look_ahead)(slots.batch.inputs, vectors, state)
        best = jnp.maximum(ahead.q_halt, ahead.q_continue)
        target = jax.nn.sigmoid(jnp.where(last, ahead.q_halt, best))
    halted = _halts(readout, steps, config, key)
    return Segment(Slots(state, slots.batch, steps, halted), readout, target)


def _halts(readout: Readout, steps: Array, config: Config, key: jax.Array) -> Array:
    arch = config.arch
    last = steps >= arch.halt_max_steps
    if arch.halt_max_steps == 1:
        return last
    threshold = 0.0 if arch.halts_on_sign else readout.q_continue
    key_explore, key_least = jax.random.split(key)
    explores = jax.random.uniform(key_explore, steps.shape) < arch.halt_exploration_prob
    least = jax.random.randint(key_least, steps.shape, 2, arch.halt_max_steps + 1)
    return (last | (readout.q_halt > threshold)) & (steps >= jnp.where(explores, least, 0))


def _over(flags: Array, leaf: Any) -> Array:
    return flags.reshape(-1, *(1,) * (leaf.ndim - 1))
