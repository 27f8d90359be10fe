"""`rrjax analyse`: statistics and figures of spectra that are there already."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from rrjax.analysis.spectra import Analysis, RankedRuns, analyse, usable
from rrjax.puzzles import from_tokens, solve_sudoku
from rrjax.puzzles.sudoku import size_of
from rrjax.reports.spectra import comparison, tables
from rrjax.reports.terminal import print_table
from rrjax.results.axes import answer_drift
from rrjax.results.results import Results, load_results
from rrjax.store import describe_run, write_json

NEEDED = ("exponents", "log_growth", "solved", "finite")
_LARGEST_SEARCHED = 9
"""Sudokus whose search ends soon; that of 16 × 16 can take hours."""


@dataclass(frozen=True)
class Options:
    """What finished spectra say: who settled, early signs, and what drift and difficulty explain.

    Attributes:
      runs: folders (or results.npz files) that `rrjax spectrum` wrote.
      out: folder for figures and analysis.json; without it each run's own. Of several runs each
        gets a folder of its name in it.
      seed: of the bootstraps.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path | None = None
    seed: int = 0


def main(arguments: list[str]) -> None:
    """Parse, load, print the tables, write numbers and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax analyse")
    if not options.runs:
        raise ValueError("no run to analyse: give the folders that rrjax spectrum wrote")
    if options.seed < 0:
        raise ValueError(f"seed must be at least 0, got {options.seed}")
    loaded = {name: load_results(path) for name, path in _named(options.runs)}
    gathered = {name: gather(results) for name, results in loaded.items()}
    found = {}
    for name, results in loaded.items():
        found[name] = analyse(gathered[name], options.seed)
        for table in tables(found[name]):
            print_table(table)
        for note in missing(results):
            print(f"{name}: {note}")
        folder = _folder(options, name, results)
        _save(folder, {name: results}, {name: found[name]})
        _draw(folder, gathered[name], found[name])
    if len(found) > 1:
        print_table(comparison(found))
        if options.out:
            _save(options.out, loaded, found)


def gather(results: Results) -> RankedRuns:
    """What is analysed of one run.

    Raises:
      ValueError: if it is no spectrum, no run can be ranked, or all have one outcome.
    """
    absent = [name for name in (*NEEDED, answer_drift(results)) if name not in results]
    if absent:
        raise ValueError(
            f"{results.path} holds results of {results.command} without {', '.join(absent)}: rrjax "
            "analyse needs those of rrjax spectrum"
        )
    try:
        return usable(results, answer_drift(results), difficulty(results))
    except ValueError as error:
        raise ValueError(f"{results.path}: {error}") from error


def difficulty(results: Results) -> dict[str, np.ndarray]:
    """By name (N,) numbers of each Sudoku, larger is not always harder; empty for other puzzles."""
    size = _size(results)
    if size is None:
        return {}
    boards = from_tokens(results["inputs"].astype(np.int32))
    known = {"givens": (boards > 0).sum(axis=1)}
    if size > _LARGEST_SEARCHED:
        return known
    return known | {"solver guesses": np.array([solve_sudoku(board).guesses for board in boards])}


def missing(results: Results) -> Iterator[str]:
    """What could not be analysed, and what to do."""
    again = "run rrjax spectrum again, into a new --out"
    if "solved_by_segment" not in results:
        yield f"no early windows: it does not say after which segments a run was right; {again}"
    if "inputs" not in results:
        yield f"no bins of difficulty: the puzzles are not in it; {again}"
    elif _size(results) is None:
        yield "no bins of difficulty, which is known of Sudokus only"


def _size(results: Results) -> int | None:
    if "inputs" not in results:
        return None
    vocab_size = results.record.get("puzzles", {}).get("vocab_size")
    return None if vocab_size is None else size_of(results["inputs"].shape[1], vocab_size)


def _named(runs: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Each run with the name of its folder, which tells them apart."""
    taken: dict[str, Path] = {}
    for path in runs:
        folder = (path if path.is_dir() else path.parent).resolve()
        name = folder.name
        if name in taken:
            raise ValueError(
                f"{taken[name]} and {path} have one name, {name}: rename a folder, or leave one out"
            )
        taken[name] = path
        yield name, path


def _folder(options: Options, name: str, results: Results) -> Path:
    if options.out is None:
        return results.path.parent
    return options.out / name if len(options.runs) > 1 else options.out


def _save(folder: Path, loaded: Mapping[str, Results], found: Mapping[str, Analysis]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "command": "analyse",
        "unit": "nats per update",
        "runs": {
            name: {
                "results_sha256": results.record["sha256"],
                "model": results.record.get("model", {}).get("name"),
                "not_analysed": list(missing(results)),
                "analysis": _plain(found[name]),
            }
            for name, results in loaded.items()
        },
        "made_by": describe_run(),
    }
    write_json(folder / "analysis.json", record)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts by their fields."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _draw(folder: Path, runs: RankedRuns, found: Analysis) -> None:
    from rrjax.plots.canvas import save_figure
    from rrjax.plots.spectra import figures

    try:
        for name, figure in figures(runs, found):
            save_figure(figure, folder / f"{name}.png")
    except ModuleNotFoundError as error:
        print(f"no figures: {error}; the numbers are in {folder}/analysis.json", file=sys.stderr)
        return
    print(f"numbers and figures are in {folder}")
