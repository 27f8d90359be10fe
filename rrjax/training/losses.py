"""The official loss head: cross-entropy over valid tokens, and the q values' targets.

Source: TinyRecursiveModels and HRM, `losses.py` (`ACTLossHead`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from rrjax.cells import Readout
from rrjax.cells.config import LossType
from rrjax.outcomes import is_right
from rrjax.puzzles.batch import IGNORE_LABEL


def log_stablemax(x: Float[Array, "*batch vocab"]) -> Float[Array, "*batch vocab"]:
    """ln(s(x)/Σ s(x)) with s(x) = x + 1 for x ≥ 0 and 1/(1 − x) below.

    Source: Prieto et al. 2025, "Grokking at the edge of numerical stability".
    """
    # the unused branch is kept away from its pole at x = 1, whose gradient would be NaN
    s = jnp.where(x < 0, 1 / (1 - jnp.minimum(x, 0)), x + 1)
    return jnp.log(s / s.sum(axis=-1, keepdims=True))


_LOG_PROBABILITIES: dict[LossType, Callable[[Array], Array]] = {
    "stablemax_cross_entropy": log_stablemax,
    "softmax_cross_entropy": lambda x: jax.nn.log_softmax(x, axis=-1),
}


class Scores(NamedTuple):
    """What the loss head says of a batch, summed over it.

    Attributes:
      loss: lm_loss + (q_halt_loss + q_continue_loss)/2, summed (not divided by the batch).
      metrics: upstream's names; counts and sums over the slots that halted and have any label.
    """

    loss: Float[Array, ""]
    metrics: dict[str, Array]


def score(
    readout: Readout,
    labels: Int[Array, "batch seq"],
    halted: Bool[Array, " batch"],
    steps: Int[Array, " batch"],
    target_q_continue: Float[Array, " batch"] | None,
    loss_type: LossType,
) -> Scores:
    """Losses and metrics of one segment of a batch.

    Args:
      readout: batched logits and q logits.
      labels: tokens, or `IGNORE_LABEL`; a row of nothing else counts in no metric.
      halted: slots that end with this segment: metrics are counted when a slot halts.
      steps: segments that each slot has run.
      target_q_continue: bootstrap target, or None where q_continue is not trained.
      loss_type: which cross-entropy.
    """
    valid = labels != IGNORE_LABEL
    counts = valid.sum(-1)
    divisor = jnp.maximum(counts, 1)
    answers = readout.logits.argmax(-1)
    correct = valid & (answers == labels)
    solved = is_right(answers, labels)

    lm_loss = (_cross_entropy(readout.logits, labels, loss_type).sum(-1) / divisor).sum()
    q_halt_loss = _binary_cross_entropy(readout.q_halt, solved).sum()
    q_loss = q_halt_loss
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
    if target_q_continue is not None:
        metrics["q_continue_loss"] = _binary_cross_entropy(
            readout.q_continue, target_q_continue
        ).sum()
        q_loss = q_loss + metrics["q_continue_loss"]
    return Scores(lm_loss + 0.5 * q_loss, metrics)


def _cross_entropy(logits: Array, labels: Array, loss_type: LossType) -> Array:
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    log_p = _LOG_PROBABILITIES[loss_type](wide)
    valid = labels != IGNORE_LABEL
    picked = jnp.take_along_axis(log_p, jnp.where(valid, labels, 0)[..., None], axis=-1)[..., 0]
    return -jnp.where(valid, picked, 0)


def _binary_cross_entropy(logits: Array, targets: Array) -> Array:
    return optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype))
