"""Trains a recipe within some minutes of an accelerator, and says what it reached when.

A short trial tells what a step takes. The recipe then gets as many steps as fit, so that its
learning rate has fallen to its end when the time is up. FOLDER gets the run (`run/`), the model at
ten steps in bfloat16 (`models/step_N`, for `scripts.studies.along_training`) and `reached.json`:
the device, the time, the accuracy at each evaluation, and the minutes until it was 0.6 and 0.85. If
the script is killed, the same command goes on where it stopped.

Usage: python -m scripts.models.train_within FOLDER --data DATA [--config fast_sudoku] [--minutes 8]
The rehearsal on a processor: add --config cpu_sudoku4 --minutes 1, with data of 4x4 Sudokus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import ml_dtypes
import numpy as np
import tyro

from rrjax.models import read_model, save_model
from rrjax.store import describe_run, read_json, write_json
from rrjax.training.history import Run, load_run
from scripts.models.bundle_model import curve
from scripts.studies.runs import call

TRIAL_STEPS = 60
MARKS = (0.6, 0.85)
LOG_EVERY = 20


@dataclass(frozen=True)
class Options:
    """Settings of the training.

    Attributes:
      out: The folder for the run and what it reached.
      data: The data-set folder, with `train/` and `test/`.
      config: The recipe, by name or as a file.
      minutes: The time for steps and evaluations. The trial and compiling come on top.
      eval_puzzles: The number of test puzzles at each of the ten evaluations; 0 means all.
    """

    out: Annotated[Path, tyro.conf.Positional]
    data: Path
    config: str = "fast_sudoku"
    minutes: float = 8.0
    eval_puzzles: int = 256


def train(options: Options, folder: Path, steps: int, every: int, eval_puzzles: int) -> Run:
    """Returns the finished run of so many steps, evaluated after each `every` of them."""
    words = ["train", "--config", options.config, "--data", options.data, "--out", folder]
    words += ["--augment", "--steps", steps, "--log-every", min(LOG_EVERY, every)]
    words += ["--eval-every", every, "--checkpoint-every", every, "--eval-puzzles", eval_puzzles]
    call(*words)
    return load_run(folder)


def steps_that_fit(trial: Run, minutes: float) -> int:
    """Returns the number of steps that take so many minutes, a multiple of ten log rows."""
    seconds = float(np.min(trial.metrics["seconds_per_step"][1:]))  # the first row compiled
    unit = 10 * LOG_EVERY
    return max(unit, int(60 * minutes / seconds) // unit * unit)


def reached(run: Run) -> dict[str, Any]:
    """Returns the accuracy at each evaluation, and the minutes of training to each mark."""
    minutes = run.seconds() / 60
    at, solved = minutes[run.evaluated], run.evaluations()
    since = {mark: at[solved >= mark] for mark in MARKS}
    return {
        "curve": {**curve([run], int(run.metrics["step"][-1])), "minutes": at.tolist()},
        "minutes_to": {str(mark): float(at[0]) if len(at) else None for mark, at in since.items()},
        "minutes": float(minutes[-1]),
    }


def save_small(run: Path, folder: Path) -> None:
    """Writes the models of a run again, in bfloat16: half as large, for carrying away."""
    for model in sorted((run / "models").glob("step_*")):
        flat, config, provenance = read_model(model)
        small = {name: np.asarray(leaf, ml_dtypes.bfloat16) for name, leaf in flat.items()}
        save_model(folder / model.name, small, config, provenance, replace=True)


def main(options: Options) -> None:
    """Tries, trains, writes what was reached and prints it."""
    plan = options.out / "plan.json"
    if not plan.is_file():
        trial = train(options, options.out / "trial", TRIAL_STEPS, TRIAL_STEPS, 8)
        write_json(plan, {"steps": steps_that_fit(trial, options.minutes)})
    steps = int(read_json(plan)["steps"])
    run = train(options, options.out / "run", steps, steps // 10, options.eval_puzzles)
    save_small(options.out / "run", options.out / "models")
    result: Mapping[str, Any] = {
        "device": jax.devices()[0].device_kind,
        "config": options.config,
        "steps": steps,
        "test_set": run.config["identity"]["test_set"],
        **reached(run),
        "made_by": describe_run(),
    }
    write_json(options.out / "reached.json", result)
    points = result["curve"]
    for row in zip(points["steps"], points["minutes"], points["solved"], strict=True):
        print("step {:,.0f}  {:.1f} min  solved {:.3f}".format(*row))
    print(f"minutes to {result['minutes_to']} on {result['device']}; see {options.out}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
