"""Sets of mazes: generated, or chosen from the official CSV, with symmetric copies."""

from collections.abc import Callable, Iterator
from math import isqrt
from pathlib import Path

import numpy as np

from rrjax.checks import MOST_PUZZLES, check_count, check_seed
from rrjax.puzzles.dataset import PuzzleSet, set_of_groups
from rrjax.puzzles.dihedral import NUM_SYMMETRIES, transform
from rrjax.puzzles.maze import VOCAB_SIZE, Mazes, check_mazes
from rrjax.puzzles.maze_generate import MazeRequest, generate_mazes
from rrjax.puzzles.text_files import choose_from_folder, read_maze_csv

NUM_MAZES = 1000
_MAX_TRIES_PER_MAZE = 10


def build_mazes(mazes: Mazes, num_copies: int = 1, source: str = "mazes") -> PuzzleSet:
    """Returns a set of mazes, each as a group of its images under the first symmetries.

    Args:
        mazes: Questions and answers (number, n * n); an answer of 0 alone is unknown, and gives no
            label.
        num_copies: 1 for the mazes alone, 8 for all symmetries of the square.
        source: Where the mazes come from, for messages.

    Returns:
        Set of number * num_copies examples; symmetry 0, the maze itself, comes first in its group.

    Raises:
        ValueError: No maze, wrong mazes, an answer that changes a wall, S or G, or another number
            of copies than 1..8.

    Example:
        >>> request = rrjax.puzzles.MazeRequest(size=6, min_path=5)
        >>> mazes = [next(rrjax.puzzles.generate_mazes(request, seed)) for seed in range(2)]
        >>> questions, answers = map(np.stack, zip(*mazes))
        >>> len(rrjax.puzzles.build_mazes(rrjax.puzzles.Mazes(questions, answers), num_copies=8))
        16
    """
    check_count("num_copies", num_copies, least=1, most=NUM_SYMMETRIES)
    check_mazes(mazes, source)
    inputs, labels = (_images(np.asarray(tokens, np.int32), num_copies) for tokens in mazes)
    return set_of_groups(inputs, labels, num_copies, VOCAB_SIZE, source)


def maze_sets(
    request: MazeRequest,
    num_train: int | None = None,
    num_test: int | None = None,
    *,
    num_copies: int = 1,
    seed: int = 0,
    csv: Path | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[PuzzleSet, PuzzleSet]:
    """Returns a training set of mazes with their images, and a test set.

    The arguments are the options that `rrjax maze --help` explains, `augment` as `num_copies`. No
    generated test maze is an image of a training maze. `report` is called with the number of mazes
    generated so far.

    Raises:
        ValueError: Numbers out of range, mazes that cannot be made, or files that cannot be read.
    """
    check_count("num_train", num_train, least=1, most=MOST_PUZZLES)
    check_count("num_test", num_test, least=1, most=MOST_PUZZLES)
    check_seed("seed", seed)
    if csv is not None:
        listings = choose_from_folder(csv, read_maze_csv, num_train, num_test, seed)
        train, test = (Mazes(listing.questions, listing.answers) for listing in listings)
    else:
        first = num_train or NUM_MAZES
        mazes = generate_mazes(request, seed)
        distinct = list(_distinct(mazes, first + (num_test or NUM_MAZES), report))
        questions, answers = map(np.stack, zip(*distinct, strict=True))
        train = Mazes(questions[:first], answers[:first])
        test = Mazes(questions[first:], answers[first:])
    return build_mazes(train, num_copies, source="train"), build_mazes(test, source="test")


def symmetry_class(question: np.ndarray) -> bytes:
    """Returns a key that a question (n * n,) shares with its images, and with no other question."""
    size = isqrt(question.size)
    grid = question.astype(np.uint8).reshape(size, size)
    return min(transform(grid, symmetry).tobytes() for symmetry in range(NUM_SYMMETRIES))


def _images(tokens: np.ndarray, num_copies: int) -> np.ndarray:
    number, num_cells = tokens.shape
    grids = tokens.reshape(number, isqrt(num_cells), -1)
    images = [transform(grids, symmetry) for symmetry in range(num_copies)]
    return np.stack(images, axis=1).reshape(-1, num_cells)


def _distinct(
    mazes: Iterator[Mazes], wanted: int, report: Callable[[int], None]
) -> Iterator[Mazes]:
    """Yields the first mazes of which none is the image of another."""
    classes: set[bytes] = set()
    for _, maze in zip(range(_MAX_TRIES_PER_MAZE * wanted), mazes, strict=False):
        key = symmetry_class(maze.questions)
        if key not in classes:
            classes.add(key)
            yield maze
            report(len(classes))
        if len(classes) == wanted:
            return
    raise ValueError(
        f"could not make {wanted} mazes that differ by more than a symmetry, only {len(classes)}; "
        "ask for fewer, or for larger mazes"
    )
