"""`rrjax sudoku`: a data set of Sudokus in the official folder format."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from rrjax.checks import MOST_CPU_DEVICES, check_count
from rrjax.commands.parsing import parse_command_line
from rrjax.jobs.progress import progress
from rrjax.jobs.sweep import Sweep
from rrjax.jobs.workers import num_cores, run_with_workers
from rrjax.puzzles import PuzzleSet, build_sudokus
from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.sudoku import Puzzles
from rrjax.puzzles.sudoku_build import Make, sudoku_sets
from rrjax.puzzles.sudoku_generate import Kind
from rrjax.puzzles.sudoku_list import Unsuitable, choose_from_list
from rrjax.puzzles.sudoku_mix import SudokuRequest, by_kinds, generate_mixed, word_of
from rrjax.puzzles.text_files import read_sudokus
from rrjax.store import check_new_folder, claim_folder, hold_folder, version

_AT_ONCE = {4: 256, 6: 256, 9: 128, 16: 4}
"""Puzzles of a size that a process makes before it stores them and reports, in seconds mostly."""

_MANY_GUESSES = 30
_HARD_AT_ONCE = 32
"""The same for puzzles of more than 30 guesses: 32 of at least 100 take six minutes. Fewer would
make each puzzle dearer."""


@dataclass(frozen=True)
class Options:
    """Makes a data set of Sudokus: new ones with one solution, or those of a list or of CSV files.

    New puzzles are stored in OUT.pieces as they are made. If the command is cut off, the same
    command goes on from there to the same bytes.

    Attributes:
      out: Folder to write, which must be new or empty.
      size: Number of cells along a side of the board.
      num_train: Number of training puzzles. The default is 1000 (for size 4: 200), all puzzles of a
        CSV, or all puzzles of a list that are not test puzzles.
      num_test: Number of test puzzles. The default is 512 (of size 4: 64), all of a CSV, or a tenth
        of a list. No board of a test puzzle is that of a training puzzle, unless they come from a
        CSV.
      clues: Fewest and most clues. By default no clue of a puzzle can be removed.
      min_guesses: Least number of values that the solver must try where singles decide nothing, at
        most 200. No clue of such a puzzle can be removed. The time for a puzzle grows with this
        number: 100 takes nearly forty times as long as 30.
      mix: Kinds of puzzles with their shares, such as minimal=2 clues:24-40=1 guesses:30=1. The
        word hard stands for a mixture to train on, and graded for that of the hard test set.
      num_aug: Number of random symmetric copies of each training puzzle, which form one group with
        it.
      seed: Seed of all random choices. The same seed gives the same bytes.
      workers: Number of processes; without it one for each core. It does not change any byte.
      list: File with one puzzle a line, or one CSV, whose puzzles are taken instead. A dot or 0 is
        a blank; comments, and columns after the puzzle, are not read. If the file has more puzzles
        than are wanted, a random choice is taken. Each puzzle is solved, and repeated boards are
        left out.
      unsuitable: What happens to puzzles of a list with several or no solutions: the list is
        refused, or they are skipped and counted.
      csv: Folder with train.csv and test.csv, as Sudoku-Extreme has them or with Kaggle's header
        (quizzes,solutions), whose puzzles are taken instead. If the files have more puzzles than
        are wanted, a random choice is taken. Size and clues are then those of the files. The
        solutions are checked. Whether a puzzle has others, and whether the test boards are new, is
        not checked.
      min_rating: Least rating of the puzzles that are taken from a CSV.
    """

    out: Annotated[Path, tyro.conf.Positional]
    size: Literal[4, 6, 9, 16] = 9
    num_train: int | None = None
    num_test: int | None = None
    clues: tuple[int, int] | None = None
    min_guesses: int = 0
    mix: tuple[str, ...] = ()
    num_aug: int = 0
    seed: int = 0
    workers: int | None = None
    list: Path | None = None
    unsuitable: Unsuitable = "refuse"
    csv: Path | None = None
    min_rating: int | None = None


def main(arguments: list[str]) -> None:
    """Makes both sets and writes them."""
    options = parse_command_line(Options, arguments, "rrjax sudoku")
    check_new_folder(options.out)
    check_count("workers", options.workers, least=1, most=MOST_CPU_DEVICES)
    if options.list is not None:
        train, test = _sets_of_list(options.list, options)
        write_folder(options.out, {"train": train, "test": test})
    elif options.unsuitable != "refuse":
        raise ValueError("--unsuitable concerns the puzzles of a list; give --list FILE as well")
    else:
        settings = asdict(options)
        for name in ("out", "list", "unsuitable", "workers"):
            del settings[name]
        pieces = _pieces(options.out, settings, options.workers or num_cores())
        with pieces if options.csv is None else nullcontext(generate_mixed) as make:
            train, test = sudoku_sets(**settings, make=make)
            write_folder(options.out, {"train": train, "test": test})
    copies = f" ({len(train)} examples)" if options.num_aug else ""
    number = train.metadata.total_groups
    print(f"{options.out}: {number} training{copies} and {len(test)} test puzzles")


@contextmanager
def _pieces(out: Path, settings: dict[str, Any], workers: int) -> Iterator[Make]:
    """Yields what makes puzzles on all workers, by pieces that stay until the data set stands.

    They go where a request turns out to be impossible.
    """
    folder = out.with_name(f"{out.name}.pieces")
    claim_folder(folder, "request.json", settings, {"rrjax": version()})

    def make(request: SudokuRequest, indices: np.ndarray) -> Puzzles:
        # by kinds: a board takes its steps with many others, which makes it cheap, only while the
        # others need as many
        return by_kinds(request, indices, partial(make_kind, request))

    def make_kind(request: SudokuRequest, kind: Kind, indices: np.ndarray) -> Puzzles:
        first, number = int(indices[0]), len(indices)
        is_hard = kind.min_guesses > _MANY_GUESSES
        at_once = _HARD_AT_ONCE if is_hard else _AT_ONCE[request.size]
        identity = {"first": first, **request._asdict()}  # the first index tells the kind
        sweep = Sweep(folder / f"from_{first}", number, at_once, identity)
        with progress(f"sudokus {word_of(kind)}", number) as bar:
            piece = partial(_piece, request, indices)
            arrays = run_with_workers(sweep, piece, bar.report, workers)
        return Puzzles(*(arrays[name] for name in Puzzles._fields))

    with hold_folder(folder, "filled"):
        try:
            yield make
        except ValueError:
            shutil.rmtree(folder)
            raise
    shutil.rmtree(folder)


def _piece(
    request: SudokuRequest, indices: np.ndarray, places: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the puzzles of the indices in some places."""
    puzzles = generate_mixed(request, indices[places])._asdict()
    return {name: boards.astype(np.uint8) for name, boards in puzzles.items()}


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
            report=bar.report,
        )
    for reason, number in sorted(choice.left_out.items()):
        print(f"rrjax: left out {number} puzzle{'s' * (number > 1)} with {reason}", file=sys.stderr)
    train = build_sudokus(choice.train, options.num_aug, options.seed, source="train")
    return train, build_sudokus(choice.test, source="test")
