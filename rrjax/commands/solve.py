"""`rrjax solve`: a model on one's own puzzle."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.commands.parsing import parse_command_line
from rrjax.store.reading import read_text as read_file

_LARGEST_PUZZLE = 2**20
"""Bytes of the largest file with a puzzle; a maze of 30 x 30 cells has a thousand."""


@dataclass(frozen=True)
class Options:
    """Solves one's own Sudoku or maze with a model, and says how far to trust the answer.

    Attributes:
      model: a bundled name, a model folder, or hf://user/repo/sub/folder.
      puzzle: the puzzle as text, a file with it, or - for standard input. Of a Sudoku these are the
        cells row by row, a dot or 0 for a blank; of a maze the rows of "# SG", a dot for a free
        cell too.
      num_segments: number of segments of each run.
      restarts: number of further starts, perturbed by noise, whose answers are voted on too.
      sigma: size of that noise, relative to the spread of the model's initial vector.
      symmetries: number of symmetric copies of the puzzle that are run and voted on, the puzzle
        itself among them: relabelled digits, moved rows, columns and boxes, transposed; of a maze
        at most the 8 of the square.
      seed: seed of the noise and of the copies.
    """

    model: Annotated[str, tyro.conf.Positional]
    puzzle: Annotated[str, tyro.conf.Positional]
    num_segments: int = 16
    restarts: int = 0
    sigma: float = 0.3
    symmetries: int = 1
    seed: int = 0


def parse(arguments: list[str]) -> Options:
    """Returns the options on a command line."""
    return parse_command_line(Options, arguments, "rrjax solve")


def main(arguments: list[str]) -> None:
    """Reads the puzzle, runs the model, and prints the answer."""
    options = parse(arguments)
    from rrjax.experiments.solving import solve
    from rrjax.jobs.devices import use_cpu_devices
    from rrjax.models import load_model

    use_cpu_devices()
    solved = solve(
        load_model(options.model),
        read_text(options.puzzle),
        num_segments=options.num_segments,
        restarts=options.restarts,
        sigma=options.sigma,
        symmetries=options.symmetries,
        seed=options.seed,
    )
    print(solved)


def read_text(source: str) -> str:
    """Returns the text of a puzzle: from standard input for `-`, from a file, or as it is.

    Raises:
      ValueError: The file is no text.
    """
    if source == "-":
        return sys.stdin.read()
    try:
        is_file = Path(source).is_file()
    except OSError:  # a maze is longer than the names of files may be
        is_file = False
    if not is_file:
        return source
    return read_file(source, _LARGEST_PUZZLE)
