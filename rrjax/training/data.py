"""Draws the puzzles of a training step from seed and step alone, so that resuming is exact."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch, make_batch
from rrjax.puzzles.sudoku import BOX_SHAPES, size_of
from rrjax.puzzles.sudoku_symmetry import apply_to_tokens, random_symmetries

# What the draws of a seed are for: the order of an epoch's groups; a step's puzzles, then its
# symmetries; the order of its puzzles' examples.
_ORDER, _STEP, _EXAMPLES = 0, 1, 2


@dataclass(frozen=True)
class Sampler:
    """Draws epochs of groups in shuffled order, and a random puzzle of each with all its examples.

    A batch is packed as upstream packs it: the examples of a puzzle are neighbours in random
    order; those of the last puzzle that find no room are left out, and the next batch begins with
    the next group. One epoch follows the other without a gap, as upstream within one iteration of
    its data set (`eval_interval` epochs; upstream drops what is left at the end of an iteration).

    Where puzzles have several examples, the position of a step among the groups follows from all
    steps before it: the first batch of a resumed run takes some 0.1 ms for each of them.

    Attributes:
      puzzles: the training set.
      batch_size: rows of a batch.
      seed: seed of order, choice and augmentation.
      augment: move every Sudoku by a random symmetry.
      stream: samplers of one seed and different streams draw independently.
    """

    puzzles: PuzzleSet
    batch_size: int
    seed: int
    augment: bool = False
    stream: int = 0

    def __post_init__(self):
        meta = self.puzzles.metadata
        if self.augment and size_of(meta.seq_len, meta.vocab_size) is None:
            raise ValueError(
                f"augment moves only Sudokus: {self.puzzles.source} has {meta.seq_len} tokens a "
                f"puzzle and {meta.vocab_size} token values; expected n² and n + 2, n of "
                f"{[*BOX_SHAPES]}"
            )

    def batch(self, step: int) -> Batch:
        """Returns the batch of optimizer step `step`, counted from 0."""
        rng = self._rng(_STEP, step)
        rows = self._examples(step, self._puzzles(self._position(step), rng))
        inputs, labels = self.puzzles.inputs[rows], self.puzzles.labels[rows]
        if self.augment:
            size = round(self.puzzles.metadata.seq_len**0.5)
            symmetries = random_symmetries(rng, size, len(rows))
            inputs, labels = (apply_to_tokens(symmetries, side) for side in (inputs, labels))
        return make_batch(inputs, labels, self.puzzles.puzzle_ids[rows], self.puzzles)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, index, self.stream))

    def _position(self, step: int) -> int:
        """Returns the number of groups visited before a step, over all epochs."""
        if self._single:
            return step * self.batch_size
        positions = self._positions
        for index in range(len(positions) - 1, step):
            sizes = self._sizes[self._puzzles(positions[-1], self._rng(_STEP, index))]
            visited = 1 + int(np.searchsorted(sizes.cumsum(), self.batch_size))
            positions.append(positions[-1] + visited)
        return positions[step]

    def _puzzles(self, position: int, rng: np.random.Generator) -> np.ndarray:
        """Returns a random puzzle of each of the next `batch_size` groups; fewer may be needed."""
        bounds, number = self.puzzles.group_indices, self.batch_size
        first, start = divmod(position, len(bounds) - 1)
        last = (position + number - 1) // (len(bounds) - 1)
        order = np.concatenate([self._order(epoch) for epoch in range(first, last + 1)])
        group = order[start : start + number]
        return rng.integers(bounds[group], bounds[group + 1])

    def _examples(self, step: int, puzzles: np.ndarray) -> np.ndarray:
        """Returns the first `batch_size` examples of these puzzles, each puzzle's shuffled."""
        starts = self.puzzles.puzzle_indices[puzzles]
        if self._single:
            return starts
        sizes = self._sizes[puzzles]
        owner = np.repeat(np.arange(len(puzzles)), sizes)
        ends = sizes.cumsum()
        rows = starts[owner] + np.arange(len(owner)) - (ends - sizes)[owner]
        shuffled = np.lexsort((self._rng(_EXAMPLES, step).random(len(rows)), owner))
        return rows[shuffled[: self.batch_size]]

    @functools.cached_property
    def _sizes(self) -> np.ndarray:
        """The number of examples of each puzzle."""
        return np.diff(self.puzzles.puzzle_indices)

    @functools.cached_property
    def _single(self) -> bool:
        """Whether every puzzle has one example, as in Sudoku and Maze."""
        return bool(self._sizes.max() == 1)

    @functools.cached_property
    def _positions(self) -> list[int]:
        """`_position` of the first steps, as many as were asked for."""
        return [0]

    @functools.cached_property
    def _order(self) -> Callable[[int], np.ndarray]:
        """Returns the order of the groups in an epoch; a long epoch is shuffled once."""
        groups = len(self.puzzles.group_indices) - 1
        return functools.lru_cache(16)(lambda epoch: self._rng(_ORDER, epoch).permutation(groups))
