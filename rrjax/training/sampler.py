"""Which rows a training step sees: a function of seed and step alone, so that resuming is exact."""

import functools
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
    """Epochs over groups in shuffled order; of each group a random puzzle with all its examples.

    As upstream packs a batch: the examples of a puzzle stand side by side in random order; those
    of the last puzzle that find no room are left out, and the next batch begins with the next
    group. One epoch follows the other without a gap, as upstream within one iteration of its
    data set (`eval_interval` epochs; upstream drops what is left at the end of an iteration).

    Where puzzles have several examples, the place of a step among the groups follows from all
    steps before it: the first batch of a resumed run takes some 0.1 ms for each of them.

    Attributes:
      puzzles: the training set.
      batch_size: rows of a batch.
      seed: of order, choice and augmentation.
      augment: move every Sudoku by a random symmetry.
      stream: samplers of one seed and other streams draw independently.

    Raises:
      ValueError: if what is to be augmented is no Sudoku.
    """

    puzzles: PuzzleSet
    batch_size: int
    seed: int
    augment: bool = False
    stream: int = 0

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
        rng = self._rng(_STEP, step)
        rows = self._examples(step, self._puzzles(self._place(step), rng))
        inputs, labels = self.puzzles.inputs[rows], self.puzzles.labels[rows]
        if self.augment:
            size = round(self.puzzles.metadata.seq_len**0.5)
            moves = random_symmetries(rng, size, len(rows))
            inputs, labels = apply_to_tokens(moves, inputs), apply_to_tokens(moves, labels)
        return make_batch(inputs, labels, self.puzzles.puzzle_ids[rows], self.puzzles)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, index, self.stream))

    def _place(self, step: int) -> int:
        """Groups visited before a step, over all epochs."""
        if self._single:
            return step * self.batch_size
        places = self._places
        for index in range(len(places) - 1, step):
            sizes = self._sizes[self._puzzles(places[-1], self._rng(_STEP, index))]
            places.append(places[-1] + 1 + int(np.searchsorted(sizes.cumsum(), self.batch_size)))
        return places[step]

    def _puzzles(self, place: int, rng: np.random.Generator) -> np.ndarray:
        """A random puzzle of each of the next `batch_size` groups, as many as can be needed."""
        bounds, number = self.puzzles.group_indices, self.batch_size
        first, start = divmod(place, len(bounds) - 1)
        last = (place + number - 1) // (len(bounds) - 1)
        order = np.concatenate([self._order(epoch) for epoch in range(first, last + 1)])
        group = order[start : start + number]
        return rng.integers(bounds[group], bounds[group + 1])

    def _examples(self, step: int, puzzles: np.ndarray) -> np.ndarray:
        """The first `batch_size` examples of these puzzles, those of each in random order."""
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
        """Examples of each puzzle."""
        return np.diff(self.puzzles.puzzle_indices)

    @functools.cached_property
    def _single(self) -> bool:
        """Whether every puzzle has one example, as in Sudoku and Maze."""
        return bool(self._sizes.max() == 1)

    @functools.cached_property
    def _places(self) -> list[int]:
        """`_place` of the first steps, as many as were asked for."""
        return [0]

    @functools.cached_property
    def _orders(self) -> dict[int, np.ndarray]:
        """The order of the groups in the last epochs asked for."""
        return {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            if len(self._orders) > _KEPT_EPOCHS:
                self._orders.clear()
            groups = len(self.puzzles.group_indices) - 1
            self._orders[epoch] = self._rng(_ORDER, epoch).permutation(groups)
        return self._orders[epoch]


_KEPT_EPOCHS = 16
"""Orders kept, so that an epoch of many batches is shuffled once; a batch may span more."""
