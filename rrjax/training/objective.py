"""The official loss head that training minimises, and its gradients over segments and rollouts.

Source: TinyRecursiveModels and HRM, `losses.py` (`ACTLossHead`). Upstream has the gradient of one
segment; gradients of whole rollouts belong to the trajectory augmentation (`augment`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from rrjax.cells import Config, Readout, unflatten
from rrjax.cells.config import LossType
from rrjax.outcomes import is_right
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.training.act import Flat, Segment, Slots, run_slots
from rrjax.training.settings import Recipe


class Scores(NamedTuple):
    """The loss head's numbers, summed over a batch.

    Attributes:
      loss: lm_loss + q_weight · (q_halt_loss + q_continue_loss), not divided by the batch.
      metrics: upstream's names; counts and sums over the slots that halted and have any label.
    """

    loss: Float[Array, ""]
    metrics: dict[str, Array]


class Weights(NamedTuple):
    """The differentiated arrays: flat weights, and the slots' puzzle-embedding vectors or None."""

    trained: Flat
    vectors: Float[Array, "slots ndim"] | None


class Gradients(NamedTuple):
    """The result of one optimizer step's forward and backward pass.

    Attributes:
      weights: gradients.
      slots: the slots after the step.
      metrics: those of `score`: counts over the trajectories that halted in the step; losses as
        sums over the batch, which are their means over trajectories and segments × the batch size.
    """

    weights: Weights
    slots: Slots
    metrics: dict[str, Array]


def segment_gradients(
    weights: Weights,
    fixed: Flat,
    config: Config,
    slots: Slots,
    key: jax.Array,
    recipe: Recipe,
    places: Int[Array, " slots"] | None = None,
) -> Gradients:
    """Returns the gradients of the mean loss of the next segment of all slots.

    Args:
      weights: differentiated.
      fixed: the other flat parameters.
      config: the cell.
      slots: refilled slots.
      key: key of the exploration.
      recipe: says how many puzzles there are, each with the same number of slots (trajectories),
        and what the loss is.
      places: as in `run_slots`.
    """
    num_slots = slots.steps.shape[0]

    def loss(weights: Weights) -> tuple[Array, tuple[Scores, Slots]]:
        params = unflatten(weights.trained | fixed)
        noise = recipe.update_noise, places
        segment = run_slots(params, weights.vectors, config, slots, key, *noise)
        scores = _score(segment, config, recipe)
        return scores.loss / num_slots, (scores, segment.slots)

    gradients, (scores, after) = jax.grad(loss, has_aux=True)(weights)
    metrics = scores.metrics | {"loss": scores.loss}
    if num_slots > recipe.global_batch_size:
        metrics = _scale_losses(metrics, recipe.global_batch_size / num_slots)
    return Gradients(gradients, after, metrics)


def rollout_gradients(
    weights: Weights,
    fixed: Flat,
    config: Config,
    slots: Slots,
    key: jax.Array,
    recipe: Recipe,
    stop_at_halt: bool,
) -> Gradients:
    """Returns the gradients of the mean loss over the segments of whole rollouts.

      Σ loss over the (trajectory, segment) pairs that count / their number

    With `stop_at_halt` a trajectory counts up to and with the segment in which it halts, so that
    longer ones weigh more; without it all `halt_max_steps` segments of every trajectory count. The
    state is detached between segments, so that the gradient is the sum of the segments' own and
    memory does not grow with their number. The weights stay as they are throughout.

    Args:
      weights, fixed, config, key, recipe: as in `segment_gradients`.
      slots: slots at their start.
      stop_at_halt: whether a trajectory that has halted no longer counts.
    """

    def loss(weights: Weights, slots: Slots, key: jax.Array, active: Array) -> tuple[Array, Any]:
        params = unflatten(weights.trained | fixed)
        segment = run_slots(params, weights.vectors, config, slots, key, recipe.update_noise)
        last = segment.slots.steps >= config.arch.halt_max_steps
        halted = segment.slots.halted if stop_at_halt else last
        scores = score_each(segment, halted & active, config, recipe)
        metrics = jax.tree.map(
            lambda leaf: jnp.where(active, leaf, 0).sum(), scores.metrics | {"loss": scores.loss}
        )
        return metrics["loss"], (metrics, segment.slots, active & ~halted)

    def step(carry: tuple, index: Array) -> tuple[tuple, None]:
        slots, active, *sums = carry
        gradients, (metrics, slots, still_active) = jax.grad(loss, has_aux=True)(
            weights, slots, jax.random.fold_in(key, index), active
        )
        sums = jax.tree.map(jnp.add, tuple(sums), (gradients, metrics, active.sum()))
        return (slots, still_active, *sums), None

    active = jnp.ones(slots.steps.shape, bool)
    shapes = jax.eval_shape(jax.grad(loss, has_aux=True), weights, slots, key, active)
    zeros = jax.tree.map(jnp.zeros_like, (shapes[0], shapes[1][0], active.sum()))
    carry, _ = jax.lax.scan(step, (slots, active, *zeros), jnp.arange(config.arch.halt_max_steps))
    after, _, gradients, metrics, count = carry
    after = after._replace(halted=jnp.ones_like(active))
    gradients = jax.tree.map(lambda leaf: leaf / count, gradients)
    return Gradients(gradients, after, _scale_losses(metrics, recipe.global_batch_size / count))


