"""What `rrjax search` leaves: trials.csv, best.yaml for `rrjax train --config`, a table."""

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rrjax.analysis.table import Table
from rrjax.cells import Arch
from rrjax.cells.official import keys_of
from rrjax.commands.search_space import Space
from rrjax.store import write_bytes_atomically
from rrjax.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

BEST, TRIALS = "best.yaml", "trials.csv"
STOPPED = "stopped"
"""The attribute of a trial that says why it did not run to its end."""


def best_trial(trials: "Sequence[FrozenTrial]") -> "FrozenTrial | None":
    """The completed trial of the highest accuracy, of equal ones the first."""
    completed = [trial for trial in trials if trial.state.name == "COMPLETE"]
    return max(completed, key=lambda trial: (trial.value, -trial.number), default=None)


def write_trials(trials: "Sequence[FrozenTrial]", space: Space, path: Path) -> None:
    """A row for each trial, in their order; cells without a value are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "exact_accuracy", *space, STOPPED])
    for trial in trials:
        value = "" if trial.value is None else trial.value
        drawn = [trial.params.get(name, "") for name in space]
        stopped = trial.user_attrs.get(STOPPED, "")
        writer.writerow([trial.number, trial.state.name.lower(), value, *drawn, stopped])
    write_bytes_atomically(path, text.getvalue().encode())


def write_best(arch: Arch, recipe: Recipe, header: str, command: list[str], path: Path) -> None:
    """The best training as `rrjax train --config` reads it, under a comment that says how."""
    block = yaml.safe_dump(to_yaml(arch, recipe), sort_keys=False)
    write_bytes_atomically(path, f"# {header}\n# {shlex.join(command)}\n{block}".encode())


def to_yaml(arch: Arch, recipe: Recipe) -> dict[str, Any]:
    """The mapping from which `rrjax train --config` makes an equal architecture and recipe.

    Keys that the cell does not read are left out.
    """
    allowed = keys_of(arch.name, arch.name)
    block = {"name": arch.name, "loss": {"loss_type": arch.loss_type}}
    block |= {key: value for key, value in asdict(arch).items() if key in allowed}
    augmentation = asdict(recipe.augmentation)
    augmentation["sigma"] = list(augmentation["sigma"])
    return {"arch": block, **asdict(recipe), "augmentation": augmentation}


def table(trials: "Sequence[FrozenTrial]", space: Space, objective: str, out: Path) -> Table:
    """All trials, the highest accuracy first.

    Raises:
      ValueError: if none was completed, with what stopped the first one.
    """
    if best_trial(trials) is None:
        first = trials[0].user_attrs.get(STOPPED, "pruned")
        raise ValueError(f"none of {len(trials)} trials could be trained; the first: {first}")
    ranked = sorted(trials, key=lambda t: -1 if t.value is None else t.value, reverse=True)
    return Table(
        f"{objective} exact accuracy of {len(trials)} trials, the highest first",
        ("trial", "state", "exact accuracy", *space),
        [_row(trial, space) for trial in ranked],
        [
            "Chosen on the very puzzles it is reported on: higher than new puzzles would show.",
            f"The best: {out / BEST}, for rrjax train --config; all: {out / TRIALS}.",
        ],
    )


def _row(trial: "FrozenTrial", space: Space) -> tuple[str, ...]:
    value = "" if trial.value is None else f"{trial.value:.4f}"
    drawn = (as_text(trial.params.get(name, "")) for name in space)
    return (str(trial.number), trial.state.name.lower(), value, *drawn)


def as_text(value: Any) -> str:
    """A drawn value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
