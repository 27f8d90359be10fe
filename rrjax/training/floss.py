"""Gradient flossing within a training run: its loss, its steps, and which of them are due."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from rrjax.cells import Config, bind, unflatten
from rrjax.checks import refuse
from rrjax.dynamics.rollout import rollout
from rrjax.flossing import losses as flossing_losses
from rrjax.flossing.differentiable import exponents
from rrjax.flossing.losses import answer_kl, mean_over
from rrjax.flossing.steps import apply_gradient, check_steps, num_skipped
from rrjax.keys import make_key
from rrjax.outcomes import is_right
from rrjax.puzzles.batch import Batch
from rrjax.training.act import Flat
from rrjax.training.logs import Row
from rrjax.training.optimizers import floss_optimizer
from rrjax.training.settings import Floss, Recipe, Which
from rrjax.training.state import FlossState, TrainState, init_train_state

_FRAMES = 2**31 + 1
"""Branch of the seed's key; training steps take the small numbers."""


def floss_before(
    step: int,
    state: TrainState,
    floss: Floss,
    run: Callable[[TrainState, Flat], tuple[TrainState, Mapping[str, Array]]],
    write: Callable[[Row], None],
) -> TrainState:
    """Runs the flossing steps that are due before a training step.

    Args:
      step: the training step, counted from 1.
      state: the state before it.
      floss: settings.
      run: takes one flossing step from a state, given `trained` before the episode.
      write: called with a row of numbers after each flossing step.

    Raises:
      FloatingPointError: if as many successive steps are skipped as the settings allow.
    """
    number = floss.steps_before(step - 1)
    if not number:
        return state
    reference = jax.tree.map(jnp.copy, state.trained)  # a step donates the state's own buffers
    late = None
    for _ in range(number):
        state, metrics = run(state, reference)
        if late is not None:  # those of the step before: the device is at this one now
            write(_row(step, floss.limit, late))
        late = metrics, _copied_counts(state)
    write(_row(step, floss.limit, late))
    # an average of weights before preflossing would long outweigh those that it made
    return state._replace(average=jax.tree.map(jnp.copy, state.trained)) if step == 1 else state


def _copied_counts(state: TrainState) -> tuple[Any, Array]:
    """Returns the counts of skipped steps and of all steps, which outlive the state's buffers."""
    assert state.floss is not None
    optimizer: Any = state.floss.optimizer
    return jax.tree.map(jnp.copy, (optimizer._replace(inner_state=()), state.floss.count))


def _row(step: int, limit: int, late: Any) -> Row:
    """Returns the row of a flossing step, or raises if the steps before it were all skipped too."""
    metrics, (skips, count) = jax.device_get(late)
    try:
        check_steps(skips, limit)
    except FloatingPointError as error:
        raise FloatingPointError(f"{error} at step {step}") from None
    numbers = {name: float(value) for name, value in metrics.items()}
    return {"step": step, "floss_step": int(count)} | numbers


def check_floss(config: Config, recipe: Recipe, batch: Batch) -> None:
    """Refuses settings with which flossing cannot work, by tracing a step, which runs nothing.

    These are the window, the number of exponents, the patterns of weights and the dtype.
    """
    if config.arch.forward_dtype != "float32":
        raise ValueError(
            "flossing needs tangents, and they need --arch.forward-dtype float32; got "
            f"{config.arch.forward_dtype}"
        )
    window, segments = recipe.floss.segments, config.arch.halt_max_steps
    if window is not None and window[1] > segments:
        refuse("floss.segments", f"end within the {segments} segments that training runs", window)

    def step(batch: Batch) -> TrainState:
        state = init_train_state(config, recipe)
        return floss_step(config, recipe, state, batch, state.trained)[0]

    jax.eval_shape(step, batch)


def floss_step(
    config: Config, recipe: Recipe, state: TrainState, batch: Batch, reference: Flat
) -> tuple[TrainState, dict[str, Array]]:
    """Takes one flossing step, which changes only the weights and flossing's own state.

    The frames follow from the seed and from the number of flossing steps before, so that a run
    resumes exactly.

    Args:
      config: the cell (static).
      recipe: hyperparameters, with flossing (static).
      state: the state before the step.
      batch: `recipe.floss.puzzles` rows.
      reference: `trained` before the episode.

    Returns:
      The next state, and the numbers of `batch_loss` with `loss` and `skipped`, the number of
      steps skipped so far.
    """
    old = state.floss
    assert old is not None
    key = jax.random.fold_in(make_key(state.seed), _FRAMES)
    key = jax.random.fold_in(key, old.count)
    (value, numbers), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
        state.trained, state.fixed, config, recipe.floss, batch, key, reference
    )
    optimizer = floss_optimizer(recipe.floss, state.trained)
    trained, after = apply_gradient(optimizer, state.trained, old.optimizer, value, gradient)
    metrics = {**numbers, "loss": value, "skipped": num_skipped(after)[1]}
    return state._replace(trained=trained, floss=FlossState(after, old.count + 1)), metrics


def batch_loss(
    trained: Flat,
    fixed: Flat,
    config: Config,
    floss: Floss,
    batch: Batch,
    key: jax.Array,
    reference: Flat,
) -> tuple[Array, Mapping[str, Array]]:
    """Returns the mean flossing loss of the puzzles that count, and numbers for the log.

    Args:
      trained: flat weights, differentiated.
      fixed: the other flat parameters.
      config: the cell.
      floss: settings.
      batch: puzzles.
      key: key of the frames, which are one for each puzzle.
      reference: `trained` before the episode.

    Returns:
      The loss, 0 where no puzzle counts; and `chosen` (how many count), `unresolved` (how many of
      their exponents are left out), and means over them: `lambda1` and `lambda_mean` over all k
      (nats per update, NaN where one is not resolved) and `kl` (nats per token).
    """
    new, old = unflatten(trained | fixed), unflatten(reference | fixed)
    window = floss.window(config.arch.halt_max_steps)

    def measure(puzzle: Batch, key: jax.Array) -> tuple[Array, Array, Array, Array]:
        dynamics = bind(new, config, puzzle.inputs, puzzle.puzzle_ids)
        result = exponents(
            dynamics,
            floss.num_exponents,
            window[-1] + 1 - window.start,
            key=key,
            frame_transient=window.start,
            stride=window.step,
            segments_per_qr=floss.segments_per_qr,
        )
        logits = dynamics.readout(dynamics.context, result.state).logits
        kl = jnp.zeros([])
        if floss.kl:
            before = rollout(bind(old, config, puzzle.inputs, puzzle.puzzle_ids), window[-1] + 1)
            kl = answer_kl(before.logits[-1], logits)
        solved = is_right(logits.argmax(-1), puzzle.labels)
        loss = getattr(flossing_losses, floss.loss)(result, floss.target)
        return loss, result.values, kl, solved

    keys = jax.random.split(key, len(batch.inputs))
    losses, values, kl, solved = jax.vmap(measure)(batch, keys)
    counts = counted(floss.which, solved)
    numbers = {
        "chosen": counts.sum(),
        "unresolved": (jnp.isnan(values).sum(-1) * counts).sum(),
        "lambda1": mean_over(values[:, 0], counts),
        "lambda_mean": mean_over(values.mean(-1), counts),
        "kl": mean_over(kl, counts),
    }
    return mean_over(losses + floss.kl * kl, counts), numbers


def counted(which: Which, solved: Bool[Array, " batch"]) -> Bool[Array, " batch"]:
    """Returns which puzzles' losses count."""
    return {"all": jnp.ones_like(solved), "failing": ~solved, "correct": solved}[which]
