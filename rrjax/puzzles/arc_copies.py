"""Augmented copies of an ARC task, drawn so that all of them differ."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.arc import NUM_COLOURS, Augmentation, Pair, Task, augmented_name
from rrjax.puzzles.dihedral import NUM_SYMMETRIES, transform

# Draws for each copy that is wanted, as in the official builder: a symmetric task of few colours
# has fewer copies that differ.
_TRIES = 5


class Copies(NamedTuple):
    """A task and how it is copied; the first copy is the task itself.

    Attributes:
        task: The task.
        symmetries: (C,) int64.
        colours: (C, 10) uint8 new name of each colour.
    """

    task: Task
    symmetries: np.ndarray
    colours: np.ndarray


def draw_copies(task: Task, num_aug: int, seed: int) -> Copies:
    """Draws augmentations that all make different pairs of the task.

    Args:
        task: The task.
        num_aug: Copies wanted; five times as many are tried.
        seed: Non-negative; the draws depend on it, the task and `num_aug` alone.
    """
    rng = np.random.default_rng((seed, 0, *task.name.encode()))
    tries = _TRIES * num_aug
    symmetries = np.concatenate([[0], rng.integers(0, NUM_SYMMETRIES, tries)])
    colours = np.tile(np.arange(NUM_COLOURS, dtype=np.uint8), (1 + tries, 1))
    colours[1:, 1:] = rng.permuted(colours[1:, 1:], axis=1)
    contents = _Contents([*task.train, *task.test])
    seen, kept = set(), []
    for index in range(1 + tries):
        key = contents.key(int(symmetries[index]), colours[index])
        if key not in seen:
            seen.add(key)
            kept.append(index)
        if len(kept) == 1 + num_aug:
            break
    return Copies(task, symmetries[kept], colours[kept])


def copy_names(copies: Copies) -> Iterator[str]:
    """Yields the identifiers of the copies; the first is the task's name."""
    yield copies.task.name
    for symmetry, colours in zip(copies.symmetries[1:], copies.colours[1:], strict=True):
        yield augmented_name(copies.task.name, Augmentation(int(symmetry), colours))


def pair_class(pair: Pair) -> bytes:
    """Returns a key that a pair shares with its images under symmetries and names of colours."""
    return min(_content(pair, symmetry) for symmetry in range(NUM_SYMMETRIES))


class _Contents:
    """The pairs of a task under every symmetry, to tell copies apart quickly."""

    def __init__(self, pairs: list[Pair]):
        moved = [
            [transform(grid, symmetry) for pair in pairs for grid in pair]
            for symmetry in range(NUM_SYMMETRIES)
        ]
        self._colours = [np.concatenate([grid.ravel() for grid in grids]) for grids in moved]
        self._shapes = [
            [bytes(a.shape + b.shape) for a, b in zip(grids[::2], grids[1::2], strict=True)]
            for grids in moved
        ]
        self._ends = np.cumsum([pair.input.size + pair.output.size for pair in pairs]).tolist()

    def key(self, symmetry: int, colours: np.ndarray) -> tuple[bytes, ...]:
        """Returns a key that is equal for two copies with the same pairs, in any order."""
        content, starts = colours[self._colours[symmetry]].tobytes(), [0, *self._ends]
        parts = zip(self._shapes[symmetry], starts, self._ends, strict=False)
        return tuple(sorted(shape + content[start:end] for shape, start, end in parts))


def _content(pair: Pair, symmetry: int) -> bytes:
    """Returns shapes and colours of a moved pair; colours 1..9 are named by first appearance."""
    grids = [transform(grid, symmetry) for grid in pair]
    flat = np.concatenate([grid.ravel() for grid in grids])
    present, first = np.unique(flat, return_index=True)
    names = np.zeros(NUM_COLOURS, np.uint8)
    by_appearance = present[np.argsort(first)]
    by_appearance = by_appearance[by_appearance > 0]
    names[by_appearance] = np.arange(1, len(by_appearance) + 1)
    return bytes(grids[0].shape + grids[1].shape) + names[flat].tobytes()
