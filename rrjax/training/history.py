"""Finished and running trainings: their numbers, and tables over seeds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, student_interval
from rrjax.store import read_json
from rrjax.training.logs import EVALUATED, METRICS, read_table

SEED = "recipe.seed"


@dataclass(frozen=True)
class Run:
    """What a folder of `rrjax train` says.

    Attributes:
      folder: of the run.
      config: `config.json`: `identity` (config, recipe, sets), `loop`, `num_weights`, `made_by`.
      metrics: columns of `metrics.csv` by name, (rows,) float64; NaN for an empty cell.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, np.ndarray]

    def evaluations(self, metric: str = "exact_accuracy") -> np.ndarray:
        """A test metric at each evaluation, in order; (0,) before the first or for another name."""
        values = self.metrics.get(f"{EVALUATED}{metric}", np.empty(0))
        return values[~np.isnan(values)]

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe are done."""
        return self.metrics["step"][-1:].tolist() == [self.config["identity"]["recipe"]["steps"]]


@dataclass(frozen=True)
class OverRuns:
    """A number of several runs.

    Attributes:
      mean: Their mean with Student's interval, whose ends are NaN for a single run.
      median: Their median.
      each: The number of each run.
    """

    mean: Interval
    median: float
    each: tuple[float, ...]


@dataclass(frozen=True)
class Group:
    """Runs that agree in what they are grouped by.

    Attributes:
      by: their common values.
      num_runs: how many have an evaluation; all numbers are over these.
      num_unfinished: how many of them have not done all their steps.
      varying: what else they differ in, beside the seed: where there is anything, the intervals
        are not over seeds alone.
      best: highest value of each run.
      final: value of each run's last evaluation.
    """

    by: dict[str, Any]
    num_runs: int
    num_unfinished: int
    varying: tuple[str, ...]
    best: OverRuns
    final: OverRuns


def load_run(folder: str | Path) -> Run:
    """Returns the configuration and the numbers of a training, finished or not.

    Raises:
      ValueError: for a folder that is not of `rrjax train`, or damaged files.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file() or not (folder / METRICS).is_file():
        raise ValueError(
            f"{folder} is no run: expected config.json and {METRICS}, as `rrjax train --out` "
            "writes them once the first step is logged"
        )
    config = read_json(folder / "config.json")
    identity = config.get("identity")
    if not isinstance(identity, Mapping) or "recipe.steps" not in dict(_leaves(identity)):
        raise ValueError(f"{folder / 'config.json'} is not of `rrjax train`: it names no recipe")
    metrics = read_table(folder / METRICS)
    if "step" not in metrics:
        raise ValueError(f"{folder / METRICS} is not of `rrjax train`: it has no column step")
    return Run(folder, config, metrics)


def aggregate_runs(
    folder: str | Path, by: Sequence[str] = (), metric: str = "exact_accuracy"
) -> list[Group]:
    """Best and final test accuracy over seeds, of all runs in a folder and below it.

      mean ± t(n − 1; 0.975) s/√n

    Args:
      folder: with the run folders.
      by: what a group's runs have in common: dotted keys of `identity` in `config.json`, such as
        `recipe.augmentation.objective` or `config.arch.name`.
      metric: a test metric, such as `exact_accuracy@sigma=0.5`.

    Returns:
      The groups, in order of their values. Best values are over the evaluations of a run and so
      biased upwards, the more the more there are.

    Raises:
      ValueError: where there is no run with that metric, a run has no such key, or two runs are
        the same (a copy would count twice).
    """
    runs = [load_run(path.parent) for path in sorted(Path(folder).rglob(METRICS))]
    evaluated = [run for run in runs if run.evaluations(metric).size]
    if not evaluated:
        raise ValueError(
            f"{folder}: expected runs with the test metric {metric!r}, found "
            f"{_known_metrics(runs) or 'none with any'} in {len(runs)} runs"
        )
    _check_different(evaluated)
    groups: dict[str, list[Run]] = {}
    for run in evaluated:
        key = json.dumps([_value(run, name) for name in by])
        groups.setdefault(key, []).append(run)
    return [_group(groups[key], by, metric) for key in sorted(groups, key=_in_order)]


def _in_order(key: str) -> list[tuple]:
    """Numbers by size and before all else, which goes by its text."""
    return [
        (0, value) if isinstance(value, int | float) else (1, str(value))
        for value in json.loads(key)
    ]


def _group(runs: list[Run], by: Sequence[str], metric: str) -> Group:
    curves = [run.evaluations(metric) for run in runs]
    known = [dict(_leaves(run.config["identity"])) for run in runs]
    names = dict.fromkeys(name for leaves in known for name in leaves)
    varying = (n for n in names if n != SEED and len({repr(k.get(n)) for k in known}) > 1)
    return Group(
        by={name: _value(runs[0], name) for name in by},
        num_runs=len(runs),
        num_unfinished=sum(not run.finished for run in runs),
        varying=tuple(varying),
        best=_over_runs([curve.max() for curve in curves]),
        final=_over_runs([curve[-1] for curve in curves]),
    )


def _over_runs(values: Sequence[float]) -> OverRuns:
    each = tuple(map(float, values))
    return OverRuns(student_interval(each), float(np.median(each)), each)


def _check_different(runs: Sequence[Run]) -> None:
    seen: dict[str, Path] = {}
    for run in runs:
        key = json.dumps(run.config["identity"], sort_keys=True)
        if key in seen:
            raise ValueError(
                f"{seen[key]} and {run.folder} are the same run, also in the seed, and would "
                "count twice: take one of them elsewhere"
            )
        seen[key] = run.folder


def _value(run: Run, name: str) -> Any:
    value: Any = run.config["identity"]
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = ", ".join(name for name, _ in _leaves(run.config["identity"]))
            raise ValueError(f"by: {run.folder} has no {name!r}; it has {known}")
        value = value[part]
    return value


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _known_metrics(runs: Sequence[Run]) -> str:
    found = dict.fromkeys(
        name.removeprefix(EVALUATED) for run in runs for name in run.metrics if EVALUATED in name
    )
    return ", ".join(found)
