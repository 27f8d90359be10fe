"""The table of `rrjax runs`."""

from collections.abc import Sequence
from typing import Any

from rrjax.analysis import format as words
from rrjax.analysis.table import Table


def training_table(groups: Sequence[Any], by: Sequence[str], metric: str) -> Table:
    """Returns a table of best and final accuracy, with a row for each group of runs.

    Args:
      groups: `rrjax.training.history.Group`s.
      by: The settings that make a row.
      metric: Name of the test metric.
    """
    columns = []
    for word in ("best", "final"):
        columns += [f"{word}, mean\n(95 % interval)", f"{word},\nmedian"]
    rows = [
        (*map(str, group.by.values()), str(group.num_runs), *_cells(group.best, group.final))
        for group in groups
    ]
    notes = ["Intervals: Student's t over runs. Best: the highest of a run's evaluations."]
    for group in groups:
        name = ", ".join(map(str, group.by.values())) or "the runs"
        if group.num_runs == 1:
            notes.append(f"{name}: one run, whose interval is not known.")
        if group.num_unfinished:
            notes.append(f"{name}: {group.num_unfinished} of {group.num_runs} are not finished.")
        if group.varying:
            notes.append(f"{name}: the runs differ in more than the seed: {_few(group.varying)}.")
    return Table(f"{metric} on the test set, over runs", (*by, "runs", *columns), rows, notes)


def _cells(*estimates: Any) -> list[str]:
    return [text for one in estimates for text in (words.interval(one.mean), f"{one.median:.3f}")]


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + rest
