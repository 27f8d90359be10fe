"""Measures what decides whether a puzzle is solved: the puzzle, the start or its relabelling.

Every puzzle runs in R symmetric copies, each from the same S perturbed starts. The variance of the
outcome is split over puzzles, starts and relabellings with intervals over puzzles, for each size of
the noise. The ceiling is the share of puzzles that some run solves, and what a beta-binomial law
of the runs extrapolates to; other studies report 98.5 % (from one study's own numbers, arXiv
2601.19085) and 99.06 % (pass@K of another, arXiv 2605.19943), on other models and puzzles. Prints a
table for each σ and writes `what_decides.json`; a killed study goes on.

Usage: python -m scripts.studies.what_decides MODEL [--num-puzzles 64] [--sigmas 0.3 1]
"""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from rrjax import load_model, puzzles
from rrjax.analysis import format as words
from rrjax.analysis.intervals import mean_interval
from rrjax.analysis.selection import fraction_of_puzzles
from rrjax.analysis.table import Table
from rrjax.analysis.variance import fit_beta_binomial, variance_shares
from rrjax.checks import check_count, check_number, refuse
from rrjax.experiments import basin
from rrjax.puzzles.symmetric_copies import symmetric_copies
from rrjax.reports.terminal import print_table
from rrjax.store import describe_run, write_json

MANY = 64
"""Number of runs that the ceiling is extrapolated to."""


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      model: A bundled name or a model folder.
      puzzles: The puzzles, as `rrjax spectrum --puzzles` takes them; without it the model's own.
      num_puzzles: The number of puzzles.
      sigmas: Sizes of the starts' noise, relative to the spread of the model's initial vector.
      num_starts: The number S of perturbed starts.
      num_copies: The number R of symmetric copies, including the puzzle itself.
      num_segments: The number of segments of each run.
      out: The folder for the runs and the table; without it runs/what-decides-MODEL.
    """

    model: Annotated[str, tyro.conf.Positional]
    puzzles: Path | None = None
    num_puzzles: int = 64
    sigmas: tuple[float, ...] = (0.3, 1.0)
    num_starts: int = 4
    num_copies: int = 4
    num_segments: int = 16
    out: Path | None = None


def check(options: Options) -> None:
    """Refuses, before anything runs, what leaves no variance to be split."""
    check_count("num_puzzles", options.num_puzzles, least=3)
    check_count("num_starts", options.num_starts, least=2)
    check_count("num_copies", options.num_copies, least=2)
    if not options.sigmas or len(set(options.sigmas)) < len(options.sigmas):
        refuse("sigmas", "be different numbers", options.sigmas or "none")
    for sigma in options.sigmas:
        check_number("sigmas", sigma, above=0)


def outcomes(options: Options, folder: Path) -> dict[float, np.ndarray]:
    """Returns by σ which runs are right at the end, booleans (puzzles, starts, copies)."""
    model = load_model(options.model)
    chosen = puzzles.read(options.puzzles) if options.puzzles else model.test_puzzles()
    number = options.num_copies
    copies = symmetric_copies(chosen[: options.num_puzzles], number)
    # the noise of a run depends on its puzzle's place in the list: one list for each copy, so that
    # all copies of a puzzle have the same starts
    runs = [
        basin(
            model,
            copies.puzzles[copy::number],
            sigmas=options.sigmas,
            num_restarts=options.num_starts,
            num_segments=options.num_segments,
            folder=folder / f"copy_{copy}",
        )
        for copy in range(number)
    ]
    at_end = np.stack([run.solved[:, :, -1] for run in runs], axis=2)
    return {size: at_end[:, runs[0].sigma == size] for size in options.sigmas}


def table(by_sigma: dict[float, np.ndarray]) -> Table:
    """Returns the shares of the variance, and what many runs would solve."""
    shares = [variance_shares(solved) for solved in by_sigma.values()]
    factors = {
        "the puzzle": [one.puzzle for one in shares],
        "the start, given the puzzle": [one.start for one in shares],
        "the relabelling, given the puzzle": [one.relabelling for one in shares],
        "start and relabelling together": [one.interaction for one in shares],
        "solved by one run": [
            mean_interval(solved.mean(axis=(1, 2))) for solved in by_sigma.values()
        ],
        "solved by some run": [
            fraction_of_puzzles(solved.any(axis=(1, 2))) for solved in by_sigma.values()
        ],
    }
    rows = [(name, *(words.interval(s, ".2f") for s in each)) for name, each in factors.items()]
    ceilings = map(ceiling, by_sigma.values())
    rows.append((f"by some of {MANY}, extrapolated", *(f"{share:.3f}" for share in ceilings)))
    number, starts, copies = next(iter(by_sigma.values())).shape
    headers = ("share of the variance by", *(f"σ = {sigma:g}" for sigma in by_sigma))
    headline = f"{number} puzzles × {starts} starts × {copies} copies"
    notes = ["95 % intervals over puzzles (jackknife for the shares of the variance)."]
    return Table(headline, headers, rows, notes)


def ceiling(solved: np.ndarray) -> float:
    """Returns the share of puzzles that some of `MANY` runs solve, by a beta-binomial law.

    It takes starts and copies as runs alike; NaN where all runs or no run are right.
    """
    flat = solved.reshape(len(solved), -1)
    return fit_beta_binomial(flat).pass_at(MANY) if 0 < flat.sum() < flat.size else np.nan


def main(options: Options) -> None:
    """Runs the study, prints the table and writes the numbers."""
    folder = options.out or Path("runs") / f"what-decides-{Path(options.model).name}"
    try:
        check(options)
        by_sigma = outcomes(options, folder)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    numbers = {}
    for sigma, solved in by_sigma.items():
        print_table(table({sigma: solved}))
        some, share = fraction_of_puzzles(solved.any(axis=(1, 2))), ceiling(solved)
        numbers[f"{sigma:g}"] = {
            "shares": asdict(variance_shares(solved)),
            "solved": asdict(some),
            f"pass_at_{MANY}": None if np.isnan(share) else share,
        }
    write_json(folder / "what_decides.json", {"by_sigma": numbers, "made_by": describe_run()})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
