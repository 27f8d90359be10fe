"""ARC tasks: grids as tokens, the augmentation of a task, and the names that tell how to undo it.

A grid has 1 to 30 rows and columns of colours 0..9. It stands on a canvas of 30x30 tokens in
row-major order: PAD 0, EOS 1 below and to the right of the grid, colour c -> c + 2, so the
vocabulary has 12 entries. An augmentation permutes the colours 1..9 (0 stays) and moves the grid by
a symmetry of the square; `task|||t3|||0213456789` names task, symmetry and new name of each colour.
"""

import re
import textwrap
from typing import Any, NamedTuple

import numpy as np

from rrjax.puzzles.dihedral import invert, transform
from rrjax.puzzles.values import check_values

SIDE = 30
NUM_COLOURS = 10
EOS, FIRST_COLOUR = 1, 2
VOCAB_SIZE = FIRST_COLOUR + NUM_COLOURS
SEPARATOR = "|||"

# HRM's builder separates by underscores
_AUGMENTED = re.compile(r"(?s:(.+?))(?:\|\|\||_)t([0-7])(?:\|\|\||_)(0[0-9]{9})")


class Pair(NamedTuple):
    """An example: uint8 grids (rows, columns) of colours."""

    input: np.ndarray
    output: np.ndarray


class Task(NamedTuple):
    """A task: its name, the pairs that show the rule, and those to be solved."""

    name: str
    train: list[Pair]
    test: list[Pair]


class Augmentation(NamedTuple):
    """A change of colours, followed by a symmetry.

    Attributes:
        symmetry: 0..7, as `rrjax.puzzles.dihedral`.
        colours: (10,) uint8 new name of each colour.
    """

    symmetry: int
    colours: np.ndarray


def check_grid(name: str, grid: Any) -> np.ndarray:
    """Returns a grid, rows of colours, as uint8 (rows, columns); refuses what is none."""
    try:
        array = np.array(grid)
    except ValueError:  # rows of different length
        array = np.array(None)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        text = textwrap.shorten(repr(grid), 60)
        raise ValueError(f"{name}: expected rows of equal length of integers, found {text}")
    if not (0 < array.shape[0] <= SIDE and 0 < array.shape[1] <= SIDE):
        raise ValueError(f"{name}: expected 1 to {SIDE} rows and columns, found {array.shape}")
    check_values(name, array, 0, NUM_COLOURS - 1)
    return array.astype(np.uint8)


def augment(grid: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Returns a grid (rows, columns) with new colours, moved."""
    return transform(augmentation.colours[grid], augmentation.symmetry)


def restore(grid: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Undoes `augment`."""
    return invert(np.argsort(augmentation.colours).astype(np.uint8)[grid], augmentation.symmetry)


def augmented_name(task: str, augmentation: Augmentation) -> str:
    """Returns the identifier of a task's augmented copy."""
    colours = "".join(map(str, augmentation.colours.tolist()))
    return f"{task}{SEPARATOR}t{augmentation.symmetry}{SEPARATOR}{colours}"


def parse_name(name: str) -> tuple[str, Augmentation | None]:
    """Returns the task an identifier belongs to, and its augmentation; None for the task itself."""
    match = _AUGMENTED.fullmatch(name)
    if match is None:
        if SEPARATOR in name:
            raise ValueError(f"identifier: expected TASK|||tN|||COLOURS, found {name!r}")
        return name, None
    colours = np.array([int(digit) for digit in match[3]], np.uint8)
    if len(np.unique(colours)) < NUM_COLOURS:
        raise ValueError(f"identifier: expected each colour once, found {name!r}")
    return match[1], Augmentation(int(match[2]), colours)


def encode(grids: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns the tokens of grids of one shape.

    Args:
        grids: (N, height, width) colours.
        rows: (N,) row of the canvas at which each begins, 0..30 - height.
        columns: (N,) its column, 0..30 - width.

    Returns:
        (N, 900) uint8.
    """
    number, height, width = grids.shape
    # a row and a column too many, for an EOS outside of the canvas
    canvas = np.zeros((number, SIDE + 1, SIDE + 1), np.uint8)
    each = np.arange(number)[:, None, None]
    down = rows[:, None, None] + np.arange(height + 1)[:, None]
    right = columns[:, None, None] + np.arange(width + 1)
    bordered = np.full((number, height + 1, width + 1), EOS, np.uint8)
    bordered[:, :height, :width] = grids + FIRST_COLOUR
    bordered[:, height, width] = 0
    canvas[each, down, right] = bordered
    return canvas[:, :SIDE, :SIDE].reshape(number, SIDE * SIDE)


def crop_sizes(tokens: np.ndarray) -> np.ndarray:
    """Returns (N, 2) rows and columns of the largest rectangle of colours at the top left.

    Of rectangles of equal area the one with fewest rows; (0, 0) where the first token is no colour.

    Args:
        tokens: (N, 900) tokens of a model's answers, or of grids that were not translated.
    """
    if tokens.ndim != 2 or tokens.shape[1] != SIDE * SIDE:
        raise ValueError(f"tokens: expected (N, {SIDE * SIDE}), found {tokens.shape}")
    canvas = tokens.reshape(-1, SIDE, SIDE)
    is_colour = (canvas >= FIRST_COLOUR) & (canvas < VOCAB_SIZE)
    runs = np.logical_and.accumulate(is_colour, axis=2).sum(axis=2)
    widths = np.minimum.accumulate(runs, axis=1)
    height = (widths * np.arange(1, SIDE + 1)).argmax(axis=1)
    width = widths[np.arange(len(widths)), height]
    return np.stack([np.where(width > 0, height + 1, 0), width], axis=1)


def decode(tokens: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns the uint8 colours of the top left rectangle of `size` of tokens (900,)."""
    height, width = size.tolist()
    return (tokens.reshape(SIDE, SIDE)[:height, :width] - FIRST_COLOUR).astype(np.uint8)
