"""`rrjax slice`: a plane of initial states of one puzzle: when runs settle, and on which answer."""

from typing import TYPE_CHECKING

from rrjax.checks import refuse
from rrjax.commands.job import Job

if TYPE_CHECKING:
    from rrjax.puzzles import PuzzleSet


def one_puzzle(puzzles: "PuzzleSet", puzzle: int = 0) -> "PuzzleSet":
    """Returns one puzzle of a set.

    Args:
      puzzles: The set.
      puzzle: Which puzzle, counted from 0.

    Raises:
      ValueError: The set has no such puzzle.
    """
    if not 0 <= puzzle < len(puzzles):
        rule = f"lie in 0..{len(puzzles) - 1}, the puzzles of {puzzles.source}"
        refuse("puzzle", rule, puzzle)
    return puzzles[puzzle]


main = Job("slice", "slices", one_puzzle)
parse = main.parse
