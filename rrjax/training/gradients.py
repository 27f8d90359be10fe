"""Gradients of one optimizer step: of a segment of streaming slots, or of whole rollouts.

Upstream has the first alone; the second are those of the trajectory augmentation, for which see
`rrjax.training.augment`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rrjax.cells import Config, unflatten
from rrjax.training.act import Segment, Slots, run_slots
from rrjax.training.losses import Scores, score

Flat = dict[str, Array]


class Weights(NamedTuple):
    """What is differentiated: flat weights, and the slots' puzzle-embedding vectors or None."""

    trained: Flat
    vectors: Float[Array, "slots ndim"] | None


class Gradients(NamedTuple):
    """Of one optimizer step.

    Attributes:
      weights: gradients.
      slots: after the step.
      metrics: of `losses.score`: counts over the trajectories that halted in the step; losses as
        sums over the batch: their mean over trajectories and segments × the batch size.
    """

    weights: Weights
    slots: Slots
    metrics: dict[str, Array]


def of_segment(
    weights: Weights, fixed: Flat, config: Config, slots: Slots, key: jax.Array, batch_size: int
) -> Gradients:
    """The mean loss of the next segment of all slots.

    Args:
      weights: differentiated.
      fixed: the other flat parameters.
      config: the cell.
      slots: refilled.
      key: of the exploration.
      batch_size: by which the summed loss of one trajectory of each puzzle is divided.
    """
    trajectories = slots.steps.shape[0] // batch_size

    def loss(weights: Weights) -> tuple[Array, tuple[Scores, Slots]]:
        segment = _run(weights, fixed, config, slots, key)
        scores = _score(segment, config)
        return scores.loss / slots.steps.shape[0], (scores, segment.slots)

    grads, (scores, after) = jax.grad(loss, has_aux=True)(weights)
    metrics = scores.metrics | {"loss": scores.loss}
    if trajectories > 1:
        metrics = _scaled_losses(metrics, 1 / trajectories)
    return Gradients(grads, after, metrics)


def of_fixed_rollout(
    weights: Weights, fixed: Flat, config: Config, slots: Slots, key: jax.Array, batch_size: int
) -> Gradients:
    """The mean loss of all `halt_max_steps` segments of all slots, which never halt early.

    The state is detached between segments, so that the gradient is the sum of the segments' own
    and memory does not grow with their number; the weights stay as they are throughout.

    Args: as for `of_segment`; all slots are at their start.
    """
    return _of_rollout(weights, fixed, config, slots, key, batch_size, _never_halts)


def of_masked_rollout(
    weights: Weights, fixed: Flat, config: Config, slots: Slots, key: jax.Array, batch_size: int
) -> Gradients:
    """The mean loss over the segments that the slots run until they halt.

    Σ over valid (trajectory, segment) pairs / their number: a trajectory counts up to and with the
    segment in which it halts, so that longer ones weigh more.

    Args: as for `of_segment`; all slots are at their start.
    """
    return _of_rollout(weights, fixed, config, slots, key, batch_size, _halts_as_act_says)


def _never_halts(segment: Segment, config: Config) -> Bool[Array, " slots"]:
    return segment.slots.steps >= config.arch.halt_max_steps


def _halts_as_act_says(segment: Segment, config: Config) -> Bool[Array, " slots"]:
    return segment.slots.halted


def _of_rollout(
    weights: Weights,
    fixed: Flat,
    config: Config,
    slots: Slots,
    key: jax.Array,
    batch_size: int,
    halts: Any,
) -> Gradients:
    def loss(weights: Weights, slots: Slots, key: jax.Array, active: Array) -> tuple[Array, Any]:
        segment = _run(weights, fixed, config, slots, key)
        halted = halts(segment, config)
        each = _score_each(segment, halted & active, config)
        metrics = jax.tree.map(
            lambda leaf: jnp.where(active, leaf, 0).sum(), each.metrics | {"loss": each.loss}
        )
        return metrics["loss"], (metrics, segment.slots, active & ~halted)

    def step(carry: tuple, index: Array) -> tuple[tuple, None]:
        slots, active, *sums = carry
        found, (metrics, slots, stays) = jax.grad(loss, has_aux=True)(
            weights, slots, jax.random.fold_in(key, index), active
        )
        sums = jax.tree.map(jnp.add, tuple(sums), (found, metrics, active.sum()))
        return (slots, stays, *sums), None

    active = jnp.ones(slots.steps.shape, bool)
    shapes = jax.eval_shape(jax.grad(loss, has_aux=True), weights, slots, key, active)
    zeros = jax.tree.map(jnp.zeros_like, (shapes[0], shapes[1][0], active.sum()))
    carry, _ = jax.lax.scan(step, (slots, active, *zeros), jnp.arange(config.arch.halt_max_steps))
    after, _, grads, metrics, count = carry
    after = after._replace(halted=jnp.ones_like(active))
    grads = jax.tree.map(lambda leaf: leaf / count, grads)
    return Gradients(grads, after, _scaled_losses(metrics, batch_size / count))


def _run(weights: Weights, fixed: Flat, config: Config, slots: Slots, key: jax.Array) -> Segment:
    return run_slots(unflatten(weights.trained | fixed), weights.vectors, config, slots, key)


def _score(segment: Segment, config: Config) -> Scores:
    slots = segment.slots
    return score(
        segment.readout,
        slots.batch.labels,
        slots.halted,
        slots.steps,
        segment.target_q_continue,
        config.arch.loss_type,
    )


def _score_each(segment: Segment, halted: Array, config: Config) -> Scores:
    """The scores of every slot by itself."""
    segment = segment._replace(slots=segment.slots._replace(halted=halted))
    alone = jax.tree.map(lambda leaf: leaf[:, None], segment)
    return jax.vmap(lambda row: _score(row, config))(alone)


def _scaled_losses(metrics: dict[str, Array], factor: Any) -> dict[str, Array]:
    return {
        name: value * factor if name.endswith("loss") else value for name, value in metrics.items()
    }
