"""The rules of mazes: tokens, shortest paths, and a checker that needs no solution.

A maze is a square of cells with one start S and one goal G; a path moves between the four
neighbours. A question is an integer array (..., size * size) of tokens in row-major order: the
place of a character in "# SGo" plus 1; PAD is 0, so the vocabulary has 6 entries. An answer marks
with `o` the cells of a shortest path between S and G, which themselves stay.
"""

from collections.abc import Iterator
from functools import cache
from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.puzzles.values import check_values

CHARSET = "# SGo"
VOCAB_SIZE = len(CHARSET) + 1
WALL, FREE, START, GOAL, PATH = range(1, VOCAB_SIZE)
# A 4x4 maze would have the tokens of a 4x4 Sudoku: 16 of 6 values.
SMALLEST_SIZE = 5


class Mazes(NamedTuple):
    """Mazes and their solutions, both int32 tokens (number, n * n)."""

    questions: np.ndarray
    answers: np.ndarray


def maze_size(seq_len: int, vocab_size: int) -> int | None:
    """Returns n of the mazes with so many tokens and token values; None for other puzzles."""
    size = isqrt(seq_len)
    fits = size >= SMALLEST_SIZE and size * size == seq_len and vocab_size == VOCAB_SIZE
    return size if fits else None


def parse_maze(text: str) -> np.ndarray:
    """Reads the int32 tokens (n * n,) of a question or an answer from n * n characters of "# SGo".

    Raises:
        ValueError: No square of a size from 5 on, or another character.
    """
    if maze_size(len(text), VOCAB_SIZE) is None:
        raise ValueError(
            f"maze: expected n * n characters, n >= {SMALLEST_SIZE}, found {len(text)}"
        )
    tokens = np.array([CHARSET.find(symbol) + 1 for symbol in text], np.int32)
    if not tokens.all():
        place = int(tokens.argmin())
        raise ValueError(
            f"maze: expected the characters {CHARSET!r}, found {text[place]!r} at place {place + 1}"
        )
    return tokens


def format_maze(tokens: ArrayLike) -> str:
    """Returns tokens (n * n,) as n lines of text; PAD is a dot.

    Example:
      >>> request = rrjax.puzzles.MazeRequest(size=6, min_path=5)
      >>> question, answer = next(rrjax.puzzles.generate_mazes(request, seed=0))
      >>> print(rrjax.puzzles.format_maze(answer).replace(" ", "·"))
      S###··
      ooooo#
      ·#·#o·
      #·##o·
      ·#··o·
      ·##Go#
    """
    tokens = np.asarray(tokens)
    text = "".join(("." + CHARSET)[token] for token in tokens.tolist())
    size = isqrt(tokens.size)
    return "\n".join(text[i : i + size] for i in range(0, tokens.size, size))


def check_questions(questions: ArrayLike) -> np.ndarray:
    """Returns questions (..., n * n) as an array; refuses others than tokens of mazes."""
    questions = np.asarray(questions)
    if not questions.ndim or maze_size(questions.shape[-1], VOCAB_SIZE) is None:
        raise ValueError(
            f"questions: expected (..., n * n) with n >= {SMALLEST_SIZE}, found {questions.shape}"
        )
    check_values("questions", questions, WALL, GOAL)
    for name, token in (("S", START), ("G", GOAL)):
        counts = (questions == token).sum(axis=-1)
        if (counts != 1).any():
            raise ValueError(f"questions: expected one {name} each, found {counts.max()} or none")
    return questions


