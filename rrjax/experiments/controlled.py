"""An experiment on a model and on the same cell with fresh weights, which is its control."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rrjax.experiments.experiment import Job
from rrjax.inside.fresh import untrained
from rrjax.models import Model
from rrjax.store import Arrays

TRAINED, UNTRAINED = "trained", "untrained"
"""The names of a model's own runs and of the control's, of their arrays and folders."""


def with_control(job: Job, has_control: bool) -> dict[str, Job]:
    """Returns the job of each run by its name; its sweep lies in a folder of that name.

    Raises:
      ValueError: The model is no cell, whose weights could be drawn anew.
    """
    models = {TRAINED: job.model}
    if has_control:
        if not isinstance(job.model, Model):
            raise ValueError(
                "untrained: only a cell of rrjax has weights that can be drawn anew; measure this "
                "model with untrained=False"
            )
        models[UNTRAINED] = untrained(job.model, job.seed)
    folders = {name: None if job.folder is None else Path(job.folder) / name for name in models}
    return {name: replace(job, model=model, folder=folders[name]) for name, model in models.items()}


def stacked(runs: list[Arrays]) -> Arrays:
    """Returns the arrays of all runs with a leading axis of runs."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}
