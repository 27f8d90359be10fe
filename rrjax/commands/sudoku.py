"""`rrjax sudoku`: a data set of Sudokus in the official folder format."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.store import check_new_folder


@dataclass(frozen=True)
class Options:
    """Make a data set of Sudokus with exactly one solution, or one of Sudoku-Extreme's CSV files.

    Attributes:
      out: folder to write; it must be new or empty.
      size: side of the board.
      num_train: number of training puzzles. The default is 1000, or all of a CSV.
      num_test: number of test puzzles. The default is 512, or all of a CSV. No board of a
        generated test puzzle is that of a training puzzle.
      clues: fewest and most clues. By default no clue can be removed from a puzzle.
      num_aug: random symmetric copies of each training puzzle, in one group with it.
      seed: the same seed gives the same bytes.
      csv: folder with train.csv and test.csv of sudoku-extreme, whose puzzles are taken instead.
        If it has more than are wanted, a random choice is taken. Size and clues are then those of
        the files. Solutions are checked, but not that they are the only ones, and not that the
        test boards are new.
      min_rating: least rating of the puzzles that are taken from a CSV.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: Literal[4, 6, 9, 16] = 9
    num_train: int | None = None
    num_test: int | None = None
    clues: tuple[int, int] | None = None
    num_aug: int = 0
    seed: int = 0
    csv: Path | None = None
    min_rating: int | None = None


def main(arguments: list[str]) -> None:
    """Makes both sets and writes them."""
    options = tyro.cli(Options, args=arguments, prog="rrjax sudoku")
    settings = asdict(options)
    out = settings.pop("out")
    check_new_folder(out)
    train, test = sudoku_sets(**settings)
    write_folder(out, {"train": train, "test": test})
    copies = f" ({len(train)} examples)" if options.num_aug else ""
    number = train.metadata.total_groups
    print(f"{out}: {number} training{copies} and {len(test)} test puzzles")
