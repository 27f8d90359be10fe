"""Adaptive computation time (ACT): every step runs one segment of each slot.

A slot keeps its puzzle and its state until it halts, and takes a new puzzle then. The rows that a
batch offers to running slots are discarded.
Source: TinyRecursiveModels `trm.py`, HRM `hrm_act_v1.py` (the ACT wrappers).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rrjax.cells import Config, Readout, bind_vector, initial_state
from rrjax.cells.layers import GATED, Params
from rrjax.contract import Drive, Dynamics, State, run_segment, run_updates, split_last, updates
from rrjax.dynamics.noise import with_update_noise
from rrjax.puzzles.batch import Batch

STORED = jax.checkpoint_policies.save_from_both_policies(
    jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    jax.checkpoint_policies.save_only_these_names(GATED),
)
"""What the backward pass of an update finds stored: its products with weights, and the gated units.
It computes norms, activations and attention again, which is faster than reading them."""

Flat = dict[str, Array]
"""Parameters by their flat PyTorch names."""


class Slots(NamedTuple):
    """What streams from step to step: the states of all slots, and the puzzle that each works on.

    Attributes:
      state: the state, with a leading batch axis.
      batch: the puzzles.
      steps: segments that each slot has run on its puzzle.
      halted: whether each slot takes a new puzzle before its next segment.
    """

    state: State
    batch: Batch
    steps: Int[Array, " batch"]
    halted: Bool[Array, " batch"]


class Segment(NamedTuple):
    """The result of one segment: the slots after it, their readout, and the bootstrap target."""

    slots: Slots
    readout: Readout
    target_q_continue: Float[Array, " batch"] | None


def empty_slots(params: Params, config: Config, batch: Batch) -> Slots:
    """Returns slots that have all halted, so that the first refill gives each a puzzle."""
    size = batch.inputs.shape[0]
    start = initial_state(params, config)
    state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (size, *leaf.shape)), start)
    return Slots(state, batch, jnp.zeros(size, jnp.int32), jnp.ones(size, bool))


def refill(slots: Slots, batch: Batch, initial: State) -> Slots:
    """Returns the slots with a new puzzle, the initial state and step 0 where they had halted."""
    start = jax.tree.map(lambda old, new: jnp.broadcast_to(new, old.shape), slots.state, initial)
    state, data = choose_rows(slots.halted, (start, batch), (slots.state, slots.batch))
    return Slots(state, data, jnp.where(slots.halted, 0, slots.steps), slots.halted)


def choose_rows(mask: Bool[Array, " slots"], new: Any, old: Any) -> Any:
    """Returns the rows of `new` where the mask is true, and those of `old` elsewhere."""
    return jax.tree.map(
        lambda new, old: jnp.where(mask.reshape(-1, *(1,) * (old.ndim - 1)), new, old), new, old
    )


def stagger(slots: Slots, step: Int[Array, ""], config: Config, trajectories: int) -> Slots:
    """Returns the slots after a step, some of which give up the first puzzle of the run.

    Of B puzzles number i is given up after 1 + ⌊i·M/B⌋ segments, M = `halt_max_steps`, unless it
    has halted before. From then on about B/M slots take a new puzzle in every step, where all would
    at once. A puzzle that is given up has not halted and counts in no metric.

    Args:
      slots: the slots after the step.
      step: optimizer steps done, this one included.
      config: the cell.
      trajectories: slots of one puzzle, which are neighbours.
    """
    puzzle = jnp.arange(slots.steps.shape[0]) // trajectories
    last = 1 + puzzle * config.arch.halt_max_steps // (slots.steps.shape[0] // trajectories)
    # a slot that has run as many segments as the run has steps is at its first puzzle
    given_up = (slots.steps == step) & (slots.steps == last)
    return slots._replace(halted=slots.halted | given_up)


def segment_with_gradient(dynamics: Dynamics, state: State, drive: Drive = None) -> State:
    """Returns the state after one segment, of which only the last updates are differentiated.

    These are the last `dynamics.gradient_updates` updates. The incoming state is detached, and so
    is the context of the earlier updates: a `stop_gradient` after them would leave their tangents
    to be computed and thrown away. The last updates are unrolled: a scan would stack what each
    stores for the backward pass into arrays that are filled with zeros, written and read.
    """
    assert dynamics.gradient_updates is not None
    head, tail = split_last(dynamics.schedule, dynamics.gradient_updates)
    state = jax.lax.stop_gradient(state)
    state = run_updates(head, jax.lax.stop_gradient(dynamics), state, drive)
    last = list(updates(tail))
    # a single update would be computed again as a whole, which takes time and saves no memory
    recomputed = partial(jax.checkpoint, policy=STORED) if len(last) > 1 else lambda update: update
    for update in last:
        state = recomputed(update)(dynamics.context, state, drive)
    return state


def run_slots(
    params: Params,
    vectors: Float[Array, "batch ndim"] | None,
    config: Config,
    slots: Slots,
    key: jax.Array,
    update_noise: float = 0.0,
    places: Int[Array, " slots"] | None = None,
) -> Segment:
    """Returns one training segment of every slot, and which of them halt after it.

    Args:
      params: nested parameters (differentiated).
      vectors: the puzzle-embedding vectors of the slots' puzzles (differentiated), or None.
      config: the cell.
      slots: refilled slots.
      key: key of the exploration of longer runs, and of the noise.
      update_noise: standard deviation of the noise after every update.
      places: numbers of the slots, which their noise depends on; without them 0, 1, …
    """
    places = jnp.arange(slots.steps.shape[0]) if places is None else places
    slot_keys = _slot_keys(key, places) if update_noise else None

    def bind(tokens: Array, vector: Array | None, key: Array | None) -> tuple[Dynamics, Drive]:
        dynamics = bind_vector(params, config, tokens, vector)
        if key is None:
            return dynamics, None
        noisy = with_update_noise(dynamics, 2, key=key, sigma=update_noise)
        return noisy, noisy.drive

    def run(
        tokens: Array, vector: Array | None, state: State, key: Array | None
    ) -> tuple[State, Readout]:
        dynamics, drive = bind(tokens, vector, key)
        state = segment_with_gradient(dynamics, state, _of_segment(drive, 0))
        return jax.lax.stop_gradient(state), dynamics.readout(dynamics.context, state)

    def look_ahead(tokens: Array, vector: Array | None, state: State, key: Array | None) -> Readout:
        dynamics, drive = jax.lax.stop_gradient(bind(tokens, vector, key))
        state = run_segment(dynamics, state, _of_segment(drive, 1))
        return dynamics.readout(dynamics.context, state)

    state, readout = jax.vmap(run)(slots.batch.inputs, vectors, slots.state, slot_keys)
    steps = slots.steps + 1
    last = steps >= config.arch.halt_max_steps
    target = None
    if config.arch.bootstraps_q_continue and config.arch.halt_max_steps > 1:
        ahead = jax.vmap(look_ahead)(slots.batch.inputs, vectors, state, slot_keys)
        best = jnp.maximum(ahead.q_halt, ahead.q_continue)
        target = jax.nn.sigmoid(jnp.where(last, ahead.q_halt, best))
    halted = _halts(readout, steps, config, key)
    return Segment(Slots(state, slots.batch, steps, halted), readout, target)


_NOISE = 2**31 + 1
"""Branch of a step's key: `augment` takes the one before, and the exploration splits the key."""


def _slot_keys(key: jax.Array, places: Int[Array, " slots"]) -> jax.Array:
    """Returns the keys of the noise of all slots."""
    noise = jax.random.fold_in(key, _NOISE)
    return jax.vmap(lambda slot: jax.random.fold_in(noise, slot))(places)


def _of_segment(drive: Drive, segment: int) -> Drive:
    return jax.tree.map(lambda leaf: leaf[segment], drive)


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
