"""One optimizer step: refill the slots, run them, update weights, puzzle rows and EMA."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, UInt32

from rrjax.cells import Config, flatten, init_params, initial_state, is_trained, unflatten
from rrjax.flossing.steps import apply_gradient, masked, matching, num_skipped, skip_nonfinite
from rrjax.puzzles.batch import Batch
from rrjax.training.act import Slots, empty_slots, refill
from rrjax.training.augment import starts
from rrjax.training.floss import batch_loss
from rrjax.training.gradients import (
    Flat,
    Gradients,
    Weights,
    of_fixed_rollout,
    of_masked_rollout,
    of_segment,
)
from rrjax.training.optimizers import adam_atan2, sign_sgd_rows, warmup_cosine
from rrjax.training.recipe import Recipe


class FlossState(NamedTuple):
    """The state of flossing's own optimizer, and the flossing steps done."""

    optimizer: optax.OptState
    count: Int[Array, ""]


class TrainState(NamedTuple):
    """All that the next step depends on, but the data.

    Attributes:
      trained: flat weights of the main optimizer.
      fixed: flat initial vectors and the puzzle-embedding table.
      optimizer: the main optimizer's state.
      average: exponential moving average of `trained`.
      slots: the streaming carry, those of a puzzle's trajectories side by side; after a step
        that ran whole rollouts they have all halted.
      step: optimizer steps done.
      seed: the recipe's. Steps read this one, so that a program serves all seeds.
      floss: what flossing keeps; None where the recipe has none.
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
    """The state before the first step, from `params` or drawn by the recipe's seed."""
    if params is None:
        params = init_params(jax.random.key(recipe.seed), config)
    trained, fixed = partition(params)
    num_slots = recipe.global_batch_size * recipe.augmentation.trajectories
    blank = jnp.zeros((num_slots, config.seq_len), jnp.int32)
    batch = Batch(blank, blank, blank[:, 0])
    state = TrainState(
        trained=trained,
        fixed=fixed,
        optimizer=optimizer(recipe).init(trained),
        average=trained,
        slots=empty_slots(params, config, batch),
        step=jnp.zeros([], jnp.int32),
        seed=jnp.array(recipe.seed, jnp.uint32),
        floss=_init_floss(recipe, trained),
    )
    # every leaf a buffer of its own: a step donates them, and the caller keeps `params`
    return jax.tree.map(jnp.copy, state)


def partition(params: Any) -> tuple[Flat, Flat]:
    """Flat weights of the main optimizer, and the rest (initial vectors, puzzle embeddings)."""
    flat = flatten(params)
    trained = {name: leaf for name, leaf in flat.items() if is_trained(name)}
    return trained, {name: leaf for name, leaf in flat.items() if not is_trained(name)}


def _init_floss(recipe: Recipe, trained: Flat) -> FlossState | None:
    if not recipe.floss.active:
        return None
    return FlossState(_floss_optimizer(recipe, trained).init(trained), jnp.zeros([], jnp.int32))


def _floss_optimizer(recipe: Recipe, trained: Flat) -> optax.GradientTransformation:
    floss = recipe.floss
    return skip_nonfinite(masked(optax.adam(floss.lr), matching(trained, floss.params)))


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """The main optimizer of a recipe."""
    rate = _schedule(recipe, recipe.lr)
    return adam_atan2(rate, recipe.beta1, recipe.beta2, recipe.weight_decay)


_jit_step = functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)


@_jit_step
def train_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch
) -> tuple[TrainState, dict[str, Array]]:
    """One segment of every slot (or what the recipe's rollout says) and one update of the weights.

    Args:
      config: the cell (static).
      recipe: hyperparameters (static).
      state: donated.
      batch: rows for the slots that have halted; the other rows are discarded.

    Returns:
      The next state, and the metrics of `losses.score` (sums over the batch) with `loss`; for
      several trajectories or segments see `Gradients`.
    """
    state, found = _step(config, recipe, state, batch)
    return state, found.metrics


@_jit_step
def logged_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch
) -> tuple[TrainState, dict[str, Array]]:
    """`train_step`, with `gradient_norm` among the metrics: ‖∂loss/∂trained‖₂.

    It is finite only if all gradients are.
    """
    state, found = _step(config, recipe, state, batch)
    return state, found.metrics | {"gradient_norm": optax.tree.norm(found.weights.trained)}


