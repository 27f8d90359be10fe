"""Boards as a page holds them: a character for each token, and how tokens are drawn."""

import math
from typing import Any, NamedTuple

import numpy as np

from rrjax.page.shown import Shown
from rrjax.puzzles import arc, maze
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.puzzles.sudoku import BLANK_TOKEN, SYMBOLS, geometry, size_of

FIRST = 0x100
"""From here on no character is escaped in JSON."""

MOST_TOKENS = 3000
"""Token values that boards may have: those of more would not fit the characters."""

ARC_COLOURS = (
    *("#000000", "#0074D9", "#FF4136", "#2ECC40", "#FFDC00"),
    *("#AAAAAA", "#F012BE", "#FF851B", "#7FDBFF", "#870C25"),
)
"""The colours 0 to 9 of the official viewer of ARC-AGI."""

_HEAT = ("#440154", "#414487", "#2A788E", "#22A884", "#7AD151", "#FDE725")
"""Viridis, whose lightness rises with the token, so that it survives a black-and-white print."""


class Marks(NamedTuple):
    """What is marked in the cells of an answer, booleans (..., cells) each.

    Attributes:
      given: The question says the token of the cell.
      wrong: The known answer has another token.
      changed: The answer before it had another token.
      clash: The cell breaks a rule: it is not what is given, or a digit stands twice in a unit.
    """

    given: Any
    wrong: Any
    changed: Any
    clash: Any


def encode(tokens: np.ndarray, marks: Marks | None = None) -> Any:
    """Returns tokens (..., cells) as nested lists of strings with a character for each cell.

    The character is 256 + 16 · token + given + 2 · wrong + 4 · changed + 8 · clash. A label that is
    not known becomes token 0.
    """
    codes = 16 * np.where(tokens == IGNORE_LABEL, 0, tokens).astype(np.int64) + FIRST
    for bit, mark in enumerate(marks or ()):
        codes = codes + (mark.astype(np.int64) << bit)
    return _strings(codes)


def _strings(codes: np.ndarray) -> Any:
    if codes.ndim > 1:
        return [_strings(row) for row in codes]
    return "".join(map(chr, codes.tolist()))


def mark(
    answers: np.ndarray, inputs: np.ndarray | None, labels: np.ndarray | None, vocab_size: int
) -> Marks:
    """Returns what is marked in answers (..., s, cells) that follow each other.

    Args:
      answers: Tokens.
      inputs: (..., cells) tokens of the questions, or None.
      labels: (..., cells) tokens of the known answers; `IGNORE_LABEL` where one is not known.
      vocab_size: Number of token values.
    """
    num_cells = answers.shape[-1]
    blank = _blank(num_cells, vocab_size)
    nothing = np.zeros(answers.shape, bool)
    given, clash, wrong, changed = nothing, nothing.copy(), nothing, nothing.copy()
    if inputs is not None and blank is not None:
        given = nothing | (inputs != blank)[..., None, :]
        clash |= given & (answers != inputs[..., None, :])
    if labels is not None:
        wrong = (labels != IGNORE_LABEL)[..., None, :] & (answers != labels[..., None, :])
    changed[..., 1:, :] = answers[..., 1:, :] != answers[..., :-1, :]
    if size := size_of(num_cells, vocab_size):
        for unit in geometry(size).units:
            digits = answers[..., unit]
            twice = (digits[..., :, None] == digits[..., None, :]).sum(axis=-1) > 1
            clash[..., unit] |= twice & (digits > BLANK_TOKEN)
    return Marks(given, wrong, changed, clash)


def _blank(num_cells: int, vocab_size: int) -> int | None:
    """Returns the token of questions that is to be found; None where answers are new boards."""
    if size_of(num_cells, vocab_size):
        return BLANK_TOKEN
    return maze.FREE if maze.maze_size(num_cells, vocab_size) else None


def vocabulary(shown: Shown, answers: np.ndarray) -> int:
    """Returns the number of token values: the recorded one, or that of the arrays if larger."""
    arrays = [answers, *(shown.results[n] for n in ("inputs", "labels") if n in shown.results)]
    return max([shown.vocab_size, *(int(array.max(initial=0)) + 1 for array in arrays)])


def describe_board(num_cells: int, vocab_size: int) -> dict[str, Any]:
    """Returns how boards of so many cells and token values are drawn.

    Returns:
      `kind`; `width` and `height` in cells; by token `symbols`, the texts, `fills`, the colours of
      cells, and `inks`, those of texts; `columns` and `rows` before which a line parts the boxes.
    """
    side = math.isqrt(num_cells)
    if size := size_of(num_cells, vocab_size):
        return _sudoku(size)
    if maze.maze_size(num_cells, vocab_size):
        return _maze(side)
    if (num_cells, vocab_size) == (arc.SIDE**2, arc.VOCAB_SIZE):
        return _arc()
    return _tokens(num_cells, vocab_size)


def _board(kind: str, width: int, height: int, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, "width": width, "height": height, "columns": [], "rows": [], **facts}


def _sudoku(size: int) -> dict[str, Any]:
    shape = geometry(size)
    return _board(
        "Sudoku",
        size,
        size,
        symbols=["?", " ", *SYMBOLS[1 : size + 1]],
        fills=["transparent"] * (size + 2),
        inks=["currentColor"] * (size + 2),
        columns=list(range(shape.box_width, size, shape.box_width)),
        rows=list(range(shape.box_height, size, shape.box_height)),
    )


def _maze(side: int) -> dict[str, Any]:
    fills = ["#CC79A7", "#333333", "#F5F5F5", "#F5F5F5", "#F5F5F5", "#E69F00"]
    symbols = ["?", "", "", "S", "G", "•"]
    return _board("maze", side, side, symbols=symbols, fills=fills, inks=["#000000"] * 6)


def _arc() -> dict[str, Any]:
    off = ["transparent"] * arc.FIRST_COLOUR
    dark = {0, 1, 6, 9}
    inks = ["#FFFFFF" if colour in dark else "#000000" for colour in range(arc.NUM_COLOURS)]
    symbols = ["", "", *map(str, range(arc.NUM_COLOURS))]
    return _board(
        "ARC grid",
        arc.SIDE,
        arc.SIDE,
        symbols=symbols,
        fills=[*off, *ARC_COLOURS],
        inks=["currentColor"] * 2 + inks,
    )


def _tokens(num_cells: int, vocab_size: int) -> dict[str, Any]:
    width = math.ceil(math.sqrt(num_cells))
    number = max(vocab_size, 1)
    shades = [_shade(token / max(number - 1, 1)) for token in range(number)]
    inks = ["#FFFFFF" if token < 0.6 * number else "#000000" for token in range(number)]
    symbols = [str(token) if num_cells <= 256 else "" for token in range(number)]
    height = math.ceil(num_cells / width)
    return _board("heat map of tokens", width, height, symbols=symbols, fills=shades, inks=inks)


def _shade(part: float) -> str:
    place = part * (len(_HEAT) - 1)
    low = min(int(place), len(_HEAT) - 2)
    ends = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in _HEAT[low : low + 2]]
    mixed = ends[0] + (place - low) * (ends[1] - ends[0])
    return "#" + "".join(f"{round(channel):02X}" for channel in mixed.tolist())
