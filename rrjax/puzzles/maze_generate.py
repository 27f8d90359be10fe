"""Seeded mazes with long shortest paths.

The official Maze-Hard set comes without a generator. It is said to follow Searchformer (Lehnert et
al. 2024): 30 to 50 % of the cells are walls, drawn independently, and only mazes with a long
shortest path stay (110 moves at 30x30). Of start and goal drawn at random hardly any pair is so far
apart; two breadth-first searches find one, if the maze has one: from any cell to the farthest, S,
then from S. G is any cell that is far enough.
"""

from collections.abc import Iterator
from itertools import cycle, pairwise
from typing import NamedTuple

import numpy as np

from rrjax.checks import check_count, check_seed
from rrjax.puzzles import maze
from rrjax.puzzles.maze import SMALLEST_SIZE, Mazes

# Reaches what one random maze in some thousands allows; 110 moves at 30x30 take one in 120.
MAX_TRIES = 30_000
_LARGEST_SIZE = 1000


class MazeRequest(NamedTuple):
    """The kind of mazes that are wanted.

    Attributes:
        size: n, cells of a side.
        min_path: Least moves of a shortest path from S to G; of several numbers the mazes take one
            each in turn.
        walls: Least and greatest fraction of walls; each try draws its own uniformly.
        unique: Whether S and G must have a single shortest path. Most have several otherwise, and
            no model can know which of them the answer marks.
    """

    size: int = 30
    min_path: int | tuple[int, ...] = 110
    walls: tuple[float, float] = (0.3, 0.5)
    unique: bool = False


def generate_mazes(request: MazeRequest, seed: int) -> Iterator[Mazes]:
    """Yields mazes for ever, each as arrays (n * n,).

    Args:
        request: What is wanted.
        seed: Non-negative; maze i depends on (seed, i) alone.

    Yields:
        Question and answer. Of several shortest paths the answer marks one at random, S and G are
        exchanged at random. Mazes may repeat at small sizes (`symmetry_class`).

    Raises:
        ValueError: Wrong arguments, or no path that long within a fixed number of tries.

    Example:
        >>> from itertools import islice
        >>> request = rrjax.puzzles.MazeRequest(size=6, min_path=5)
        >>> question, answer = next(rrjax.puzzles.generate_mazes(request, seed=0))
        >>> question.shape
        (36,)
    """
    check_count("size", request.size, least=SMALLEST_SIZE, most=_LARGEST_SIZE)
    lengths = request.min_path if isinstance(request.min_path, tuple) else (request.min_path,)
    if not lengths:
        raise ValueError("min_path: expected a number or several, found none")
    for least in lengths:
        check_count("min_path", least, least=1, most=request.size**2 - 1)
    check_seed("seed", seed)
    low, high = request.walls
    if not 0 <= low <= high < 1:
        raise ValueError(f"walls: expected 0 <= least <= greatest < 1, found {low} and {high}")
    for index, least in enumerate(cycle(lengths)):
        yield _one_maze(request, least, np.random.default_rng((seed, index)))


def _one_maze(request: MazeRequest, min_path: int, rng: np.random.Generator) -> Mazes:
    size, longest = request.size, 0
    for _ in range(MAX_TRIES):
        is_free = rng.random(size * size) >= rng.uniform(*request.walls)
        (free,) = maze.as_bits(is_free, size)
        distances = _from_farthest(_any_cell(is_free, size, rng), free, size, min_path)
        ends = _reached_in_one_way(distances, size) if request.unique else distances
        longest = max(longest, len(ends) - 1)
        if longest >= min_path:
            length = _draw_length(ends, min_path, rng)
            path = _draw_path(distances[:length], ends[length], size, rng)
            return _as_maze(is_free, [maze.place_of(bit, size) for bit in path])
    raise ValueError(
        f"min_path: expected a length that random mazes have, found {min_path}; the "
        f"longest of {MAX_TRIES} mazes of {size}x{size} cells had {longest} moves: "
        "ask for less, for larger mazes, or for other walls"
    )


def _from_farthest(first: int, free: int, size: int, min_path: int) -> list[int]:
    """Returns layers around a cell farthest from `first`, or fewer where no path is long enough."""
    around = list(maze.layers(first, free, size))
    # two cells are at most twice as far from each other as the farthest is from `first`
    if 2 * (len(around) - 1) < min_path:
        return around
    farthest = around[-1] & -around[-1]
    return list(maze.layers(farthest, free, size))


def _reached_in_one_way(distances: list[int], size: int) -> list[int]:
    """Returns of each layer the cells with a single shortest path, up to the last with any.

    Such a cell has one neighbour in the layer before, which is such a cell itself.
    """
    single = [distances[0]]
    for before, layer in pairwise(distances):
        once = twice = 0
        for shifted in maze.shifts(before, size):
            twice |= once & shifted
            once |= shifted
        single.append(layer & ~twice & maze.neighbours(single[-1], size))
        if not single[-1]:
            return single[:-1]
    return single


def _draw_length(ends: list[int], min_path: int, rng: np.random.Generator) -> int:
    """Draws one of the cells that are far enough uniformly, and returns its distance."""
    sizes = np.array([layer.bit_count() for layer in ends[min_path:]])
    return min_path + int(rng.choice(len(sizes), p=sizes / sizes.sum()))


def _draw_path(nearer: list[int], ends: int, size: int, rng: np.random.Generator) -> list[int]:
    """Draws one shortest path, cell by cell, from one of the ends through the nearer layers."""
    path = [_any_bit(ends, rng)]
    for layer in reversed(nearer):
        path.append(_any_bit(layer & maze.neighbours(path[-1], size), rng))
    return path if rng.random() < 0.5 else path[::-1]


def _any_cell(is_free: np.ndarray, size: int, rng: np.random.Generator) -> int:
    """Draws the bit of a free cell uniformly, or of a wall where all cells are walls."""
    places = np.flatnonzero(is_free)
    place = int(places[rng.integers(len(places))]) if len(places) else 0
    return 1 << (place // size * (size + 1) + place % size)


def _any_bit(cells: int, rng: np.random.Generator) -> int:
    """Draws one of a few cells uniformly."""
    bits = []
    while cells:
        bits.append(cells & -cells)
        cells &= cells - 1
    return bits[rng.integers(len(bits))] if len(bits) > 1 else bits[0]


def _as_maze(is_free: np.ndarray, path: list[int]) -> Mazes:
    question = np.where(is_free, maze.FREE, maze.WALL).astype(np.int32)
    question[path[0]], question[path[-1]] = maze.START, maze.GOAL
    answer = question.copy()
    answer[path[1:-1]] = maze.PATH
    return Mazes(question, answer)
