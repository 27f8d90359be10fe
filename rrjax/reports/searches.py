"""The table of `rrjax search`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rrjax.analysis import format as words
from rrjax.analysis.table import Table


def trial_table(trials: Sequence[Any], names: Sequence[str], objective: str, folder: Path) -> Table:
    """Returns a table of all trials, the highest accuracy first.

    Args:
      trials: Optuna's frozen trials.
      names: The fields that were searched.
      objective: "best" or "final".
      folder: The search's folder.

    Raises:
      ValueError: No trial was completed; the message says what stopped the first one.
    """
    if not any(trial.state.name == "COMPLETE" for trial in trials):
        first = trials[0].user_attrs.get("stopped", "pruned")
        raise ValueError(f"none of {len(trials)} trials could be trained; the first: {first}")
    ranked = sorted(trials, key=lambda t: -1 if t.value is None else t.value, reverse=True)
    rows = [
        (
            str(trial.number),
            trial.state.name.lower(),
            "" if trial.value is None else f"{trial.value:.4f}",
            *(as_text(trial.params.get(name, "")) for name in names),
        )
        for trial in ranked
    ]
    notes = [
        "The best trial is chosen on the puzzles that it is reported on. New puzzles would show "
        "less.",
        f"The best one is in {folder / 'best.yaml'}, for rrjax train --config, and all are in "
        f"{folder / 'trials.csv'}.",
    ]
    number = words.count(len(trials), "trial")
    headline = f"{objective} exact accuracy of {number}, the highest first"
    return Table(headline, ("trial", "state", "exact accuracy", *names), rows, notes)


def as_text(value: Any) -> str:
    """Returns a drawn value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
