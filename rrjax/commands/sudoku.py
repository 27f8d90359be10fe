"""`rrjax sudoku`: a data set of Sudokus in the official folder format."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rrjax.commands.parsing import parse_command_line
from rrjax.jobs.progress import progress
from rrjax.puzzles import PuzzleSet, build_sudokus
from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.puzzles.sudoku_list import Unsuitable, choose_from_list
from rrjax.puzzles.text_files import read_sudokus
from rrjax.store import check_new_folder


@dataclass(frozen=True)
class Options:
    """Make a data set of Sudokus: of new ones with one solution, of a list, or of CSV files.

    Attributes:
      out: folder to write; it must be new or empty.
      size: side of the board.
      num_train: number of training puzzles. The default is 1000 (of size 4: 200), all of a CSV, or
        all puzzles of a list that are not test puzzles.
      num_test: number of test puzzles. The default is 512 (of size 4: 64), all of a CSV, or a tenth
        of a list. No board of a test puzzle is that of a training puzzle, unless they come from a
        CSV.
      clues: fewest and most clues. By default no clue can be removed from a puzzle.
      num_aug: random symmetric copies of each training puzzle, in one group with it.
      seed: the same seed gives the same bytes.
      list: file with one puzzle a line, or one CSV, whose puzzles are taken instead. A dot or 0 is
        a blank; comments, and columns after the puzzle, are not read. If it has more puzzles than
        are wanted, a random choice is taken. Each is solved, and repeated boards are left out.
      unsuitable: what becomes of puzzles of a list with several or no solutions: they are
        refused, or skipped and counted.
      csv: folder with train.csv and test.csv, as sudoku-extreme has them or with a header of
        Kaggle's (quizzes,solutions), whose puzzles are taken instead. If it has more than are
        wanted, a random choice is taken. Size and clues are then those of the files. Solutions are
        checked, but not that they are the only ones, and not that the test boards are new.
      min_rating: least rating of the puzzles that are taken from a CSV.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: Literal[4, 6, 9, 16] = 9
    num_train: int | None = None
    num_test: int | None = None
    clues: tuple[int, int] | None = None
    num_aug: int = 0
    seed: int = 0
    list: Path | None = None
    unsuitable: Unsuitable = "refuse"
    csv: Path | None = None
    min_rating: int | None = None


def main(arguments: list[str]) -> None:
    """Makes both sets and writes them."""
    options = parse_command_line(Options, arguments, "rrjax sudoku")
    check_new_folder(options.out)
    if options.list is not None:
        train, test = _sets_of_list(options.list, options)
    elif options.unsuitable != "refuse":
        raise ValueError("--unsuitable concerns the puzzles of a list; give --list FILE as well")
    else:
        settings = asdict(options)
        for name in ("out", "list", "unsuitable"):
            del settings[name]
        train, test = sudoku_sets(**settings)
    write_folder(options.out, {"train": train, "test": test})
    copies = f" ({len(train)} examples)" if options.num_aug else ""
    number = train.metadata.total_groups
    print(f"{options.out}: {number} training{copies} and {len(test)} test puzzles")


def _sets_of_list(path: Path, options: Options) -> tuple[PuzzleSet, PuzzleSet]:
    for name in ("csv", "clues", "min_rating"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} cannot be given with --list")
    listing = read_sudokus(path)
    numbers = options.num_train, options.num_test
    total = len(listing.lines) if options.num_train is None else sum(n or 0 for n in numbers)
    with progress("sudokus", total) as bar:
        choice = choose_from_list(
            listing,
            *numbers,
            seed=options.seed,
            unsuitable=options.unsuitable,
            report=lambda done: bar.report(done, {}),
        )
    for reason, number in sorted(choice.left_out.items()):
        print(f"rrjax: left out {number} puzzle{'s' * (number > 1)} with {reason}", file=sys.stderr)
    train = build_sudokus(choice.train, options.num_aug, options.seed, source="train")
    return train, build_sudokus(choice.test, source="test")
