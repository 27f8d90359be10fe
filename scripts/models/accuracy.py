"""Measures what models solve: the test puzzles of each and other lists, by solver guesses.

Answers are read after 16 segments. Intervals are those of 95 % over puzzles. Writes `accuracy.csv`,
which holds all of a list and each quartile of its guesses, prints the same as Markdown, and keeps a
folder for each rollout; a killed measurement goes on.

Usage: python -m scripts.models.accuracy OUT --models trm-sudoku9 hrm-sudoku9 [--lists hard-sudoku9]
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from rrjax import Results, load_model
from rrjax.analysis.intervals import Interval, fraction_interval
from rrjax.analysis.outcome import solved_by_quartile
from rrjax.experiments import rollout
from rrjax.models import Model
from rrjax.puzzles import PuzzleSet, read
from rrjax.puzzles.difficulty import GUESSES, difficulty
from rrjax.store import write_csv
from scripts.studies.markdown import print_markdown

OWN = "own"
NUM_SEGMENTS = 16
HEADERS = ("model", "puzzles", "guesses", "num_puzzles", "num_solved", "solved", "low", "high")


@dataclass(frozen=True)
class Options:
    """Settings of the measurement.

    Attributes:
      out: The folder of rollouts and table.
      models: The models, by bundled names or folders.
      lists: Further puzzles beside each model's own, as `rrjax rollout --puzzles` takes them.
    """

    out: Annotated[Path, tyro.conf.Positional]
    models: tuple[str, ...]
    lists: tuple[str, ...] = ()


class Row(NamedTuple):
    """What a model solves of some puzzles.

    Attributes:
      model: The model's name.
      puzzles: The name of the list.
      guesses: The range of solver guesses, "all" for the whole list.
      number: The number of puzzles.
      solved: The share that is solved.
    """

    model: str
    puzzles: str
    guesses: str
    number: int
    solved: Interval

    def cells(self) -> tuple[str, ...]:
        """Returns the cells of the table, as `HEADERS` names them."""
        count = round(self.solved.value * self.number)
        ends = (f"{end:.3f}" for end in self.solved.ends)
        return (self.model, self.puzzles, self.guesses, str(self.number), str(count), *ends)


def rows_of(model: str, puzzles: str, results: Results) -> list[Row]:
    """Returns the rows of one list: all of it, then the quartiles of guesses of Sudokus."""
    solved = results["solved"][:, -1]
    whole = fraction_interval(int(solved.sum()), len(solved))
    rows = [Row(model, puzzles, "all", len(solved), whole)]
    known = difficulty(results["inputs"], results.record["puzzles"]["vocab_size"]).numbers
    quartiles = solved_by_quartile(solved, known[GUESSES]) if GUESSES in known else []
    if len(quartiles) < 2:  # all are equally hard
        return rows
    return rows + [
        Row(model, puzzles, f"{each.low}–{each.high}", each.num_puzzles, each.solved)
        for each in quartiles
    ]


def asked(options: Options) -> list[tuple[Model, str, PuzzleSet]]:
    """Returns each model with each list and its name, all of them read before anything runs.

    Raises:
      ValueError: There is no such model or list, or it is damaged.
    """
    others = [(Path(puzzles).stem, read(puzzles)) for puzzles in options.lists]
    models = [load_model(name) for name in options.models]
    return [(model, *named) for model in models for named in ((OWN, model.test_puzzles()), *others)]


def measure(model: Model, name: str, puzzles: PuzzleSet, out: Path) -> list[Row]:
    """Returns what a model solves of a list; a finished rollout in the folder is not repeated."""
    folder = out / f"{model.name}-{name}"
    return rows_of(
        model.name, name, rollout(model, puzzles, num_segments=NUM_SEGMENTS, folder=folder)
    )


def main(options: Options) -> None:
    """Measures what has not been measured, then prints and writes the table."""
    try:
        rows = [row for each in asked(options) for row in measure(*each, options.out)]
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    cells = [row.cells() for row in rows]
    print()
    print_markdown(HEADERS, cells)
    write_csv(options.out / "accuracy.csv", [HEADERS, *cells])
    print(f"written: accuracy.csv in {options.out}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
