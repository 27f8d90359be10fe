"""One's own puzzle: the text of a Sudoku or a maze, and answers as text."""

from math import isqrt

import numpy as np

from rrjax.puzzles.maze import (
    CHARSET,
    FREE,
    GOAL,
    PATH,
    START,
    check_questions,
    format_maze,
    maze_size,
    parse_maze,
    path_lengths,
)
from rrjax.puzzles.sudoku import BLANK_TOKEN, SYMBOLS, geometry, parse_board, size_of, to_tokens

_RULES = str.maketrans("", "", "|+-_ \t\r\n")
_UNITS = ("row", "column", "box")


def parse_puzzle(text: str, seq_len: int, vocab_size: int) -> np.ndarray:
    """Returns the int32 tokens (seq_len,) of a puzzle that a model of such sizes takes.

    Args:
        text: The n * n characters of a Sudoku, in which a dot or 0 is a blank; white space, `|`,
            `+`, `-` and `_` between them are not read. Or the n rows of a maze of "# SG", in which
            a dot is a free cell too, and blanks at the end of a row may be missing.
        seq_len: Number of tokens of the model.
        vocab_size: Number of its token values.

    Raises:
        ValueError: The model is of other puzzles, or the text is no puzzle of this size: another
            number of characters, unknown ones, clues that contradict each other, no S, G or path.
    """
    size = size_of(seq_len, vocab_size)
    if size is not None:
        return _parse_sudoku(text, size)
    size = maze_size(seq_len, vocab_size)
    if size is not None:
        return _parse_maze(text, size)
    raise ValueError(
        f"puzzle: expected a model of Sudokus or mazes, found one of {seq_len} tokens and "
        f"{vocab_size} token values"
    )


def _parse_sudoku(text: str, size: int) -> np.ndarray:
    characters = text.translate(_RULES)
    if len(characters) != size * size:
        raise ValueError(
            f"puzzle: expected the {size * size} characters of a {size}x{size} Sudoku, found "
            f"{len(characters)}; a blank is a dot or 0"
        )
    board = parse_board(characters)
    for index, unit in enumerate(geometry(size).units):
        digits = board[unit][board[unit] > 0]
        values, counts = np.unique(digits, return_counts=True)
        if (counts > 1).any():
            digit = SYMBOLS[values[counts.argmax()]]
            raise ValueError(
                f"puzzle: expected clues that do not contradict each other, found digit {digit} "
                f"{counts.max()} times in {_UNITS[index // size]} {index % size + 1}"
            )
    return to_tokens(board)


def _parse_maze(text: str, size: int) -> np.ndarray:
    rows = text.replace("\r", "").strip("\n").split("\n")
    whole = "".join(row.ljust(size) for row in rows) if len(rows) > 1 else rows[0]
    whole = whole.replace(".", " ")
    if len(whole) != size * size:
        raise ValueError(
            f"puzzle: expected the {size} rows of {size} characters {CHARSET[:-1]!r} of a maze, "
            f"found {len(rows)} row{'s' * (len(rows) > 1)} and {len(whole)} characters"
        )
    tokens = parse_maze(whole)
    for name, token in (("S", START), ("G", GOAL)):
        number = int((tokens == token).sum())
        if number != 1:
            raise ValueError(f"puzzle: expected a maze with one {name}, found {number}")
    check_questions(tokens)
    if path_lengths(tokens) < 0:
        raise ValueError("puzzle: expected a maze with a path from S to G, found none")
    return tokens


def format_answer(tokens: np.ndarray, answer: np.ndarray, vocab_size: int) -> str:
    """Returns an answer as text, in which what the puzzle gives is told apart.

    Clues of a Sudoku stand in brackets, and between exclamation marks where the answer changes
    them. Cells of a maze that no answer may change are exclamation marks where it does.
    """
    if size_of(len(tokens), vocab_size) is not None:
        return _format_sudoku(tokens, answer)
    kept = (answer == tokens) | ((tokens == FREE) & (answer == PATH))
    lines = format_maze(answer).split("\n")
    for cell in np.flatnonzero(~kept).tolist():
        row, column = divmod(cell, len(lines))
        lines[row] = f"{lines[row][:column]}!{lines[row][column + 1 :]}"
    return "\n".join(lines)


def _format_sudoku(tokens: np.ndarray, answer: np.ndarray) -> str:
    size, height, width, *_ = geometry(isqrt(len(tokens)))
    marks = np.where(tokens == BLANK_TOKEN, "  ", np.where(tokens == answer, "[]", "!!")).tolist()
    symbols = [SYMBOLS[max(token - 1, 0)] for token in answer.tolist()]
    cells = [f"{left}{symbol}{right}" for (left, right), symbol in zip(marks, symbols, strict=True)]
    boxes = ["".join(cells[i : i + width]) for i in range(0, size * size, width)]
    stacks = size // width
    lines = ["|".join(boxes[i : i + stacks]).rstrip() for i in range(0, len(boxes), stacks)]
    rule = "+".join(["-" * 3 * width] * stacks)
    return f"\n{rule}\n".join("\n".join(lines[i : i + height]) for i in range(0, size, height))
