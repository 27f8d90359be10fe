"""One optimizer step: refill the slots, run them, update weights, puzzle embeddings and average."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from rrjax.cells import Config, initial_state, unflatten
from rrjax.keys import make_key
from rrjax.puzzles.batch import Batch
from rrjax.training.act import refill, stagger
from rrjax.training.augment import noise_key, starts
from rrjax.training.objective import Weights, rollout_gradients, segment_gradients
from rrjax.training.optimizers import main_optimizer, recipe_schedule, sign_sgd_rows
from rrjax.training.settings import Recipe
from rrjax.training.state import TrainState
from rrjax.training.winners import winner_gradients

TABLE = "puzzle_emb.weights"


def train_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch
) -> tuple[TrainState, dict[str, Array]]:
    """Runs one segment of every slot (or what the recipe's rollout says) and updates the weights.

    A pure function: the loop compiles it once, by `Placement.jit`.

    Args:
      config: the cell (static).
      recipe: hyperparameters (static). The seed that counts is `state.seed`.
      state: the state before the step.
      batch: puzzles for the slots that have halted; the other rows are discarded.

    Returns:
      The next state, and metrics: those of `objective.score` (sums over the batch), `loss`,
      `gradient_norm` = ‖∂loss/∂trained‖₂, which is finite only if all gradients are, and
      `parameter_norm` of the new weights. For several trajectories or segments see
      `objective.Gradients`.
    """
    augmentation = recipe.augmentation
    key = jax.random.fold_in(make_key(state.seed), state.step)

    # refill: each slot that has halted gets a new puzzle, once for each of its trajectories
    start = initial_state(unflatten(state.trained | state.fixed), config)
    if augmentation.objective != "clean_ce":
        number = augmentation.trajectories
        batch = Batch(*(jnp.repeat(jnp.asarray(leaf), number, axis=0) for leaf in batch))
        key_noise = noise_key(state.seed, state.step)
        start = starts(key_noise, start, augmentation, state.step, recipe.global_batch_size)
    slots = refill(state.slots, batch, start)

    # gradient
    table = state.fixed.get(TABLE)
    vectors = None if table is None else table[slots.batch.puzzle_ids]
    arguments = (Weights(state.trained, vectors), state.fixed, config, slots, key, recipe)
    if augmentation.objective == "winner_takes_all":
        result = winner_gradients(*arguments)
    elif augmentation.rollout == "serial_act":
        result = segment_gradients(*arguments)
    else:
        stop_at_halt = augmentation.rollout == "masked_act"
        result = rollout_gradients(*arguments, stop_at_halt)

    slots = result.slots
    if recipe.stagger_slots:
        slots = stagger(slots, state.step + 1, config, augmentation.trajectories)

    # update
    gradient = result.weights
    updates, optimizer = main_optimizer(recipe).update(
        gradient.trained, state.optimizer, state.trained
    )
    trained = optax.apply_updates(state.trained, updates)
    fixed = state.fixed
    if table is not None and gradient.vectors is not None:
        rate = jnp.asarray(recipe_schedule(recipe, recipe.puzzle_emb_lr)(state.step))
        ids, decay = result.slots.batch.puzzle_ids, recipe.puzzle_emb_weight_decay
        fixed = fixed | {TABLE: sign_sgd_rows(table, ids, gradient.vectors, rate, decay)}

    after = state._replace(
        trained=trained,
        fixed=fixed,
        optimizer=optimizer,
        average=optax.incremental_update(trained, state.average, 1 - recipe.ema_rate),
        slots=slots,
        step=state.step + 1,
    )
    norms = {
        "gradient_norm": optax.tree.norm(gradient.trained),
        "parameter_norm": optax.tree.norm(trained),
    }
    return after, result.metrics | norms
