"""Batches of puzzles as models take them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rrjax.puzzles.dataset import PuzzleSet

IGNORE_LABEL = -100
"""Label of a token that no loss and no metric counts."""


class Batch(NamedTuple):
    """Puzzles side by side; under `vmap` one of them, without the leading axis.

    Attributes:
      inputs: (batch, seq) tokens.
      labels: (batch, seq) tokens of the answer, `IGNORE_LABEL` where it is not known.
      puzzle_ids: (batch,) rows of the puzzle-embedding table.
    """

    inputs: Any
    labels: Any
    puzzle_ids: Any


def take_batch(puzzles: PuzzleSet, rows: np.ndarray) -> Batch:
    """Returns some rows of a set, in int32."""
    return make_batch(puzzles.inputs[rows], puzzles.labels[rows], puzzles.puzzle_ids[rows], puzzles)


def make_batch(
    inputs: np.ndarray, labels: np.ndarray, puzzle_ids: np.ndarray, puzzles: PuzzleSet
) -> Batch:
    """Returns rows in int32; the label that their set ignores becomes `IGNORE_LABEL`."""
    labels = np.where(labels == puzzles.metadata.ignore_label_id, IGNORE_LABEL, labels)
    return Batch(inputs.astype(np.int32), labels.astype(np.int32), puzzle_ids.astype(np.int32))


def padded_batches(
    puzzles: PuzzleSet, batch_size: int, number: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Yields the first `number` puzzles in batches of one size, and the (batch,) rows of the set.

    The last batch is filled up with copies of the last puzzle, without labels or identifier.
    """
    number = min(number, len(puzzles))
    for start in range(0, number, batch_size):
        rows = np.arange(start, start + batch_size)
        batch = take_batch(puzzles, np.minimum(rows, number - 1))
        batch.labels[rows >= number] = IGNORE_LABEL
        batch.puzzle_ids[rows >= number] = 0
        yield batch, rows
