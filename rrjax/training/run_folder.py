"""The folder of a training run: what it says of the run, and who works in it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from rrjax.cells import Arch
from rrjax.models import PUZZLES
from rrjax.puzzles.folders import write_folder
from rrjax.store import (
    check_entries,
    check_format,
    claim_folder,
    describe_run,
    format_entry,
    hold_folder,
    read_json,
    write_json,
)
from rrjax.store.records import plain
from rrjax.training import logs
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.task import TrainingTask

CONFIG = "config.json"


@contextmanager
def held_by_job(task: TrainingTask, settings: LoopSettings, folder: Path) -> Iterator[None]:
    """Holds the folder of a run while the block runs, for all processes of this job.

    The first process takes the folder. The others wait for it, and stop where it was refused.

    Raises:
      ValueError: if the folder holds another run or anything else, another job works in it, or the
        run has fewer steps and cannot go on.
    """
    refusal = None
    with ExitStack() as stack:
        if logs.writes():
            try:
                _claim(task, settings, folder)
                stack.enter_context(hold_folder(folder, "trained"))
                _prolong(task, folder / CONFIG)
                _keep_puzzles(task, folder)
            except (OSError, ValueError) as error:
                refusal = error
        if jax.process_count() > 1:
            refused = multihost_utils.broadcast_one_to_all(np.int32(refusal is not None))
            if refused and not logs.writes():
                raise ValueError(f"process 0 cannot use {folder}; its own message says why")
        if refusal is not None:
            raise refusal
        yield


def _claim(task: TrainingTask, settings: LoopSettings, folder: Path) -> None:
    record, identity = folder / CONFIG, task.identity()
    if record.is_file():
        content = read_json(record)
        check_format(content, *logs.RUN_FORMAT, record)
        check_entries(content, {"identity.recipe.steps": int}, record)
        identity = _as_recorded(task, content)
        if _is_shorter_run(content, task):
            _check_prolonged(content, task, folder)
            identity = content["identity"]
    description = {
        **format_entry(*logs.RUN_FORMAT),
        "loop": asdict(settings),
        "num_weights": task.num_weights(),
        "made_by": describe_run(),
    }
    claim_folder(folder, record.name, identity, description)


def _as_recorded(task: TrainingTask, record: dict[str, Any]) -> dict[str, Any]:
    """Returns a task's identity without the settings that are newer than a run's record.

    A run that was written before a setting existed is a run with the default of that setting. A
    newer setting with another value stays, so that it makes another run.
    """
    defaults = {"config": {"arch": asdict(Arch())}, "recipe": asdict(Recipe())}
    return _without_newer(plain(task.identity()), record["identity"], plain(defaults))


def _without_newer(
    identity: Mapping[str, Any], recorded: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        key: _without_newer(value, recorded[key], defaults.get(key, {}))
        if isinstance(value, Mapping) and isinstance(recorded.get(key), Mapping)
        else value
        for key, value in identity.items()
        if key in recorded or key not in defaults or value != defaults[key]
    }


def _is_shorter_run(record: dict[str, Any], task: TrainingTask) -> bool:
    """Returns whether a record is of the same run, but for a smaller number of steps."""
    steps = record["identity"]["recipe"]["steps"]
    shorter = replace(task, recipe=replace(task.recipe, steps=steps))
    return _as_recorded(shorter, record) == record["identity"] and steps < task.recipe.steps


def _check_prolonged(record: dict[str, Any], task: TrainingTask, folder: Path) -> None:
    """Refuses more steps for a run whose first steps would have been others."""
    ratio, steps = task.recipe.lr_min_ratio, record["identity"]["recipe"]["steps"]
    if ratio != 1:
        raise ValueError(
            f"{folder} holds a run of {steps:,} steps, which cannot go on to "
            f"{task.recipe.steps:,}: its learning rate falls until the last step (lr_min_ratio "
            f"{ratio:g}), so that a longer run differs from the first steps on; choose another "
            "--out, or train with lr_min_ratio 1"
        )


def _prolong(task: TrainingTask, path: Path) -> None:
    """Writes the larger number of steps of a run that goes on."""
    record = read_json(path)
    if _is_shorter_run(record, task):
        before = *record.get("prolonged_from", ()), record["identity"]["recipe"]["steps"]
        identity = plain(task.identity())
        write_json(path, {**record, "identity": identity, "prolonged_from": before})


def _keep_puzzles(task: TrainingTask, folder: Path) -> None:
    """Writes the test set, unless it is of ARC, whose sets may be huge."""
    meta = task.test.metadata
    is_plain = meta.num_puzzle_identifiers == 1 and meta.vocab_size <= 256 and meta.sets == ["all"]
    if is_plain and not (folder / PUZZLES).exists():
        write_folder(folder / PUZZLES, {"test": task.test})
