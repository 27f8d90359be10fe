"""Which rows a training step sees: a function of seed and step alone, so that resuming is exact."""

from dataclasses import dataclass

import numpy as np

from rrjax.puzzles import PuzzleSet, apply_to_tokens, random_symmetries
from rrjax.puzzles.sudoku import BOX_SHAPES, size_of
from rrjax.training.act import Batch
from rrjax.training.losses import IGNORE_LABEL


@dataclass(frozen=True)
class Sampler:
    """Epochs over groups in shuffled order; from each group one random example.

    Attributes:
      puzzles: the training set.
      batch_size: rows of a batch.
      seed: of order, choice and augmentation.
      augment: move every Sudoku by a random symmetry.

    Raises:
      ValueError: if what is to be augmented is no Sudoku.
    """

    puzzles: PuzzleSet
    batch_size: int
    seed: int
    augment: bool = False

    def __post_init__(self):
        meta = self.puzzles.metadata
        found = meta.seq_len, meta.vocab_size
        if self.augment and size_of(*found) is None:
            raise ValueError(
                f"augment moves Sudokus alone: {self.puzzles.source} has {found[0]} tokens a "
                f"puzzle and {found[1]} token values; expected n² and n + 2, n of {[*BOX_SHAPES]}"
            )

    def batch(self, step: int) -> Batch:
        """The batch of optimizer step `step`, counted from 0."""
        rng = np.random.default_rng((self.seed, 1, step))
        rows = self._examples(step, rng)
        inputs, labels = self.puzzles.inputs[rows], self.puzzles.labels[rows]
        if self.augment:
            size = round(self.puzzles.metadata.seq_len**0.5)
            moves = random_symmetries(rng, size, len(rows))
            inputs, labels = apply_to_tokens(moves, inputs), apply_to_tokens(moves, labels)
        return as_batch(self.puzzles, inputs, labels, self.puzzles.puzzle_ids[rows])

    def _examples(self, step: int, rng: np.random.Generator) -> np.ndarray:
        groups = len(self.puzzles.group_indices) - 1
        position = step * self.batch_size + np.arange(self.batch_size)
        epochs = {e: self._order(e, groups) for e in np.unique(position // groups).tolist()}
        group = np.array([epochs[p // groups][p % groups] for p in position.tolist()])
        puzzle = _random_between(self.puzzles.group_indices, group, rng)
        return _random_between(self.puzzles.puzzle_indices, puzzle, rng)

    def _order(self, epoch: int, groups: int) -> np.ndarray:
        return np.random.default_rng((self.seed, 0, epoch)).permutation(groups)


def as_batch(
    puzzles: PuzzleSet, inputs: np.ndarray, labels: np.ndarray, puzzle_ids: np.ndarray
) -> Batch:
    """Rows as the model takes them: the set's ignored label becomes `IGNORE_LABEL`."""
    labels = np.where(labels == puzzles.metadata.ignore_label_id, IGNORE_LABEL, labels)
    return Batch(inputs.astype(np.int32), labels.astype(np.int32), puzzle_ids.astype(np.int32))  # pyright: ignore[reportArgumentType]


def _random_between(bounds: np.ndarray, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A uniform draw from bounds[i] .. bounds[i + 1] − 1 for every i of `index`."""
    low, high = bounds[index], bounds[index + 1]
    return rng.integers(low, high)