def check_mazes(mazes: Mazes, source: str) -> None:
    """Refuses mazes (number, n * n) that are none, and answers that change a wall, S or G.

    An answer need not be a shortest path, and an answer of 0 alone is one that is not known.
    """
    try:
        questions, answers = _check_pair(*mazes)
        if questions.ndim != 2 or not len(questions):
            raise ValueError(f"expected (number >= 1, n * n), found {questions.shape}")
        kept = _kept(questions, answers) | ~answers.any(axis=1, keepdims=True)
        if not kept.all():
            maze, cell = np.argwhere(~kept)[0].tolist()
            raise ValueError(
                f"maze {maze}: expected an answer that keeps walls, S and G, found another token "
                f"in cell {cell}"
            )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _check_pair(questions: ArrayLike, answers: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    questions, answers = check_questions(questions), np.asarray(answers)
    if answers.shape != questions.shape:
        raise ValueError(
            f"answers: expected the shape of the questions, {questions.shape}, "
            f"found {answers.shape}"
        )
    return questions, answers


def path_lengths(questions: np.ndarray) -> np.ndarray:
    """Returns (...) int32 moves from S to G on a shortest path of questions (..., n * n).

    A path has one cell `o` less; -1 stands where there is no path.
    """
    size = isqrt(questions.shape[-1])
    open_cells, starts, goals = (
        as_bits(cells, size) for cells in (questions != WALL, questions == START, questions == GOAL)
    )
    lengths = [
        next((k for k, layer in enumerate(layers(start, free, size)) if layer & goal), -1)
        for free, start, goal in zip(open_cells, starts, goals, strict=True)
    ]
    return np.array(lengths, np.int32).reshape(questions.shape[:-1])


def is_valid_path(questions: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Returns (...) whether each answer joins S to G and changes nothing else.

    Walls, S and G stand as in the question, every free cell is free or marked, and S, G and the
    marked cells are one connected set. Detours and dead ends that hang on it are allowed.

    Args:
        questions: (..., n * n) tokens.
        answers: The same shape; a model's answers may hold any token.
    """
    size = isqrt(questions.shape[-1])
    ends = (questions == START) | (questions == GOAL)
    marked, starts = as_bits((answers == PATH) | ends, size), as_bits(questions == START, size)
    joined = [
        sum(layers(start, cells, size)) == cells
        for start, cells in zip(starts, marked, strict=True)
    ]
    kept = np.asarray(_kept(questions, answers).all(axis=-1))
    return np.asarray(kept & np.array(joined, bool).reshape(kept.shape))


def _kept(questions: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Returns (..., n * n) whether each cell stands as in the question, or is a marked free one."""
    return (answers == questions) | ((questions == FREE) & (answers == PATH))


def is_shortest_path(questions: ArrayLike, answers: ArrayLike) -> np.ndarray:
    """Returns (...) whether each answer is valid and marks a path of the least possible length.

    A connected set with S and G in it has at least as many cells as a shortest path, and one with
    just as many is a shortest path; which one of several does not matter.

    Args:
        questions: (..., n * n) tokens.
        answers: The same shape; a model's answers may hold any token.

    Raises:
        ValueError: Questions that are no mazes, or shapes that differ.

    Example:
        >>> request = rrjax.puzzles.MazeRequest(size=6, min_path=5)
        >>> question, answer = next(rrjax.puzzles.generate_mazes(request, seed=0))
        >>> rrjax.puzzles.is_shortest_path(question, answer)
        array(True)
    """
    questions, answers = _check_pair(questions, answers)
    num_marked = (answers == PATH).sum(axis=-1)
    least = path_lengths(questions) - 1
    return np.asarray(is_valid_path(questions, answers) & (num_marked == least))


def as_bits(cells: np.ndarray, size: int) -> list[int]:
    """Returns bool cells (..., n * n) as integers, a bit a cell, one empty column between rows.

    Cell (row, column) is bit row * (n + 1) + column: a move is a shift by 1 or n + 1.
    """
    padded = np.zeros((cells.size // (size * size), size, size + 1), bool)
    padded[:, :, :size] = cells.reshape(-1, size, size)
    packed = np.packbits(padded.reshape(len(padded), size * (size + 1)), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def layers(start: int, free: int, size: int) -> Iterator[int]:
    """Yields the cells at distance 0, 1, ... from the cells `start` over the cells `free`, as bits.

    Breadth-first search, a whole layer at a time; it ends with the last layer that is not empty.
    """
    layer, free = start, free & ~start
    while layer:
        yield layer
        layer = neighbours(layer, size) & free
        free ^= layer


def neighbours(cells: int, size: int) -> int:
    """Returns the cells beside some cells, as bits; some lie in the empty column or outside."""
    right, left, down, up = shifts(cells, size)
    return right | left | down | up


def shifts(cells: int, size: int) -> tuple[int, int, int, int]:
    """Returns some cells, as bits, moved by one cell right, left, down and up."""
    return cells << 1, cells >> 1, cells << (size + 1), cells >> (size + 1)


@cache
def place_of(bit: int, size: int) -> int:
    """Returns the number in row-major order of the cell with this one bit."""
    row, column = divmod(bit.bit_length() - 1, size + 1)
    return row * size + column
