"""The group of moves that take Sudokus to Sudokus, for augmentation.

With boxes of h rows and w columns and n = h w: permute the w bands, the h rows of each band, the h
stacks, the w columns of each stack, and rename the digits; where h = w also transpose. The order of
the group is

    w! (h!)^w  *  h! (w!)^h  *  n!  *  (2 if h = w else 1).

At 4x4 that is 3,072; at 6x6 2,488,320; at 9x9 1,218,998,108,160.
"""

from math import factorial
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.sudoku import geometry


class Symmetries(NamedTuple):
    """A batch of moves: new[i, c] = digits[i, old[i, cells[i, c]]].

    Attributes:
        cells: (number, n * n) the old cell whose content goes to each new cell.
        digits: (number, n + 1) the new name of each value; blank stays 0.
    """

    cells: np.ndarray
    digits: np.ndarray


def group_order(size: int) -> int:
    """Returns the number of moves of boards of `size` x `size` cells."""
    shape = geometry(size)
    height, width = shape.box_height, shape.box_width
    rows = factorial(width) * factorial(height) ** width
    columns = factorial(height) * factorial(width) ** height
    return rows * columns * factorial(size) * (2 if height == width else 1)


def random_symmetries(rng: np.random.Generator, size: int, number: int) -> Symmetries:
    """Draws a number of moves uniformly and independently from the whole group of a size."""
    shape = geometry(size)
    rows = _line_permutations(rng, number, shape.box_width, shape.box_height)
    columns = _line_permutations(rng, number, shape.box_height, shape.box_width)
    cells = rows[:, :, None] * size + columns[:, None, :]
    if shape.box_height == shape.box_width:
        transpose = rng.random(number) < 0.5
        cells = np.where(transpose[:, None, None], cells.swapaxes(1, 2), cells)
    digits = np.zeros((number, size + 1), dtype=np.int64)
    digits[:, 1:] = 1 + _permutations(rng, (number, size))
    return Symmetries(cells.reshape(number, size * size), digits)


def apply(symmetries: Symmetries, boards: np.ndarray) -> np.ndarray:
    """Moves boards (number, n * n), the i-th by the i-th move; keeps their dtype."""
    cells, digits = symmetries
    moved = np.take_along_axis(boards, cells, axis=1)
    return np.take_along_axis(digits, moved.astype(np.int64), axis=1).astype(boards.dtype)


def apply_to_tokens(symmetries: Symmetries, tokens: np.ndarray) -> np.ndarray:
    """Moves tokens (number, n * n) = board + 1; token 0 (PAD, ignored label) stays 0."""
    digits = np.pad(symmetries.digits + 1, ((0, 0), (1, 0)))
    return apply(Symmetries(symmetries.cells, digits), tokens)


def compose(second: Symmetries, first: Symmetries) -> Symmetries:
    """Returns the moves that do `first`, then `second`."""
    return Symmetries(
        np.take_along_axis(first.cells, second.cells, axis=1),
        np.take_along_axis(second.digits, first.digits, axis=1),
    )


def inverse(symmetries: Symmetries) -> Symmetries:
    """Returns the moves that undo `symmetries`."""
    return Symmetries(symmetries.cells.argsort(axis=1), symmetries.digits.argsort(axis=1))


def _permutations(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.random(shape).argsort(axis=-1)


def _line_permutations(
    rng: np.random.Generator, number: int, blocks: int, lines: int
) -> np.ndarray:
    """(number, blocks * lines) permutations that keep blocks of `lines` lines together."""
    block = _permutations(rng, (number, blocks))
    line = _permutations(rng, (number, blocks, lines))
    return (block[:, :, None] * lines + line).reshape(number, blocks * lines)
