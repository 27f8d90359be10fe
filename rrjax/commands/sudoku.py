"""`rrjax sudoku`: a data set of Sudokus in the official folder format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from rrjax.puzzles import (
    Listing,
    Puzzles,
    PuzzleSet,
    build,
    distinct,
    fill_solutions,
    generate,
    random_rows,
    read_csv,
    take,
    write_folder,
)
from rrjax.store import check_new_folder

_NUM_TRAIN, _NUM_TEST = 1000, 512


@dataclass(frozen=True)
class Options:
    """Make a data set of Sudokus with exactly one solution, or one of Sudoku-Extreme's CSV files.

    Attributes:
      out: folder to write; must be new or empty.
      size: side of the board.
      num_train: training puzzles; without it 1000, or all of a CSV.
      num_test: test puzzles, no board of which is a training puzzle's; without it 512, or all of
        a CSV.
      clues: fewest and most clues; without it puzzles are minimal.
      num_aug: random symmetric copies of each training puzzle, in one group with it.
      seed: the same seed gives the same bytes.
      csv: folder with train.csv and test.csv of sudoku-extreme, taken instead; of more puzzles
        than are wanted a random choice stays. Size and clues are then theirs; answers must be
        solutions, which nobody checks to be the only ones, nor test boards to be new.
      min_rating: take from a CSV only puzzles of at least this rating.
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
    """Parse, generate or read, write."""
    options = tyro.cli(Options, args=arguments, prog="rrjax sudoku")
    check_new_folder(options.out)
    train, test = make_sets(options)
    write_folder(options.out, {"train": train, "test": test})
    copies = f" ({len(train)} examples)" if options.num_aug else ""
    number = train.metadata.total_groups
    print(f"{options.out}: {number} training{copies} and {len(test)} test puzzles")


def make_sets(options: Options) -> tuple[PuzzleSet, PuzzleSet]:
    """Training set with its copies, and test set."""
    for name in ("num_aug", "seed"):
        if getattr(options, name) < 0:
            raise ValueError(f"{name}: expected at least 0, found {getattr(options, name)}")
    train, test = _read(options, options.csv) if options.csv else _generate(options)
    copies = build(train, options.num_aug, options.seed, source="train")
    return copies, build(test, source="test")


def _generate(options: Options) -> tuple[Puzzles, Puzzles]:
    if options.min_rating is not None:
        raise ValueError(
            f"min_rating: expected the rating of a CSV's puzzles, found {options.min_rating} "
            "without a csv; clues says how hard generated puzzles are"
        )
    number = _NUM_TRAIN if options.num_train is None else options.num_train
    train = generate(options.size, number, options.seed, options.clues)
    return train, _fresh(options, train)


def _fresh(options: Options, train: Puzzles) -> Puzzles:
    """Test puzzles, numbered after the training puzzles.

    Repeats within them, or of a training puzzle, are made anew a few times.
    """
    wanted = _NUM_TEST if options.num_test is None else options.num_test
    fresh, first = Puzzles(train.boards[:0], train.solutions[:0]), len(train.boards)
    for _ in range(10):
        missing = wanted - len(fresh.boards)
        more = generate(options.size, missing, options.seed, options.clues, first=first)
        first += missing
        joined = Puzzles(*map(np.concatenate, zip(fresh, more, strict=True)))
        keep = distinct(joined.boards, train.boards)
        fresh = Puzzles(joined.boards[keep], joined.solutions[keep])
        if len(fresh.boards) == wanted:
            return fresh
    raise ValueError(
        f"could not make {wanted} test puzzles that differ from the {len(train.boards)} training "
        "puzzles; ask for fewer, or for a larger board"
    )


def _read(options: Options, folder: Path) -> tuple[Puzzles, Puzzles]:
    if options.clues is not None:
        raise ValueError(
            f"clues: expected none with a csv, whose puzzles have theirs, found {options.clues}; "
            "min_rating chooses among them"
        )
    # the test set first: it is the smaller one, and each is checked whole
    test, train = (
        _chosen(folder / f"{split}.csv", options, number, f"num_{split}")
        for split, number in (("test", options.num_test), ("train", options.num_train))
    )
    if train.boards.shape[1] != test.boards.shape[1]:
        raise ValueError(
            f"{folder}: expected Sudokus of one size, found {train.boards.shape[1]} cells in "
            f"train.csv and {test.boards.shape[1]} in test.csv"
        )
    return fill_solutions(train), fill_solutions(test)


def _chosen(path: Path, options: Options, number: int | None, name: str) -> Listing:
    """A file's puzzles of the rating wanted, or so many of them at random."""
    listing = read_csv(path, options.min_rating)
    seed = options.seed, ("num_train", "num_test").index(name)
    return take(listing, random_rows(len(listing.lines), number, seed, name))