@_jit_step
def floss_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch, reference: Flat
) -> tuple[TrainState, dict[str, Array]]:
    """One flossing step, which leaves all but the weights and its own state as they are.

    Args:
      config: the cell (static).
      recipe: hyperparameters, with flossing (static).
      state: donated.
      batch: `recipe.floss.puzzles` rows.
      reference: `trained` before the episode.

    Returns:
      The next state, and what `floss.batch_loss` saw with `loss` and `skipped`, the steps that
      were skipped so far.
    """
    assert state.floss is not None
    key = jax.random.fold_in(jax.random.key(state.seed), _FRAMES)
    key = jax.random.fold_in(key, state.floss.count)
    of = jax.value_and_grad(batch_loss, has_aux=True)
    (value, seen), gradient = of(
        state.trained, state.fixed, config, recipe.floss, batch, key, reference
    )
    mover = _floss_optimizer(recipe, state.trained)
    trained, after = apply_gradient(mover, state.trained, state.floss.optimizer, value, gradient)
    found = {**seen, "loss": value, "skipped": num_skipped(after)[1]}
    floss = FlossState(after, state.floss.count + 1)
    return state._replace(trained=trained, floss=floss), found


def _step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch
) -> tuple[TrainState, Gradients]:
    key = jax.random.fold_in(jax.random.key(state.seed), state.step)
    slots = _refilled(config, recipe, state, batch, key)
    weights = Weights(state.trained, _vectors(state.fixed, slots.batch.puzzle_ids))
    of = _GRADIENTS[recipe.augmentation.rollout]
    found = of(weights, state.fixed, config, slots, key, recipe.global_batch_size)
    return _apply(recipe, state, found.slots, found.weights), found


_GRADIENTS = {
    "serial_act": of_segment,
    "parallel_fixed": of_fixed_rollout,
    "masked_act": of_masked_rollout,
}


def _refilled(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch, key: jax.Array
) -> Slots:
    """Halted slots start anew: a row of the batch for all trajectories of a puzzle."""
    augmentation, params = recipe.augmentation, unflatten(state.trained | state.fixed)
    start = initial_state(params, config)
    if augmentation.objective == "clean_ce":
        return refill(state.slots, batch, start)
    number = augmentation.trajectories
    rows = Batch(*(jnp.repeat(jnp.asarray(leaf), number, axis=0) for leaf in batch))
    key_noise = jax.random.fold_in(key, _NOISE)
    perturbed = starts(key_noise, start, augmentation, state.step, recipe.global_batch_size)
    return refill(state.slots, rows, perturbed)


_NOISE, _FRAMES = 2**31, 2**31 + 1
"""The step's key gives exploration its own keys by small numbers, the seed's key the steps'."""


def _apply(recipe: Recipe, state: TrainState, slots: Slots, grads: Weights) -> TrainState:
    updates, opt_state = optimizer(recipe).update(grads.trained, state.optimizer, state.trained)
    trained = optax.apply_updates(state.trained, updates)
    fixed = state.fixed
    if grads.vectors is not None:
        rate = jnp.asarray(_schedule(recipe, recipe.puzzle_emb_lr)(state.step))
        table, decay = fixed["puzzle_emb.weights"], recipe.puzzle_emb_weight_decay
        rows = sign_sgd_rows(table, slots.batch.puzzle_ids, grads.vectors, rate, decay)
        fixed = fixed | {"puzzle_emb.weights": rows}
    average = optax.incremental_update(trained, state.average, 1 - recipe.ema_rate)
    return state._replace(
        trained=trained,
        fixed=fixed,
        optimizer=opt_state,
        average=average,
        slots=slots,
        step=state.step + 1,
    )


def _vectors(fixed: Flat, puzzle_ids: Array) -> Array | None:
    return fixed["puzzle_emb.weights"][puzzle_ids] if "puzzle_emb.weights" in fixed else None


def _schedule(recipe: Recipe, peak: float) -> optax.Schedule:
    return warmup_cosine(peak, recipe.lr_warmup_steps, recipe.steps, recipe.lr_min_ratio)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The main optimizer's rate in optimizer step `step`, counted from 1."""
    return float(np.asarray(_schedule(recipe, recipe.lr)(step - 1)))


def model_params(state: TrainState, recipe: Recipe) -> Flat:
    """The flat parameters that are evaluated and saved: the average where the recipe keeps one."""
    return (state.average if recipe.ema else state.trained) | state.fixed
