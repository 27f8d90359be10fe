"""`rrjax maze`: a data set of mazes in the official folder format."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from rrjax.jobs.progress import Bar, progress
from rrjax.puzzles import (
    MazeRequest,
    Mazes,
    PuzzleSet,
    build_mazes,
    generate_mazes,
    is_shortest_path,
    random_rows,
    read_maze_csv,
    symmetry_class,
    write_folder,
)
from rrjax.store import check_new_folder

_OFFICIAL_NUMBER = 1000
_TRIES = 10


@dataclass(frozen=True)
class Options:
    """Make a data set of mazes with long shortest paths, or one of the official CSV files.

    Attributes:
      out: folder to write; must be new or empty.
      size: side of the maze, from 5 on.
      min_path: least number of moves from S to G; much more than 3.6 a side is rare.
      walls: least and greatest fraction of walls.
      num_train: training mazes; without it 1000, or all of a CSV.
      num_test: test mazes, none of them a training maze or its mirror image; as num_train.
      augment: 8 adds to every training maze its images under the symmetries of the square.
      seed: the same seed gives the same bytes.
      csv: folder with train.csv and test.csv of maze-30x30-hard-1k, taken instead; of more
        mazes than are wanted a random choice stays. Size, min_path and walls are then theirs.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: int = 30
    min_path: int = 110
    walls: tuple[float, float] = (0.3, 0.5)
    num_train: int | None = None
    num_test: int | None = None
    augment: Literal[1, 8] = 1
    seed: int = 0
    csv: Path | None = None


def main(arguments: list[str]) -> None:
    """Parse, generate or read, write."""
    options = tyro.cli(Options, args=arguments, prog="rrjax maze")
    check_new_folder(options.out)
    for name in ("num_train", "num_test"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ValueError(f"{name}: expected at least 1, found {number}")
    if options.seed < 0:
        raise ValueError(f"seed: expected at least 0, found {options.seed}")
    train, test = _read(options, options.csv) if options.csv else _generate(options)
    sets = {
        "train": build_mazes(train, options.augment, source="train"),
        "test": build_mazes(test, source="test"),
    }
    write_folder(options.out, sets)
    print(f"{options.out}: {_described(sets['train'])}; {_described(sets['test'])}")


def _generate(options: Options) -> tuple[Mazes, Mazes]:
    num_train = options.num_train or _OFFICIAL_NUMBER
    wanted = num_train + (options.num_test or _OFFICIAL_NUMBER)
    request = MazeRequest(options.size, options.min_path, options.walls)
    with progress("mazes", wanted) as bar:
        found = list(_distinct(generate_mazes(request, options.seed), wanted, bar))
    questions, answers = map(np.stack, zip(*found, strict=True))
    train = Mazes(questions[:num_train], answers[:num_train])
    return train, Mazes(questions[num_train:], answers[num_train:])


def _distinct(mazes: Iterator[Mazes], wanted: int, bar: Bar) -> Iterator[Mazes]:
    """The first mazes of which none is another one's image."""
    seen: set[bytes] = set()
    for _, maze in zip(range(_TRIES * wanted), mazes, strict=False):
        key = symmetry_class(maze.questions)
        if key not in seen:
            seen.add(key)
            yield maze
            bar.report(len(seen), {})
        if len(seen) == wanted:
            return
    raise ValueError(
        f"could not make {wanted} mazes that differ by more than a symmetry, only {len(seen)}; ask "
        "for fewer, or for larger mazes"
    )


def _read(options: Options, folder: Path) -> tuple[Mazes, Mazes]:
    train, test = (read_maze_csv(folder / f"{split}.csv") for split in ("train", "test"))
    if train.questions.shape[1] != test.questions.shape[1]:
        raise ValueError(
            f"{folder}: expected mazes of one size, found {train.questions.shape[1]} cells in "
            f"train.csv and {test.questions.shape[1]} in test.csv"
        )
    chosen = _choice(train, options.num_train, (options.seed, 0), "num_train")
    return chosen, _choice(test, options.num_test, (options.seed, 1), "num_test")


def _choice(mazes: Mazes, number: int | None, seed: tuple[int, int], name: str) -> Mazes:
    rows = random_rows(len(mazes.questions), number, seed, name)
    return Mazes(mazes.questions[rows], mazes.answers[rows])


def _described(mazes: PuzzleSet) -> str:
    """With the labels that are no shortest path: only those of a CSV can be."""
    longer = len(mazes) - int(is_shortest_path(mazes.inputs, mazes.labels).sum())
    note = f", {longer} of them labelled with no shortest path" if longer else ""
    return f"{mazes.metadata.total_groups} {mazes.source} mazes ({len(mazes)} examples{note})"
