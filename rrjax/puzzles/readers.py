"""Reads puzzles from whatever a file or folder holds."""

from pathlib import Path

from rrjax.puzzles import text_files
from rrjax.puzzles.csv_tables import csv_rows, first_line, is_header
from rrjax.puzzles.dataset import PuzzleSet
from rrjax.puzzles.folders import read_folder
from rrjax.puzzles.maze import CHARSET, Mazes
from rrjax.puzzles.maze_build import build_mazes
from rrjax.puzzles.sudoku_build import build_sudokus
from rrjax.puzzles.test_sets import FILES


def read(path: str | Path, split: str = "test", max_puzzles: int | None = None) -> PuzzleSet:
    """Returns the puzzles of a data-set folder, a CSV of Sudokus or mazes, or a list of Sudokus.

    Args:
        path: Folder, file, or the name of a test set that comes with rrjax: `hard-sudoku9`, 1,024
            minimal puzzles from easy to hard.
        split: "train" or "test", for a folder.
        max_puzzles: Number of puzzles after which to stop; None for all.

    Returns:
        Set of puzzles; solutions that a list or CSV of Sudokus does not give come from the solver.
        Sudokus with several solutions and mazes without answers have no labels: their answers are
        judged by the rules.

    Raises:
        ValueError: There is nothing there, or it is in none of these formats.

    Example:
        >>> puzzles = rrjax.puzzles.read("hard-sudoku9", max_puzzles=3)
        >>> puzzles.inputs.shape
        (3, 81)
    """
    name, path = str(path), Path(path)
    if path.is_dir():
        return read_folder(path, split)[:max_puzzles]
    if name in FILES and not path.exists():
        path = FILES[name]
    _, line = first_line(path)
    if is_header(line) and _holds_mazes(path):
        listing = text_files.read_mazes(path, max_puzzles)
        return build_mazes(Mazes(listing.questions, listing.answers), source=str(path))
    listing = text_files.read_sudokus(path, max_puzzles)
    return build_sudokus(text_files.fill_unique_solutions(listing), source=str(path))


def _holds_mazes(path: Path) -> bool:
    row = next(csv_rows(path), None)
    return row is not None and not row.question.strip(CHARSET)
