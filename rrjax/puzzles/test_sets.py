"""Test sets that come with rrjax, by name."""

from functools import cache
from pathlib import Path

import numpy as np

from rrjax.puzzles.text_files import read_list

HARD_SUDOKUS = "hard-sudoku9"

FILES = {HARD_SUDOKUS: Path(__file__).parents[1] / "bundled" / f"{HARD_SUDOKUS}.txt"}
"""The lists of puzzles, which never change: results on them can be compared."""


@cache
def hard_boards() -> np.ndarray:
    """Returns the boards (1024, 81) of the hard test set, which no one may train on.

    The puzzles are minimal. Of each four that follow each other one is as it comes; the others need
    at least 10, 30 and 100 guesses of the solver. So any beginning of the set is as hard as all of
    it.
    """
    boards = read_list(FILES[HARD_SUDOKUS]).questions.astype(np.int32)
    boards.flags.writeable = False
    return boards
