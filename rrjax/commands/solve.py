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
    """Solves your own Sudoku or maze with a model, and says how far to trust the answer.

    Attributes:
      model: A bundled name, a model folder, or hf://user/repo/sub/folder.
      puzzle: The puzzle as text, a file that holds it, or - for standard input. A Sudoku is given
        by its cells row by row, with a dot or 0 for a blank. A maze is given by its rows of "# SG",
        where a dot stands for a free cell, too.
      num_segments: Number of segments of each run.
      restarts: Number of further runs, from perturbed starts, whose answers vote too.
      sigma: Size of the noise of these starts, relative to the spread of the model's initial
        vector.
      symmetries: Number of symmetric copies of the puzzle that run and vote, including the puzzle
        itself. A copy of a Sudoku has relabelled digits and moved rows, columns and boxes, and may
        be transposed. A maze has at most the 8 copies of the square.
      seed: Seed of the noise and of the copies.
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
