"""Engelken's experiment: does flossing let a plain recurrent network learn long delays?

A vanilla network of 80 neurons learns delayed copy or delayed XOR with and without gradient
flossing before training (preflossing) and during it (interflossing). If the script is killed, the
same command goes on where it stopped, to the same bits. It takes about 40 minutes of one core, and
8 with `--tasks xor --conditions none pre`.

Usage: python -m scripts.studies.engelken --out FOLDER [--tasks xor] [--conditions none pre]

Reference: Engelken 2023, "Gradient flossing: improving gradient descent through dynamic control of
Jacobians", NeurIPS, and the example of its public code.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from rrjax.analysis.intervals import student_interval
from rrjax.jobs.progress import progress
from rrjax.plots.canvas import save_figure
from rrjax.store import claim_folder, describe_run, read_arrays, write_result
from scripts.studies import memory_task
from scripts.studies.engelken_figure import accuracy_figure, jacobian_figure
from scripts.studies.engelken_runs import BLOCK, CONDITIONS, Run, Setting, advance


@dataclass(frozen=True)
class Options:
    """Settings of the experiment.

    Attributes:
      out: The folder for the runs, results.npz, results.json and the figures.
      seeds: The number of runs of each condition.
      tasks: Tasks out of copy and xor.
      conditions: Conditions out of none, pre, inter and both.
      setting: The sizes.
    """

    out: Path
    seeds: int = 5
    tasks: tuple[str, ...] = memory_task.TASKS
    conditions: tuple[str, ...] = CONDITIONS
    setting: Setting = field(default_factory=Setting)

    def __post_init__(self):
        known = {"tasks": memory_task.TASKS, "conditions": CONDITIONS}
        for name, choices in known.items():
            wrong = [value for value in getattr(self, name) if value not in choices]
            if wrong or not getattr(self, name):
                raise ValueError(f"{name} must be of {', '.join(choices)}; got {wrong}")
        if self.seeds < 1:
            raise ValueError(f"seeds must be at least 1; got {self.seeds}")


def runs(options: Options) -> list[Run]:
    """Returns the runs seed by seed, so that an unfinished experiment is a smaller one."""
    return [
        Run(task, condition, seed)
        for seed in range(options.seeds)
        for task in options.tasks
        for condition in options.conditions
    ]


def run_all(options: Options) -> None:
    """Runs everything that has not been done yet."""
    epochs, planned = options.setting.epochs, runs(options)
    with progress("epochs", epochs * len(planned)) as bar:
        for index, run in enumerate(planned):
            for done in advance(options.setting, run, options.out):
                bar.report(index * epochs + done, {"run": float(index + 1)})


def collect(options: Options) -> dict[str, np.ndarray]:
    """Returns every quantity as (tasks, conditions, seeds, …)."""
    names = ("loss", "accuracy", "gradient_norm")
    names += ("exponents", "log_condition", "participation", "skipped")

    def series(name: str, task: str, condition: str, seed: int) -> np.ndarray:
        return read_arrays(options.out / f"{Run(task, condition, seed).name}.npz")[name]

    return {
        name: np.array(
            [
                [[series(name, t, c, s) for s in range(options.seeds)] for c in options.conditions]
                for t in options.tasks
            ]
        )
        for name in names
    }


AXES = {
    **dict.fromkeys(("loss", "accuracy", "gradient_norm"), "epochs"),
    **dict.fromkeys(("exponents", "log_condition", "participation", "skipped"), "blocks"),
}
UNITS = {
    "loss": "nats per bit",
    "accuracy": "share of right bits of the batch, before its update",
    "gradient_norm": "norm of the loss's gradient by J, before clipping",
    "exponents": "nats per step, of the Jacobians over 2·delay steps; after preflossing, then "
    "after each block",
    "log_condition": "nats: ln of the condition of the long-term Jacobian's k leading directions",
    "participation": "number of directions, (Σσ²)²/Σσ⁴ of the long-term Jacobian",
    "skipped": "flossing steps skipped so far",
}


def summarize(options: Options, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns final accuracies (means of the last block) and medians over the seeds.

    Intervals are Student's over the seeds, 95 %; those of what is gained over no flossing are of
    runs paired by seed. Where all seeds reach the same accuracy an interval has no width, which
    says nothing of other seeds.
    """
    found = {}
    for i, task in enumerate(options.tasks):
        for j, condition in enumerate(options.conditions):
            final = arrays["accuracy"][i, j, :, -BLOCK:].mean(-1)
            found[f"{task}, {condition}"] = {
                "final accuracy by seed": final.tolist(),
                "final accuracy, mean": float(final.mean()),
                "final accuracy, 95 %": student_interval(final.tolist()).ends[1:],
                **_gain(options, arrays["accuracy"][i], final),
                "log10 condition, before training": _log10(arrays["log_condition"][i, j, :, 0]),
                "log10 condition, last block": _log10(arrays["log_condition"][i, j, :, -1]),
                "participation, before training": float(
                    np.median(arrays["participation"][i, j, :, 0])
                ),
                "gradient norm, first block": float(
                    np.median(arrays["gradient_norm"][i, j, :, :BLOCK])
                ),
            }
    return found


def _gain(options: Options, accuracy: np.ndarray, final: np.ndarray) -> dict[str, Any]:
    """Returns what a condition gains over training alone, where that was run too."""
    if "none" not in options.conditions:
        return {}
    gain = final - accuracy[options.conditions.index("none"), :, -BLOCK:].mean(-1)
    return {
        "gain over none, mean": float(gain.mean()),
        "gain over none, 95 %": student_interval(gain.tolist()).ends[1:],
    }


def _log10(values: np.ndarray) -> float:
    return float(np.median(values) / np.log(10))


def describe(options: Options, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the record beside the arrays."""
    axes = {name: ["tasks", "conditions", "seeds", axis] for name, axis in AXES.items()}
    axes["exponents"] = [*axes["exponents"], "exponents"]
    return {
        "clock": "update",
        "options": {**asdict(options), "out": options.out.name},
        "tasks": options.tasks,
        "conditions": options.conditions,
        "axes": axes,
        "units": UNITS,
        "run": describe_run(),
        "summary": summarize(options, arrays),
    }


def main(options: Options) -> None:
    """Runs what is missing, writes results and figures, and prints the final accuracies."""
    identity = asdict(options.setting)
    claim_folder(options.out, "experiment.json", identity, {"run": describe_run()})
    run_all(options)
    arrays = collect(options)
    record = describe(options, arrays)
    write_result(options.out / "results.npz", arrays, record)
    for name, figure in (("accuracy", accuracy_figure), ("jacobian", jacobian_figure)):
        drawn = figure(options.tasks, options.conditions, arrays)
        save_figure(drawn, options.out / f"{name}.png")
    for name, row in record["summary"].items():
        low, high = row["final accuracy, 95 %"]
        print(f"{name:12} final accuracy {row['final accuracy, mean']:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
