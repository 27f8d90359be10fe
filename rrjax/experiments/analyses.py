"""A finished spectrum from every side: who settled, early signs, and what difficulty explains."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rrjax.analysis.spectra import Analysis, RankedRuns, usable
from rrjax.analysis.spectra import analyse as analyse_runs
from rrjax.experiments.shown import Figures, Summary
from rrjax.experiments.spectra import updates_per_row
from rrjax.plots import spectra as plots
from rrjax.plots.canvas import Draw
from rrjax.puzzles.difficulty import difficulty
from rrjax.reports import spectra as report
from rrjax.results.results import Results
from rrjax.store import check_claim, describe_run, write_json

FILE = "analysis.json"

_NO_DIFFICULTY = "There are no bins of difficulty, which is known of Sudokus and mazes only."


@dataclass(frozen=True, repr=False)
class AnalysedSpectrum:
    """A spectrum with its analysis.

    Attributes:
      results: The spectrum.
      runs: The runs that can be ranked.
      analysis: All numbers.
      notes: What could not be analysed.
    """

    results: Results
    runs: RankedRuns
    analysis: Analysis
    notes: list[str]

    def summary(self) -> Summary:
        """Returns the numbers and their tables; prints as these."""
        *front, last = report.tables(self.analysis)
        return Summary(self.analysis, [*front, last._replace(notes=[*last.notes, *self.notes])])

    def plot(self) -> Figures:
        """Returns the figures by name.

        Raises:
          ModuleNotFoundError: matplotlib is missing; the message says how to install it.
        """
        return Figures({name: draw() for name, draw in self.draws().items()})

    def draws(self) -> Mapping[str, Draw]:
        """Returns by name functions that draw the figures."""
        return plots.figures(self.runs, self.analysis)

    def __repr__(self) -> str:
        return f"AnalysedSpectrum(of {self.results!r}; summary() and plot() show it)"

    def as_record(self) -> dict[str, Any]:
        """Returns all numbers, and of which result they are, for a JSON file."""
        return {
            "results_sha256": self.results.record.get("sha256"),
            "model": self.results.record["model"]["name"],
            "not_analysed": self.notes,
            "analysis": asdict(self.analysis),
        }


def analyse(results: Results) -> AnalysedSpectrum:
    """Returns who settled, early signs of the outcome, and what drift and difficulty explain.

    Args:
      results: What `spectrum` returned.

    Raises:
      ValueError: The results are no spectrum, no run can be ranked, or all have one outcome.

    Example:
      >>> run = rrjax.load_results("runs/made-up")  # a finished spectrum
      >>> analysed = rrjax.experiments.analyse(run)
      >>> type(analysed.summary()).__name__, len(analysed.plot()) > 0
      ('Summary', True)
    """
    where = results.path or "these results"
    if results.record["experiment"] != "spectrum":
        raise ValueError(
            f"{where} holds results of rrjax {results.record['experiment']}; an analysis needs "
            "those of rrjax spectrum"
        )
    measured = difficulty(results["inputs"], results.record["puzzles"].get("vocab_size", 0))
    try:
        runs = usable(results, results.answer_drift, measured.numbers, updates_per_row(results))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    notes = measured.notes if measured.numbers else [_NO_DIFFICULTY]
    return AnalysedSpectrum(results, runs, analyse_runs(runs), notes)


def check_folder(folder: Path, runs: Mapping[str, Results]) -> None:
    """Refuses a folder that holds anything but an analysis of the same spectra.

    Raises:
      ValueError: The folder holds something else; the message says what differs.
    """
    check_claim(folder, FILE, _identity(runs))


def save_analyses(folder: Path, runs: dict[str, AnalysedSpectrum]) -> None:
    """Writes `analysis.json` with the numbers of these runs, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "identity": _identity({name: run.results for name, run in runs.items()}),
        "experiment": "analyse",
        "unit": "nats per update",
        "runs": {name: run.as_record() for name, run in runs.items()},
        "made_by": describe_run(),
    }
    write_json(folder / FILE, record)


def _identity(runs: Mapping[str, Results]) -> dict[str, Any]:
    """Returns what an analysis is of: the digest of each spectrum."""
    return {
        "job": "analyse",
        "runs": {name: run.record.get("sha256") for name, run in runs.items()},
    }
