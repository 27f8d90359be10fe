"""`rrjax maze`: a data set of mazes in the official folder format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rrjax.commands.parsing import parse_command_line
from rrjax.jobs.progress import progress
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.maze import is_shortest_path
from rrjax.puzzles.maze_build import NUM_MAZES, maze_sets
from rrjax.puzzles.maze_generate import MazeRequest
from rrjax.store import check_new_folder


@dataclass(frozen=True)
class Options:
    """Makes a data set of mazes with long shortest paths, or one of the official CSV files.

    Attributes:
      out: Folder to write, which must be new or empty.
      size: Number of cells along a side of the maze, at least 5.
      min_path: Least number of moves from S to G; without it 110, or 2.5 times the side if that is
        below 30. Much more than 3.6 times the side is rare. Of several numbers the mazes take one
        each in turn, so that a set has short and long paths.
      walls: Least and greatest fraction of walls.
      unique: Makes only mazes with a single shortest path. Most have several otherwise, and no
        model can know which of them the answer marks.
      num_train: Number of training mazes. The default is 1000, or all of a CSV.
      num_test: Number of test mazes, with the same default. No generated test maze is a training
        maze or a mirror image of one.
      augment: With 8, the images of every training maze under the symmetries of the square are
        added.
      seed: Seed of all random choices. The same seed gives the same bytes.
      csv: Folder with train.csv and test.csv of maze-30x30-hard-1k, whose mazes are taken instead.
        If the files have more mazes than are wanted, a random choice is taken. Size, min_path,
        walls and unique are then those of the files.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: int = 30
    min_path: tuple[int, ...] | None = None
    walls: tuple[float, float] = (0.3, 0.5)
    unique: bool = False
    num_train: int | None = None
    num_test: int | None = None
    augment: Literal[1, 8] = 1
    seed: int = 0
    csv: Path | None = None


def main(arguments: list[str]) -> None:
    """Makes both sets and writes them."""
    options = parse_command_line(Options, arguments, "rrjax maze")
    usual = 110 if options.size >= 30 else 5 * options.size // 2
    min_path = (usual,) if options.min_path is None else options.min_path
    check_new_folder(options.out)
    numbers = options.num_train, options.num_test
    total = sum(number or NUM_MAZES for number in numbers)
    with progress("mazes", total, shown=options.csv is None) as bar:
        train, test = maze_sets(
            MazeRequest(options.size, min_path, options.walls, options.unique),
            *numbers,
            num_copies=options.augment,
            seed=options.seed,
            csv=options.csv,
            report=bar.report,
        )
    write_folder(options.out, {"train": train, "test": test})
    print(f"{options.out}: {_described(train)}; {_described(test)}")


def _described(mazes: PuzzleSet) -> str:
    """Returns the size of a set and the number of its labels that are no shortest path."""
    longer = len(mazes) - int(is_shortest_path(mazes.inputs, mazes.labels).sum())
    note = f", {longer} of them labelled with no shortest path" if longer else ""
    return f"{mazes.metadata.total_groups} {mazes.source} mazes ({len(mazes)} examples{note})"
