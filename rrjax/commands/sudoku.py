"""`rrjax sudoku`: a data set of Sudokus in the official folder format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from rrjax.puzzles import Puzzles, PuzzleSet, build, distinct, generate, write_folder
from rrjax.store import check_new_folder


@dataclass(frozen=True)
class Options:
    """Make a data set of Sudokus with exactly one solution.

    Attributes:
      out: folder to write; must be new or empty.
      size: side of the board.
      num_train: training puzzles.
      num_test: test puzzles, no board of which is a training puzzle's.
      clues: fewest and most clues; without it puzzles are minimal.
      seed: the same seed gives the same bytes.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: Literal[4, 6, 9, 16] = 9
    num_train: int = 1000
    num_test: int = 512
    clues: tuple[int, int] | None = None
    seed: int = 0


def main(arguments: list[str]) -> None:
    """Parse, generate, write."""
    options = tyro.cli(Options, args=arguments, prog="rrjax sudoku")
    check_new_folder(options.out)
    train, test = make_sets(options)
    write_folder(options.out, {"train": train, "test": test})
    print(f"{options.out}: {len(train)} training and {len(test)} test puzzles")


def make_sets(options: Options) -> tuple[PuzzleSet, PuzzleSet]:
    """Both sets; repeats within the test set, or of a training puzzle in it, are made anew."""
    train = generate(options.size, options.num_train, options.seed, options.clues)
    test = _fresh(options, train)
    return build(train, source="train"), build(test, source="test")


def _fresh(options: Options, train: Puzzles) -> Puzzles:
    """Test puzzles, numbered after the training puzzles; repeats are made anew a few times."""
    fresh, first = Puzzles(train.boards[:0], train.solutions[:0]), options.num_train
    for _ in range(10):
        missing = options.num_test - len(fresh.boards)
        more = generate(options.size, missing, options.seed, options.clues, first=first)
        first += missing
        joined = Puzzles(*map(np.concatenate, zip(fresh, more, strict=True)))
        keep = distinct(joined.boards, train.boards)
        fresh = Puzzles(joined.boards[keep], joined.solutions[keep])
        if len(fresh.boards) == options.num_test:
            return fresh
    raise ValueError(
        f"could not make {options.num_test} test puzzles that differ from the "
        f"{options.num_train} training puzzles; ask for fewer, or for a larger board"
    )
