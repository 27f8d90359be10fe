"""An experiment on a model and on the same cell with fresh weights, which is its control."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from rrjax.experiments.experiment import Job
from rrjax.inside.fresh import untrained
from rrjax.models import Model
from rrjax.store import Arrays
from rrjax.store.claims import check_holds

Made = TypeVar("Made")

TRAINED, UNTRAINED = "trained", "untrained"
"""The names of a model's own runs and of the control's, of their arrays and folders."""


def with_control(asked: Job, has_control: bool, sweep: Callable[[Job], Made]) -> dict[str, Made]:
    """Returns by the name of each run what a sweep makes of it, in a folder of that name.

    Raises:
      ValueError: The model is no cell, whose weights could be drawn anew, or the job's folder holds
        something else.
    """
    if asked.folder is not None:
        check_holds(Path(asked.folder), TRAINED)
    models = {TRAINED: asked.model}
    if has_control:
        if not isinstance(asked.model, Model):
            raise ValueError(
                "untrained: only a cell of rrjax has weights that can be drawn anew; measure this "
                "model with untrained=False"
            )
        models[UNTRAINED] = untrained(asked.model, asked.seed)
    made = {}
    for name, model in models.items():
        folder = None if asked.folder is None else Path(asked.folder) / name
        job = replace(asked, model=model, folder=folder)
        made[name] = sweep(job)
        asked.chunk = job.chunk
    return made


def stacked(runs: Mapping[str, Arrays]) -> Arrays:
    """Returns the arrays of all runs with a leading axis of runs."""
    names = next(iter(runs.values()))
    return {name: np.stack([run[name] for run in runs.values()]) for name in names}
