"""`rrjax analyse`: statistics and figures of spectra that are there already."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.choices import Outcome
from rrjax.commands.parsing import parse_command_line


@dataclass(frozen=True)
class Options:
    """Analyses finished spectra: which runs settled, early signs, and rivals of the exponents.

    The rivals are the drift and the difficulty of the puzzles, for which the AUC is controlled.

    Attributes:
      runs: Folders (or results.npz files) that `rrjax spectrum` wrote.
      out: Folder for figures and analysis.json; without it each spectrum's own folder. Where
        several spectra are given, each gets a folder of its name in it.
      outcome: Which of the stored outcomes of mazes, or of Sudokus without labels, counts as
        solved. With auto it is the one that the spectrum was measured with.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    out: Path | None = None
    outcome: Outcome = "auto"


def parse(arguments: list[str]) -> Options:
    """Returns the options on a command line."""
    return parse_command_line(Options, arguments, "rrjax analyse")


def main(arguments: list[str]) -> None:
    """Loads the spectra, prints the tables, and writes numbers and figures."""
    options = parse(arguments)
    if not options.runs:
        raise ValueError("there is nothing to analyse: give the folders that rrjax spectrum wrote")
    named = dict(_named(options.runs))
    from rrjax.experiments.analyses import analyse, check_folder, save_analyses
    from rrjax.experiments.judging import with_outcome
    from rrjax.experiments.loading import load_results
    from rrjax.reports.spectra import comparison
    from rrjax.reports.terminal import draw_results, print_table

    loaded = {name: load_results(path) for name, path in named.items()}
    folders = {name: _folder(options, name, path) for name, path in named.items()}
    for name, folder in folders.items():
        # unlike Path.resolve, realpath takes links that lead in a circle
        if os.path.realpath(folder) != os.path.realpath(_own_folder(named[name])):
            check_folder(folder, {name: loaded[name]})
    if options.out and len(named) > 1:
        check_folder(options.out, loaded)
    judged = {name: with_outcome(results, options.outcome) for name, results in loaded.items()}
    analysed = {name: analyse(results) for name, results in judged.items()}
    for name, run in analysed.items():
        save_analyses(folders[name], {name: run})
        for table in run.summary().tables:
            print_table(table)
        draw_results(folders[name], run.draws())
    if len(analysed) > 1:
        if options.out:
            save_analyses(options.out, analysed)
        print_table(comparison({name: run.analysis for name, run in analysed.items()}))


def _folder(options: Options, name: str, path: Path) -> Path:
    if options.out is None:
        return _own_folder(path)
    return options.out / name if len(options.runs) > 1 else options.out


def _own_folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _named(runs: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Yields each run with the name of its folder, which tells the runs apart."""
    taken: dict[str, Path] = {}
    for path in runs:
        name = Path(os.path.realpath(_own_folder(path))).name
        if name in taken:
            raise ValueError(
                f"{taken[name]} and {path} have the same name, {name}: rename a folder, or leave "
                "one out"
            )
        taken[name] = path
        yield name, path
