"""The folder of a training run: what it says of the run, and who works in it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from rrjax.models import PUZZLES
from rrjax.puzzles.folders import write_folder
from rrjax.store import (
    check_format,
    claim_folder,
    describe_run,
    format_entry,
    hold_folder,
    read_json,
)
from rrjax.training import logs
from rrjax.training.settings import LoopSettings
from rrjax.training.task import TrainingTask


@contextmanager
def held_by_job(task: TrainingTask, settings: LoopSettings, folder: Path) -> Iterator[None]:
    """Holds the folder of a run while the block runs, for all processes of this job.

    The first process takes the folder. The others wait for it, and stop where it was refused.

    Raises:
      ValueError: if the folder holds another run or anything else, or another job works in it.
    """
    refusal = None
    with ExitStack() as stack:
        if logs.writes():
            try:
                _claim(task, settings, folder)
                stack.enter_context(hold_folder(folder, "trained"))
                _keep_puzzles(task, folder)
            except (OSError, ValueError) as error:
                refusal = error
        if jax.process_count() > 1:
            refused = multihost_utils.broadcast_one_to_all(np.int32(refusal is not None))
            if refused and not logs.writes():
                raise ValueError(f"process 0 was refused {folder}; it says why")
        if refusal is not None:
            raise refusal
        yield


def _claim(task: TrainingTask, settings: LoopSettings, folder: Path) -> None:
    record = folder / "config.json"
    if record.is_file():
        check_format(read_json(record), *logs.RUN_FORMAT, record)
    description = {
        **format_entry(*logs.RUN_FORMAT),
        "loop": asdict(settings),
        "num_weights": task.num_weights(),
        "made_by": describe_run(),
    }
    claim_folder(folder, record.name, task.identity(), description)


def _keep_puzzles(task: TrainingTask, folder: Path) -> None:
    """Writes the test set, unless it is of ARC, whose sets may be huge."""
    meta = task.test.metadata
    is_plain = meta.num_puzzle_identifiers == 1 and meta.vocab_size <= 256 and meta.sets == ["all"]
    if is_plain and not (folder / PUZZLES).exists():
        write_folder(folder / PUZZLES, {"test": task.test})
