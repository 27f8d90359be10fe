"""Numbers of an answer beside whether it is right: loss, margin of the logits, units that hold."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.contract import Dynamics, State
from rrjax.experiments.reasoner import read_answer
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.sudoku import geometry
from rrjax.results.axes import ArraySpec

UNITS = ("rows", "columns", "boxes")


def unit_arrays(axes: tuple[str, ...]) -> dict[str, ArraySpec]:
    """Returns the axes and units of what `unit_shares` returns."""
    unit = "share of the {} with a cell to be found that hold every digit once, at the end"
    return {f"{name}_right": ArraySpec(axes, unit.format(name)) for name in UNITS}


def unit_shares(size: int | None, puzzle: Batch, answer: Array) -> dict[str, Array]:
    """Returns of a Sudoku the shares of rows, columns and boxes that hold every digit once.

    Units without a cell to be found are not counted: they hold whatever the answer is.

    Args:
      size: The number of digits; None for another puzzle, of which nothing is returned.
      puzzle: The puzzle.
      answer: (seq,) tokens.
    """
    if size is None:
        return {}
    units = geometry(size).units
    counted = open_cells(puzzle)[units].any(1)
    holds = (jnp.sort(answer[units], axis=1) == np.arange(2, size + 2)).all(1)
    kinds = zip(UNITS, jnp.split(counted, 3), jnp.split(holds, 3), strict=True)
    return {
        f"{name}_right": jnp.sum(number & kept) / jnp.maximum(number.sum(), 1)
        for name, number, kept in kinds
    }


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


def open_cells(puzzle: Batch) -> Any:
    """Returns (seq,) which cells are to be found: the label is known and is no clue."""
    return (puzzle.labels != IGNORE_LABEL) & (puzzle.labels != puzzle.inputs)


def margin(logits: Array, labels: Array, is_open: Array) -> Array:
    """Returns the logit of the label less the largest other, the mean of the open cells."""
    is_label = jnp.arange(logits.shape[-1]) == labels[:, None]
    right = jnp.sum(jnp.where(is_label, logits, 0), -1)
    others = jnp.max(jnp.where(is_label, -jnp.inf, logits), -1)
    return jnp.sum(jnp.where(is_open, right - others, 0)) / jnp.maximum(is_open.sum(), 1)
