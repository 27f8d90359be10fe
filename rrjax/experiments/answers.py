"""Numbers of an answer beside whether it is right: its loss, and the margin of its logits."""

import jax
import jax.numpy as jnp
from jax import Array

from rrjax.contract import Dynamics, State
from rrjax.experiments.reasoner import read_answer
from rrjax.puzzles.batch import IGNORE_LABEL, Batch


def loss(dynamics: Dynamics, labels: Array, state: State) -> Array:
    """Returns the mean cross-entropy of the known tokens."""
    logits = read_answer(dynamics, state).logits
    known = labels != IGNORE_LABEL
    chosen = jnp.take_along_axis(
        jax.nn.log_softmax(logits), jnp.where(known, labels, 0)[:, None], 1
    )
    return -jnp.sum(jnp.where(known, chosen[:, 0], 0)) / jnp.maximum(known.sum(), 1)


def entropy(dynamics: Dynamics, state: State) -> Array:
    """Returns the mean entropy of the answer's tokens, in nats; no label is needed."""
    logs = jax.nn.log_softmax(read_answer(dynamics, state).logits)
    return -jnp.sum(jnp.exp(logs) * logs, -1).mean()


def open_cells(puzzle: Batch) -> Array:
    """Returns (seq,) which cells are to be found: the label is known and is no clue."""
    return (puzzle.labels != IGNORE_LABEL) & (puzzle.labels != puzzle.inputs)


def margin(logits: Array, labels: Array, is_open: Array) -> Array:
    """Returns the logit of the label less the largest other, the mean of the open cells."""
    is_label = jnp.arange(logits.shape[-1]) == labels[:, None]
    right = jnp.sum(jnp.where(is_label, logits, 0), -1)
    others = jnp.max(jnp.where(is_label, -jnp.inf, logits), -1)
    return jnp.sum(jnp.where(is_open, right - others, 0)) / jnp.maximum(is_open.sum(), 1)
