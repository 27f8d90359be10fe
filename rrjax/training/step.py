"""One optimizer step: refill the slots, run a segment, update weights, puzzle rows and EMA."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from rrjax.cells import Config, flatten, init_params, initial_state, is_trained, unflatten
from rrjax.training.act import Batch, Slots, empty_slots, refill, run_slots
from rrjax.training.losses import Scores, score
from rrjax.training.optimizers import adam_atan2, sign_sgd_rows, warmup_cosine
from rrjax.training.recipe import Recipe

Flat = dict[str, Array]


class TrainState(NamedTuple):
    """All that the next step depends on, but the data.

    Attributes:
      trained: flat weights of the main optimizer.
      fixed: flat initial vectors and the puzzle-embedding table.
      optimizer: the main optimizer's state.
      average: exponential moving average of `trained`.
      slots: the streaming carry.
      step: optimizer steps done.
    """

    trained: Flat
    fixed: Flat
    optimizer: optax.OptState
    average: Flat
    slots: Slots
    step: Int[Array, ""]


def init_train_state(config: Config, recipe: Recipe, params: Any = None) -> TrainState:
    """The state before the first step, from `params` or drawn by the recipe's seed."""
    if params is None:
        params = init_params(jax.random.key(recipe.seed), config)
    trained, fixed = partition(params)
    blank = jnp.zeros((recipe.global_batch_size, config.seq_len), jnp.int32)
    batch = Batch(blank, blank, blank[:, 0])
    state = TrainState(
        trained=trained,
        fixed=fixed,
        optimizer=optimizer(recipe).init(trained),
        average=trained,
        slots=empty_slots(params, config, batch),
        step=jnp.zeros([], jnp.int32),
    )
    # every leaf a buffer of its own: a step donates them, and the caller keeps `params`
    return jax.tree.map(jnp.copy, state)


def partition(params: Any) -> tuple[Flat, Flat]:
    """Flat weights of the main optimizer, and the rest (initial vectors, puzzle embeddings)."""
    flat = flatten(params)
    trained = {name: leaf for name, leaf in flat.items() if is_trained(name)}
    return trained, {name: leaf for name, leaf in flat.items() if not is_trained(name)}


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """The main optimizer of a recipe."""
    rate = _schedule(recipe, recipe.lr)
    return adam_atan2(rate, recipe.beta1, recipe.beta2, recipe.weight_decay)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch
) -> tuple[TrainState, dict[str, Array]]:
    """One segment of every slot and one update of the weights.

    Args:
      config: the cell (static).
      recipe: hyperparameters (static).
      state: donated.
      batch: rows for the slots that have halted; the other rows are discarded.

    Returns:
      The next state, and the metrics of `losses.score` (sums over the batch) with `loss`.
    """
    params = unflatten(state.trained | state.fixed)
    slots = refill(state.slots, batch, initial_state(params, config))
    vectors = _vectors(state.fixed, slots.batch.puzzle_ids)
    key = jax.random.fold_in(jax.random.key(recipe.seed), state.step)

    def loss(trained: Flat, vectors: Float[Array, "batch ndim"] | None):
        segment = run_slots(unflatten(trained | state.fixed), vectors, config, slots, key)
        scores = score(
            segment.readout,
            slots.batch.labels,
            segment.slots.halted,
            segment.slots.steps,
            segment.target_q_continue,
            config.arch.loss_type,
        )
        return scores.loss / recipe.global_batch_size, (scores, segment.slots)

    grads, (scores, slots) = jax.grad(loss, argnums=(0, 1), has_aux=True)(state.trained, vectors)
    return _apply(recipe, state, slots, grads), _metrics(scores)


def _apply(
    recipe: Recipe, state: TrainState, slots: Slots, grads: tuple[Flat, Array | None]
) -> TrainState:
    updates, opt_state = optimizer(recipe).update(grads[0], state.optimizer, state.trained)
    trained = optax.apply_updates(state.trained, updates)
    fixed = state.fixed
    if grads[1] is not None:
        rate = jnp.asarray(_schedule(recipe, recipe.puzzle_emb_lr)(state.step))
        table, decay = fixed["puzzle_emb.weights"], recipe.puzzle_emb_weight_decay
        rows = sign_sgd_rows(table, slots.batch.puzzle_ids, grads[1], rate, decay)
        fixed = fixed | {"puzzle_emb.weights": rows}
    average = optax.incremental_update(trained, state.average, 1 - recipe.ema_rate)
    return TrainState(trained, fixed, opt_state, average, slots, state.step + 1)  # pyright: ignore


def _metrics(scores: Scores) -> dict[str, Array]:
    return scores.metrics | {"loss": scores.loss}


def _vectors(fixed: Flat, puzzle_ids: Array) -> Array | None:
    return fixed["puzzle_emb.weights"][puzzle_ids] if "puzzle_emb.weights" in fixed else None


def _schedule(recipe: Recipe, peak: float) -> optax.Schedule:
    return warmup_cosine(peak, recipe.lr_warmup_steps, recipe.steps, recipe.lr_min_ratio)


def model_params(state: TrainState, recipe: Recipe) -> Flat:
    """The flat parameters that are evaluated and saved: the average where the recipe keeps one."""
    return (state.average if recipe.ema else state.trained) | state.fixed