def _score(segment: Segment, config: Config, recipe: Recipe) -> Scores:
    slots = segment.slots
    return score(
        segment.readout,
        slots.batch.labels,
        slots.halted,
        slots.steps,
        segment.target_q_continue,
        config.arch.loss_type,
        recipe.label_smoothing,
        recipe.q_weight,
    )


def score_each(segment: Segment, halted: Array, config: Config, recipe: Recipe) -> Scores:
    """Returns the scores of every slot by itself."""
    segment = segment._replace(slots=segment.slots._replace(halted=halted))
    alone = jax.tree.map(lambda leaf: leaf[:, None], segment)
    return jax.vmap(lambda row: _score(row, config, recipe))(alone)


def _scale_losses(metrics: dict[str, Array], factor: Any) -> dict[str, Array]:
    return {
        name: value * factor if name.endswith("loss") else value for name, value in metrics.items()
    }


def score(
    readout: Readout,
    labels: Int[Array, "batch seq"],
    halted: Bool[Array, " batch"],
    steps: Int[Array, " batch"],
    target_q_continue: Float[Array, " batch"] | None,
    loss_type: LossType,
    label_smoothing: float = 0.0,
    q_weight: float = 0.5,
) -> Scores:
    """Returns losses and metrics of one segment of a batch.

    Args:
      readout: logits and q logits with a leading batch axis.
      labels: tokens, or `IGNORE_LABEL`; a row of nothing else counts in no metric.
      halted: slots that end with this segment: metrics are counted when a slot halts.
      steps: segments that each slot has run.
      target_q_continue: bootstrap target, or None where q_continue is not trained.
      loss_type: which cross-entropy.
      label_smoothing: part of each label's probability that is spread over all token values.
      q_weight: weight of the losses of the halting values.
    """
    valid = labels != IGNORE_LABEL
    counts = valid.sum(-1)
    divisor = jnp.maximum(counts, 1)
    answers = readout.logits.argmax(-1)
    correct = valid & (answers == labels)
    solved = is_right(answers, labels)

    by_puzzle = _cross_entropy(readout.logits, labels, loss_type, label_smoothing).sum(-1)
    lm_loss = (by_puzzle / divisor.astype(by_puzzle.dtype)).sum()
    q_halt_loss = _binary_cross_entropy(readout.q_halt, solved).sum()
    counted = halted & (counts > 0)
    metrics = {
        "count": counted.sum(),
        "accuracy": jnp.where(counted, correct.sum(-1) / divisor, 0).sum(),
        "exact_accuracy": (counted & solved).sum(),
        "q_halt_accuracy": (counted & ((readout.q_halt >= 0) == solved)).sum(),
        "steps": jnp.where(counted, steps, 0).sum(),
        "lm_loss": lm_loss,
        "q_halt_loss": q_halt_loss,
    }
    if target_q_continue is None:
        return Scores(lm_loss + q_weight * q_halt_loss, metrics)
    q_continue_loss = _binary_cross_entropy(readout.q_continue, target_q_continue).sum()
    loss = lm_loss + q_weight * (q_halt_loss + q_continue_loss)
    return Scores(loss, metrics | {"q_continue_loss": q_continue_loss})


def log_stablemax(x: Float[Array, "*batch vocab"]) -> Float[Array, "*batch vocab"]:
    """Returns ln(s(x)/Σ s(x)) with s(x) = x + 1 for x ≥ 0 and 1/(1 − x) below.

    Source: Prieto et al. 2025, "Grokking at the edge of numerical stability".
    """
    # the unused branch is kept away from its pole at x = 1, whose gradient would be NaN
    s = jnp.where(x < 0, 1 / (1 - jnp.minimum(x, 0)), x + 1)
    return jnp.log(s / s.sum(axis=-1, keepdims=True))


def _cross_entropy(logits: Array, labels: Array, loss_type: LossType, smoothing: float) -> Array:
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    stable = loss_type == "stablemax_cross_entropy"
    log_p = log_stablemax(wide) if stable else jax.nn.log_softmax(wide, axis=-1)
    # no entry is chosen for an ignored label; the gradient of a gather would be a scatter
    chosen = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    loss = -jnp.where(chosen, log_p, 0).sum(-1)
    if not smoothing:
        return loss
    spread = -jnp.where(labels != IGNORE_LABEL, log_p.mean(-1), 0)
    return (1 - smoothing) * loss + smoothing * spread


def _binary_cross_entropy(logits: Array, targets: Array) -> Array:
    return optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype))
