"""What states may say of a puzzle: the labels of every cell that a probe is asked for."""

from math import isqrt
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.maze import FREE, GOAL, PATH, WALL, maze_size
from rrjax.puzzles.sudoku import BLANK_TOKEN, Geometry, geometry, size_of

_FIRST_DIGIT = BLANK_TOKEN + 1


class Meaning(NamedTuple):
    """One thing that a state may say, of every cell or of a whole puzzle.

    Attributes:
      name: What it is.
      values: (N, segments, cells) integers or floats; an axis has length 1 where the values do not
        depend on it, and a single cell stands for the whole puzzle.
      num_classes: Number of classes, which are counted from 0; 0 for a number.
      counts: (N, 1 or segments, 1 or cells) whether the value is known and asked for.
    """

    name: str
    values: np.ndarray
    num_classes: int
    counts: np.ndarray

    @property
    def of_puzzle(self) -> bool:
        """Whether there is one value for the whole puzzle."""
        return self.values.shape[-1] == 1


def meanings(
    inputs: np.ndarray, labels: np.ndarray, answers: np.ndarray, vocab_size: int
) -> list[Meaning]:
    """Returns what states may say of Sudokus or mazes.

    Only cells that are to be found count, except for `given`. Of a Sudoku: the digit of a cell, the
    digit of the last answer, the candidates left (digits that no given peer has), whether the
    current answer repeats the digit in the cell's row, column or box, and whether the cell is
    given. Of a maze: whether a free cell is on the labelled path, and its distance to the goal in
    moves. Of the whole puzzle: the distance to the solution (wrong cells of the current answer),
    and whether the last answer is right.

    Args:
      inputs: (N, cells) tokens.
      labels: (N, cells) tokens; negative ones are not known.
      answers: (N, segments, cells) tokens of the answer after every segment.
      vocab_size: Number of token values.

    Raises:
      ValueError: The puzzles are neither Sudokus nor mazes.

    Example:
      >>> from rrjax.puzzles.meanings import meanings
      >>> board = rrjax.puzzles.parse_board("1.3.  ..1.  .1.3  3..1".replace(" ", ""))
      >>> tokens = rrjax.puzzles.to_tokens(board)[None]
      >>> every = meanings(tokens, tokens, tokens[:, None], 6)
      >>> next(each for each in every if each.name == "candidates").values[0, 0, :4]
      array([0, 2, 0, 2])
    """
    size = size_of(inputs.shape[1], vocab_size)
    if size:
        return _of_sudokus(inputs, labels, answers, geometry(size))
    if maze_size(inputs.shape[1], vocab_size):
        return _of_mazes(inputs, labels, answers)
    raise ValueError(
        f"meanings are known of Sudokus and mazes, not of puzzles with {inputs.shape[1]} tokens of "
        f"{vocab_size} values"
    )


def _of_sudokus(
    inputs: np.ndarray, labels: np.ndarray, answers: np.ndarray, board: Geometry
) -> list[Meaning]:
    blank = inputs == BLANK_TOKEN
    known = (blank & (labels >= _FIRST_DIGIT))[:, None]
    digit, last = (tokens[:, None] - _FIRST_DIGIT for tokens in (labels, answers[:, -1]))
    is_digit = blank[:, None] & (last >= 0)
    cells = blank[:, None]
    conflicts = [
        Meaning(f"{kind} conflict", repeats(answers, units), 2, cells)
        for kind, units in zip(
            ("row", "column", "box"), board.units.reshape(3, board.size, -1), strict=True
        )
    ]
    return [
        Meaning("digit", digit, board.size, known),
        Meaning("last answer", last, board.size, is_digit),
        Meaning("candidates", candidates_left(inputs, board)[:, None], 0, cells),
        *conflicts,
        Meaning("given", (~blank)[:, None].astype(int), 2, np.ones_like(cells)),
        *_of_answers(labels, answers, known),
    ]


def _of_mazes(inputs: np.ndarray, labels: np.ndarray, answers: np.ndarray) -> list[Meaning]:
    free = inputs == FREE
    known = (free & (labels >= 0))[:, None]
    distance = distances_to_goal(inputs)
    reached = (free & (distance >= 0))[:, None]
    return [
        Meaning("on path", (labels == PATH)[:, None].astype(int), 2, known),
        Meaning("distance to goal", distance[:, None], 0, reached),
        *_of_answers(labels, answers, known),
    ]


def _of_answers(labels: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> list[Meaning]:
    """Returns how far answers are from the solution, and whether the last one is it."""
    wrong = np.sum((answers != labels[:, None]) & asked, axis=-1, keepdims=True)
    solved = (wrong[:, -1:] == 0).astype(int)
    known = np.any(asked, axis=-1, keepdims=True)
    return [Meaning("distance", wrong, 0, known), Meaning("solved", solved, 2, known)]


def candidates_left(inputs: np.ndarray, board: Geometry) -> np.ndarray:
    """Returns (N, cells) how many digits no given peer of a blank cell has; 0 for given cells."""
    digits = _FIRST_DIGIT + np.arange(board.size)
    taken = (inputs[:, board.peers][..., None] == digits).any(axis=2)
    return np.where(inputs == BLANK_TOKEN, board.size - taken.sum(axis=-1), 0)


def repeats(answers: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Returns (..., cells) 1 where another cell of the unit has the same token, else 0.

    Args:
      answers: (..., cells) tokens.
      units: (units, n) the cells of each unit; every cell is in one.
    """
    tokens = answers[..., units]
    equal = (tokens[..., :, None] == tokens[..., None, :]).sum(axis=-1) > 1
    result = np.zeros(answers.shape, int)
    result[..., units] = equal
    return result


def distances_to_goal(inputs: np.ndarray) -> np.ndarray:
    """Returns (N, cells) moves from every cell to the goal; −1 where no way leads there."""
    size = isqrt(inputs.shape[1])
    grid = inputs.reshape(-1, size, size)
    distance = np.where(grid == GOAL, 0, -1)
    for step in range(1, size * size):
        here = np.pad(distance == step - 1, ((0, 0), (1, 1), (1, 1)))
        beside = here[:, :-2, 1:-1] | here[:, 2:, 1:-1] | here[:, 1:-1, :-2] | here[:, 1:-1, 2:]
        new = beside & (grid != WALL) & (distance < 0)
        if not new.any():
            break
        distance[new] = step
    return distance.reshape(inputs.shape)
