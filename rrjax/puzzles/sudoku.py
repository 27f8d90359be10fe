"""The rules of Sudoku: sizes, units, tokens, and a checker that needs no solution.

A board is an integer array (..., size * size) in row-major order: 0 blank, 1..size digits.
Tokens are board + 1: PAD 0, blank 1, digit d -> d + 1, so the vocabulary has size + 2 entries.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.puzzles.values import check_values

# Rows and columns of a box. Where size is no square number the box is wider than high.
BOX_SHAPES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}
_SIZES = {size * size: size for size in BOX_SHAPES}  # by the number of cells
SYMBOLS = ".123456789ABCDEFG"
BLANK_TOKEN = 1  # of a cell without a digit; the digits lie above it
_VALUES = np.full(128, 255, np.uint8)  # of an ASCII character; 255: it stands for none
for _value, _symbol in enumerate(SYMBOLS):
    _VALUES[[ord(_symbol), ord(_symbol.lower())]] = _value
_VALUES[ord("0")] = 0


class Geometry(NamedTuple):
    """Cells, units and peers of one size.

    Attributes:
        size: n, digits per unit.
        box_height: Rows of a box.
        box_width: Columns of a box.
        units: (3 n, n) cells of the rows, then the columns, then the boxes.
        peers: (n * n, number of peers) cells that share a unit with each cell, ascending.
    """

    size: int
    box_height: int
    box_width: int
    units: np.ndarray
    peers: np.ndarray


class Puzzles(NamedTuple):
    """Puzzles and their solutions, both int32 boards (number, n * n)."""

    boards: np.ndarray
    solutions: np.ndarray


@cache
def geometry(size: int) -> Geometry:
    """Returns the geometry of boards of `size` x `size` cells: 4, 6, 9 or 16."""
    if size not in BOX_SHAPES:
        raise ValueError(f"size: expected one of {sorted(BOX_SHAPES)}, found {size!r}")
    height, width = BOX_SHAPES[size]
    cells = np.arange(size * size).reshape(size, size)
    boxes = cells.reshape(size // height, height, size // width, width).swapaxes(1, 2)
    units = np.concatenate([cells, cells.T, boxes.reshape(size, size)])
    peers = np.stack([np.setdiff1d(units[(units == cell).any(1)], [cell]) for cell in cells.flat])
    units.flags.writeable = peers.flags.writeable = False
    return Geometry(size, height, width, units, peers)


def board_size(boards: np.ndarray) -> int:
    """Returns n for boards (..., n * n); refuses those whose last axis is no known n * n."""
    size = _SIZES.get(boards.shape[-1] if boards.ndim else 1)
    if size is None:
        known = ", ".join(map(str, _SIZES))
        raise ValueError(
            f"boards: expected a last axis of {known} cells, found shape {boards.shape}"
        )
    return size


def size_of(seq_len: int, vocab_size: int) -> int | None:
    """Returns n of the Sudokus with so many tokens and token values; None for other puzzles."""
    size = _SIZES.get(seq_len)
    return size if size and vocab_size == size + 2 else None


def check_boards(boards: ArrayLike) -> np.ndarray:
    """Returns boards (..., n * n) as an array; refuses others than integers 0..n."""
    boards = np.asarray(boards)
    check_values("boards", boards, 0, board_size(boards))
    return boards


def to_tokens(boards: ArrayLike) -> np.ndarray:
    """Returns the int32 tokens board + 1 of boards (..., n * n).

    Example:
      >>> rrjax.puzzles.to_tokens(rrjax.puzzles.parse_board("12343412.1..4..1"))
      array([2, 3, 4, 5, 4, 5, 2, 3, 1, 2, 1, 1, 5, 1, 1, 2], dtype=int32)
    """
    return check_boards(boards).astype(np.int32) + 1


def from_tokens(tokens: ArrayLike) -> np.ndarray:
    """Returns the int32 boards of tokens (..., n * n).

    Raises:
        ValueError: A token outside 1..n+1; PAD (0) stands for no cell of a board.

    Example:
        >>> rrjax.puzzles.from_tokens(np.arange(1, 5).repeat(4))
        array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], dtype=int32)
    """
    tokens = np.asarray(tokens)
    check_values("tokens", tokens, 1, board_size(tokens) + 1)
    return tokens.astype(np.int32) - 1


def from_answers(tokens: ArrayLike) -> np.ndarray:
    """Returns the int32 boards of a model's answers (..., n * n), which may hold PAD: a blank."""
    return from_tokens(np.maximum(tokens, 1))


