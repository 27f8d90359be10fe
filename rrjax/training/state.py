"""The state that a training run carries from one step to the next."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, UInt32

from rrjax.cells import Config, flatten, init_params, is_trained
from rrjax.keys import make_key
from rrjax.puzzles.batch import Batch
from rrjax.training.act import Flat, Slots, empty_slots
from rrjax.training.optimizers import floss_optimizer, main_optimizer
from rrjax.training.settings import Recipe


class FlossState(NamedTuple):
    """The state of flossing's own optimizer, and the number of flossing steps done."""

    optimizer: optax.OptState
    count: Int[Array, ""]


class TrainState(NamedTuple):
    """Everything that the next step depends on, except its batch.

    Attributes:
      trained: flat weights of the main optimizer.
      fixed: flat initial vectors and the puzzle-embedding table.
      optimizer: state of the main optimizer.
      average: exponential moving average of `trained`.
      slots: the streaming carry. The slots of a puzzle's trajectories are neighbours; after a step
        that ran whole rollouts all slots have halted.
      step: optimizer steps done.
      seed: the recipe's seed. Steps read this one, so that one program serves all seeds.
      floss: state of flossing; None where the recipe has none.
    """

    trained: Flat
    fixed: Flat
    optimizer: optax.OptState
    average: Flat
    slots: Slots
    step: Int[Array, ""]
    seed: UInt32[Array, ""]
    floss: FlossState | None = None


def init_train_state(config: Config, recipe: Recipe, params: Any = None) -> TrainState:
    """Returns the state before the first step, from `params` or drawn by the recipe's seed."""
    if params is None:
        params = init_params(make_key(recipe.seed), config)
    trained, fixed = partition(params)
    num_slots = recipe.global_batch_size * recipe.augmentation.trajectories
    blank = jnp.zeros((num_slots, config.seq_len), jnp.int32)
    floss = None
    if recipe.floss.active:
        optimizer = floss_optimizer(recipe.floss, trained)
        floss = FlossState(optimizer.init(trained), jnp.zeros([], jnp.int32))
    state = TrainState(
        trained=trained,
        fixed=fixed,
        optimizer=main_optimizer(recipe).init(trained),
        average=trained,
        slots=empty_slots(params, config, Batch(blank, blank, blank[:, 0])),
        step=jnp.zeros([], jnp.int32),
        seed=jnp.array(recipe.seed, jnp.uint32),
        floss=floss,
    )
    # every leaf gets a buffer of its own: a step donates them, and the caller keeps `params`
    return jax.tree.map(jnp.copy, state)


def partition(params: Any) -> tuple[Flat, Flat]:
    """Returns the flat weights of the main optimizer, and the other flat parameters."""
    flat = flatten(params)
    trained = {name: leaf for name, leaf in flat.items() if is_trained(name)}
    return trained, {name: leaf for name, leaf in flat.items() if not is_trained(name)}


def model_params(state: TrainState, recipe: Recipe) -> Flat:
    """Returns the flat parameters to evaluate and save: the average where the recipe keeps one."""
    return (state.average if recipe.ema else state.trained) | state.fixed
