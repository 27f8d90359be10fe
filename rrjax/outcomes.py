"""Functions that say which answers are right, for compiled programs.

`rrjax.puzzles` has the same rules in NumPy.
"""

from math import isqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int16, Int32, Integer

from rrjax.cells.config import Config
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.puzzles.maze import FREE, GOAL, PATH, START, WALL, maze_size

EXACT_MATCH = "exact_match"
"""Name of `is_solved` in results that hold other outcomes too."""

VALID_PATH = "valid_path"
"""Name of `is_valid_path` in metrics and results."""

SHORTEST_PATH = "shortest_path"
"""Name of `is_shortest_path` in results."""

OBEYS_RULES = "obeys_rules"
"""Name of `obeys_rules` in results."""

_FIRST_DIGIT = 2
"""Tokens of a Sudoku: padding 0, blank 1, digit d → d + 1."""


def is_right(
    answers: Integer[Array, "... seq"], labels: Integer[Array, "... seq"]
) -> Bool[Array, " ..."]:
    """Returns whether every labelled token is its label; true where no token is labelled."""
    answers, labels = jnp.broadcast_arrays(answers, labels)
    return ((answers == labels) | (labels == IGNORE_LABEL)).all(-1)


def is_solved(
    answers: Integer[Array, "... seq"], labels: Integer[Array, "... seq"]
) -> Bool[Array, " ..."]:
    """Returns whether an answer is right; false where no token is labelled."""
    return is_right(answers, labels) & (labels != IGNORE_LABEL).any(-1)


def violations(
    answers: Integer[Array, " cells"], units: Integer[Array, "units n"]
) -> Int16[Array, ""]:
    """Returns how many digits the rows, columns and boxes of a Sudoku lack, summed over them.

    Args:
      answers: tokens.
      units: cells of each row, column and box (`rrjax.puzzles.sudoku.geometry`).
    """
    number, size = units.shape
    digits = _FIRST_DIGIT + jnp.arange(size)
    present = (answers[units][:, :, None] == digits[None, None]).any(axis=1)
    return (number * size - present.sum()).astype(jnp.int16)


def changed_clues(
    tokens: Integer[Array, " cells"], answers: Integer[Array, " cells"]
) -> Int16[Array, ""]:
    """Returns how many clues of a Sudoku an answer does not keep."""
    clues = tokens >= _FIRST_DIGIT
    return jnp.sum(clues & (answers != tokens)).astype(jnp.int16)


def obeys_rules(
    tokens: Integer[Array, " cells"],
    answers: Integer[Array, " cells"],
    units: Integer[Array, "units n"],
) -> Bool[Array, ""]:
    """Returns whether an answer solves a Sudoku, whether or not its solution is known.

    Args:
      tokens: the Sudoku.
      answers: any tokens.
      units: cells of each row, column and box (`rrjax.puzzles.sudoku.geometry`).
    """
    return (violations(answers, units) == 0) & (changed_clues(tokens, answers) == 0)


def has_paths(config: Config) -> bool:
    """Returns whether a cell's puzzles are mazes, judged by the sizes of its puzzle set."""
    return maze_size(config.seq_len, config.vocab_size) is not None


def is_valid_path(
    tokens: Integer[Array, " seq"], answer: Integer[Array, " seq"]
) -> Bool[Array, ""]:
    """Returns whether an answer joins S to G, whether or not by the labelled path.

    A maze has many shortest paths and one label, so that exact match is too strict.

    Args:
      tokens: the maze.
      answer: any tokens.

    Returns:
      Whether S, G and the marked cells are one connected set and all else stands as in the maze.
    """
    size = isqrt(tokens.shape[-1])
    kept = ((answer == tokens) | ((tokens == FREE) & (answer == PATH))).all()
    start = tokens == START
    marked = start | (tokens == GOAL) | (answer == PATH)
    # an answer that is wrong already starts from no cell, so that the search ends at once
    reached = _reached((start & kept).reshape(size, size), marked.reshape(size, size))
    return kept & (reached.ravel() == marked).all()


def path_length(tokens: Integer[Array, " seq"]) -> Int32[Array, ""]:
    """Returns the number of moves from S to G on a shortest path; −1 where there is no path."""
    size = isqrt(tokens.shape[-1])
    free, goal = (grid.reshape(size, size) for grid in (tokens != WALL, tokens == GOAL))

    def is_under_way(carry: tuple[Array, Array, Array]) -> Array:
        return carry[2] & ~(carry[0] & goal).any()

    def move(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        larger = _grown(carry[0], free)
        return larger, carry[1] + 1, (larger != carry[0]).any()

    start = (tokens == START).reshape(size, size)
    first = start, jnp.zeros((), jnp.int32), start.any()
    reached, moves, _ = jax.lax.while_loop(is_under_way, move, first)
    return jnp.where((reached & goal).any(), moves, -1)


def is_shortest_path(
    tokens: Integer[Array, " seq"], answer: Integer[Array, " seq"], length: Int32[Array, ""]
) -> Bool[Array, ""]:
    """Returns whether an answer is a shortest path from S to G, of which there may be several.

    Args:
      tokens: the maze.
      answer: any tokens.
      length: the `path_length` of the maze.
    """
    num_marked = (answer == PATH).sum(dtype=jnp.int32)
    return is_valid_path(tokens, answer) & (num_marked == length - 1)


def _reached(start: Bool[Array, "n n"], cells: Bool[Array, "n n"]) -> Bool[Array, "n n"]:
    """Returns the cells joined to `start` over `cells`, by breadth-first search in layers."""

    def grow(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        larger = _grown(carry[0], cells)
        return larger, (larger != carry[0]).any()

    return jax.lax.while_loop(lambda carry: carry[1], grow, (start, start.any()))[0]


def _grown(reached: Bool[Array, "n n"], cells: Bool[Array, "n n"]) -> Bool[Array, "n n"]:
    """Returns the cells reached, and those of `cells` that lie beside one of them."""
    inside = jnp.pad(reached, 1)
    beside = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    return reached | (beside & cells)
