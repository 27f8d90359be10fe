"""`rrjax runs`: best and final accuracy of trainings, over their seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.analysis import format as words
from rrjax.analysis.table import Table
from rrjax.reports.terminal import print_table
from rrjax.training.history import Group, OverRuns, aggregate_runs


@dataclass(frozen=True)
class Options:
    """A table of all runs of `rrjax train` in a folder and below it.

    Attributes:
      folder: with the run folders.
      by: what makes a row: keys of `identity` in config.json, such as `config.arch.name` or
        `recipe.augmentation.objective`; without it all runs together.
      metric: a test metric, such as exact_accuracy@sigma=0.5.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    by: tuple[str, ...] = ()
    metric: str = "exact_accuracy"


def main(arguments: list[str]) -> None:
    """Read the runs, print the table."""
    options = tyro.cli(Options, args=arguments, prog="rrjax runs")
    groups = aggregate_runs(options.folder, options.by, options.metric)
    print_table(_table(options, groups))


def _table(options: Options, groups: list[Group]) -> Table:
    heads = ["runs"]
    for word in ("best", "final"):
        heads += [f"{word}, mean\n(95 % interval)", f"{word},\nmedian"]
    rows = [
        (*map(str, group.by.values()), str(group.num_runs), *_cells(group.best, group.final))
        for group in groups
    ]
    return Table(
        headline=f"{options.metric} on the test set, over runs",
        headers=(*options.by, *heads),
        rows=rows,
        notes=_notes(groups),
    )


def _cells(*estimates: OverRuns) -> list[str]:
    return [text for one in estimates for text in (words.interval(one.mean), f"{one.median:.3f}")]


def _notes(groups: list[Group]) -> list[str]:
    notes = ["Intervals: Student's t over runs; best: highest of a run's evaluations."]
    for group in groups:
        name = ", ".join(map(str, group.by.values())) or "the runs"
        if group.num_runs == 1:
            notes.append(f"{name}: one run, whose interval is not known.")
        if group.num_unfinished:
            notes.append(f"{name}: {group.num_unfinished} of {group.num_runs} are not finished.")
        if group.varying:
            notes.append(f"{name}: the runs differ in more than the seed: {_few(group.varying)}.")
    return notes


def _few(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + rest
