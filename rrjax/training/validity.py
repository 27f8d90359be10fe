"""Whether an answer is valid, label aside: of mazes, whether it joins S to G.

A maze has many shortest paths and one label, so exact match is too strict.
"""

from math import isqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from rrjax.cells import Config
from rrjax.puzzles.maze import FREE, GOAL, PATH, START, maze_size

VALID_PATH = "valid_path"
"""What metrics and results call it."""


def has_paths(config: Config) -> bool:
    """Whether a cell's puzzles are mazes, by their sizes: those of the puzzle set it is for."""
    return maze_size(config.seq_len, config.vocab_size) is not None


def is_valid_path(tokens: Int[Array, " seq"], answer: Int[Array, " seq"]) -> Bool[Array, ""]:
    """`rrjax.puzzles.is_valid_path` of one maze, the same in a compiled program.

    Args:
      tokens: the maze.
      answer: of any tokens.

    Returns:
      Whether S, G and the marked cells are one connected set and all else stands as in the maze.
    """
    size = isqrt(tokens.shape[-1])
    kept = ((answer == tokens) | ((tokens == FREE) & (answer == PATH))).all()
    start = tokens == START
    marked = start | (tokens == GOAL) | (answer == PATH)
    # from nowhere where it is wrong already: then the search ends at once
    reached = _reached((start & kept).reshape(size, size), marked.reshape(size, size))
    return kept & (reached.ravel() == marked).all()


def _reached(start: Bool[Array, "n n"], cells: Bool[Array, "n n"]) -> Bool[Array, "n n"]:
    """The cells joined to `start` over `cells`: breadth-first search, a layer at a time."""

    def grow(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        inside = jnp.pad(carry[0], 1)
        beside = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
        more = carry[0] | (beside & cells)
        return more, (more != carry[0]).any()

    return jax.lax.while_loop(lambda carry: carry[1], grow, (start, start.any()))[0]