def violations(boards: ArrayLike) -> np.ndarray:
    """Counts the violated constraints "digit d stands in unit u" of boards.

        violations = sum over the 3 n units of (n - number of distinct digits in the unit)

    A blank counts through the digits it leaves missing.

    Args:
        boards: (..., n * n) with values 0..n.

    Returns:
        (...) int64 between 0 (solved) and 3 n^2 (empty).
    """
    boards = check_boards(boards)
    size = board_size(boards)
    bits = np.left_shift(1, boards.astype(np.int32)) >> 1  # blank has no bit
    missing = np.full(boards.shape[:-1], 3 * size * size)
    for unit in geometry(size).units:  # one at a time: a whole data set fits in memory
        missing -= np.bitwise_count(np.bitwise_or.reduce(bits[..., unit], axis=-1))
    return missing


def is_solved(boards: ArrayLike) -> np.ndarray:
    """Returns (...) whether each board (..., n * n) has every digit once in every unit.

    Example:
      >>> rrjax.puzzles.is_solved(rrjax.puzzles.parse_board("1234341221434321"))
      array(True)
    """
    return np.asarray(violations(boards) == 0)


def respects_givens(puzzles: np.ndarray, boards: np.ndarray) -> np.ndarray:
    """Returns (...) whether boards (..., n * n) keep every clue of the puzzles (..., n * n)."""
    return np.asarray(((puzzles == 0) | (puzzles == boards)).all(axis=-1))


def parse_board(text: str) -> np.ndarray:
    """Reads one board (n * n,) from n * n characters.

    `.` or `0` is blank, 1-9 are digits, A-G or a-g stand for 10-16.

    Raises:
        ValueError: No known number of characters, or a character that is no digit of the size.

    Example:
        >>> rrjax.puzzles.parse_board("12343412.1..4..1")
        array([1, 2, 3, 4, 3, 4, 1, 2, 0, 1, 0, 0, 4, 0, 0, 1], dtype=int32)
    """
    size = _SIZES.get(len(text))
    if size is None:
        raise ValueError(f"board: expected {list(_SIZES)} characters, found {len(text)}")
    values = _VALUES[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
    if values.max() > size:
        place = int((values > size).argmax())
        raise ValueError(
            f"board: expected the characters 0{SYMBOLS[: size + 1]}, found {text[place]!r} "
            f"at place {place + 1}"
        )
    return values.astype(np.int32)


def compact_board(board: ArrayLike) -> str:
    """Returns a board (n * n,) as one line of n * n characters that `parse_board` reads."""
    return "".join(SYMBOLS[value] for value in check_boards(board).tolist())


def format_board(board: ArrayLike) -> str:
    """Returns a board (n * n,) as lines of text with the boxes set apart.

    Example:
      >>> print(rrjax.puzzles.format_board(rrjax.puzzles.parse_board("12343412.1..4..1")))
      1 2 | 3 4
      3 4 | 1 2
      ----+----
      . 1 | . .
      4 . | . 1
    """
    text = compact_board(board)
    size, height, width, *_ = geometry(board_size(np.asarray(board)))
    lines = []
    for start in range(0, size * size, size):
        boxes = (text[i : i + width] for i in range(start, start + size, width))
        lines.append(" | ".join(map(" ".join, boxes)))
    rule = "-+-".join(["-" * (2 * width - 1)] * (size // width))
    bands = ["\n".join(lines[i : i + height]) for i in range(0, size, height)]
    return f"\n{rule}\n".join(bands)
