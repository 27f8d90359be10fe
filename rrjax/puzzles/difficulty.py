"""How hard puzzles are, judged by their questions alone."""

from typing import NamedTuple

import numpy as np

from rrjax.puzzles import sudoku_batch as batch
from rrjax.puzzles.maze import maze_size, path_lengths
from rrjax.puzzles.sudoku import from_tokens, size_of

CLUES, GUESSES, PATH_LENGTH = "clues", "solver guesses", "path length"

MOST_GUESSES = 1000
"""The search of one Sudoku ends here, after a tenth of a second."""

LARGEST_SEARCHED = 9
"""Size of the largest Sudokus that are searched; nearly all of 16 × 16 would be cut off."""


class Difficulty(NamedTuple):
    """What is known of the difficulty of some puzzles.

    Attributes:
        numbers: Integers (N,) by name: `CLUES` and `GUESSES` (at most `MOST_GUESSES`) of Sudokus,
            `PATH_LENGTH` of mazes in moves; nothing of other puzzles. Puzzles get harder with all
            but the clues.
        notes: What the reader must know of these numbers.
    """

    numbers: dict[str, np.ndarray]
    notes: list[str]


def difficulty(questions: np.ndarray, vocab_size: int) -> Difficulty:
    """Returns how hard puzzles are, from their questions (N, seq) of so many token values."""
    seq_len = questions.shape[1]
    if size := size_of(seq_len, vocab_size):
        return _of_sudokus(from_tokens(questions.astype(np.int32)), size)
    if maze_size(seq_len, vocab_size):
        return Difficulty({PATH_LENGTH: path_lengths(questions)}, [])
    return Difficulty({}, [])


def _of_sudokus(boards: np.ndarray, size: int) -> Difficulty:
    clues = {CLUES: (boards > 0).sum(axis=1)}
    if size > LARGEST_SEARCHED:
        return Difficulty(clues, [f"No solver guesses are counted of {size} × {size} Sudokus."])
    guesses = batch.search(batch.as_cells(boards), 2, MOST_GUESSES).guesses
    cut = int(np.sum(guesses == MOST_GUESSES))
    notes = [
        f"The solver was stopped after {MOST_GUESSES:,} guesses in {cut} of {len(boards)} puzzles, "
        "which count as equally hard."
    ]
    return Difficulty(clues | {GUESSES: guesses}, notes if cut else [])
