"""`rrjax runs`: best and final accuracy of trainings, over their seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.commands.parsing import parse_command_line


@dataclass(frozen=True)
class Options:
    """Averages the training runs of a folder over their seeds, and prints a table.

    Attributes:
      folder: Folder whose training runs are read, at any depth.
      by: What distinguishes the rows: keys of `identity` in config.json, such as `config.arch.name`
        or `recipe.augmentation.objective`. Without it all training runs make one row.
      metric: A test metric, such as exact_accuracy@sigma=0.5.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    by: tuple[str, ...] = ()
    metric: str = "exact_accuracy"


def main(arguments: list[str]) -> None:
    """Parses, reads the runs, and prints the table."""
    options = parse_command_line(Options, arguments, "rrjax runs")
    # only now, because --help needs none of it
    from rrjax.reports.terminal import print_table
    from rrjax.reports.trainings import training_table
    from rrjax.training.history import aggregate_runs

    groups = aggregate_runs(options.folder, options.by, options.metric)
    print_table(training_table(groups, options.by, options.metric))
