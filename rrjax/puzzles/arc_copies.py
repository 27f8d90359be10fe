"""Augmented copies of an ARC task, drawn so that all of them differ."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.arc import NUM_COLOURS, Augmentation, Pair, Task, augmented_name
from rrjax.puzzles.dihedral import NUM_SYMMETRIES, transform

_OTHER_BYTES = bytes(range(NUM_COLOURS, 256))
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
    """Draws up to `num_aug` augmentations that all make different pairs of the task.

    Five times as many are tried. The draws depend on the seed, the task and `num_aug` alone.
    """
    rng = np.random.default_rng((seed, 0, *task.name.encode()))
    tries = _TRIES * num_aug
    symmetries = np.concatenate([[0], rng.integers(0, NUM_SYMMETRIES, tries)])
    colours = np.tile(np.arange(NUM_COLOURS, dtype=np.uint8), (1 + tries, 1))
    colours[1:, 1:] = rng.permuted(colours[1:, 1:], axis=1)
    pairs = [*task.train, *task.test]
    moved = [[_moved(pair, symmetry) for pair in pairs] for symmetry in range(NUM_SYMMETRIES)]
    keys, kept = set(), []
    for index, symmetry in enumerate(symmetries.tolist()):
        names = colours[index].tobytes() + _OTHER_BYTES
        # equal for two copies with the same pairs, in any order
        key = tuple(sorted(shapes + grids.translate(names) for shapes, grids in moved[symmetry]))
        if key not in keys:
            keys.add(key)
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


def _content(pair: Pair, symmetry: int) -> bytes:
    """Returns shapes and colours of a moved pair; colours 1..9 are named by first appearance."""
    shapes, colours = _moved(pair, symmetry)
    by_appearance = bytes(colour for colour in dict.fromkeys(colours) if colour)
    names = bytes.maketrans(by_appearance, bytes(range(1, 1 + len(by_appearance))))
    return shapes + colours.translate(names)


def _moved(pair: Pair, symmetry: int) -> tuple[bytes, bytes]:
    """Returns the shapes and the colours of both grids of a moved pair."""
    question, answer = (transform(grid, symmetry) for grid in pair)
    return bytes(question.shape + answer.shape), question.tobytes() + answer.tobytes()
