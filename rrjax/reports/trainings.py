"""The table of `rrjax runs`."""

from collections.abc import Sequence
from typing import Any

from rrjax.analysis import format as words
from rrjax.analysis.table import Table


def training_table(groups: Sequence[Any], by: Sequence[str], metric: str) -> Table:
    """Returns a table of best and final accuracy, with two rows for each group of runs.

    Args:
      groups: `rrjax.training.history.Group`s.
      by: The settings that make a row.
      metric: Name of the test metric.
    """
    rows = [
        (
            *map(str, group.by.values()),
            str(group.num_runs),
            name,
            words.interval(over_runs.mean),
            f"{over_runs.median:.3f}",
        )
        for group in groups
        for name, over_runs in (("best", group.best), ("final", group.final))
    ]
    keys = (key.replace(".", ".\n") for key in by)  # whose last part tells most
    headers = (*keys, "runs", "", "mean\n(95 % interval)", "median")
    notes = [
        "Intervals are Student's t over training runs. Best is the highest evaluation of a run."
    ]
    for group in groups:
        name = ", ".join(map(str, group.by.values())) or "the runs"
        if group.num_runs == 1:
            notes.append(f"{name}: one run, whose interval is not known.")
        if group.num_unfinished:
            notes.append(f"{name}: {group.num_unfinished} of {group.num_runs} are not finished.")
        if group.varying:
            few = ", ".join(group.varying[:4])
            rest = f" and {len(group.varying) - 4} more" if len(group.varying) > 4 else ""
            notes.append(f"{name}: the runs differ in more than the seed: {few}{rest}.")
    return Table(f"{metric} on the test set, over runs", headers, rows, notes)
