"""Reads finished and running trainings, and averages them over their seeds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.analysis.format import count
from rrjax.analysis.intervals import Interval, student_interval
from rrjax.page.assemble import Report, make_report
from rrjax.store import check_entries, check_format, read_json
from rrjax.training.logs import EVALUATED, METRICS, RUN_FORMAT, read_table


@dataclass(frozen=True)
class Run:
    """The contents of a folder of `rrjax train`.

    Attributes:
      folder: the run folder.
      config: `config.json`: `identity` (config, recipe, sets), `loop`, `num_weights`, `made_by`.
      metrics: the columns of `metrics.csv` by name, (rows,) float64, NaN for an empty cell.
    """

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, np.ndarray]

    def evaluations(self, metric: str = "exact_accuracy") -> np.ndarray:
        """Returns a test metric at each evaluation; (0,) if the run has none of that name."""
        values = self.metrics.get(f"{EVALUATED}{metric}", np.empty(0))
        return values[~np.isnan(values)]

    @property
    def evaluated(self) -> np.ndarray:
        """Which rows of `metrics` have an evaluation, as (rows,) truth values."""
        without_any = np.full(self.metrics["step"].shape, np.nan)
        return ~np.isnan(self.metrics.get(f"{EVALUATED}exact_accuracy", without_any))

    def seconds(self) -> np.ndarray:
        """Returns (rows,) the seconds of all steps up to each row, without the evaluations."""
        steps = np.diff(self.metrics["step"], prepend=0)
        return np.cumsum(steps * self.metrics["seconds_per_step"])

    def report(self, path: str | Path | None = None) -> Report:
        """Returns the curves of all metrics as one HTML page, which a notebook shows.

        Args:
          path: the file that it is also written to, or None.

        Raises:
          ModuleNotFoundError: if altair or vl-convert-python is missing.
          OSError: if the file cannot be written.
        """
        page = make_report({self.folder.name: self})
        return page if path is None else page.save(path)

    @property
    def finished(self) -> bool:
        """Whether the run has done all steps of its recipe."""
        return self.metrics["step"][-1:].tolist() == [self.config["identity"]["recipe"]["steps"]]


@dataclass(frozen=True)
class OverRuns:
    """One number of each of several runs, with its average over them.

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
    """Runs that have the same values of the settings by which they are grouped.

    Attributes:
      by: the values of these settings.
      num_runs: number of runs with an evaluation; all numbers are over these.
      num_unfinished: number of these runs that have not done all their steps.
      varying: the other settings in which the runs differ, without the seed. If there are any, the
        intervals are not over seeds alone.
      best: highest value of each run.
      final: value of the last evaluation of each run.
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
      ValueError: if the folder is not of `rrjax train`, is of another version of rrjax, or has
        damaged files.

    Example:
      >>> run = rrjax.load_run("runs/seed_0")
      >>> run.evaluations("exact_accuracy")
      array([0.5])
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file() or not (folder / METRICS).is_file():
        raise ValueError(
            f"{folder} is not a training run: expected config.json and {METRICS}, as "
            "`rrjax train --out` writes them once the first step is logged"
        )
    config = read_json(path)
    check_format(config, *RUN_FORMAT, path)
    check_entries(config, {"identity.recipe.steps": int}, path)
    metrics = read_table(folder / METRICS)
    if "step" not in metrics:
        raise ValueError(f"{folder / METRICS} is not of `rrjax train`: it has no column step")
    return Run(folder, config, metrics)


def aggregate_runs(
    folder: str | Path, by: Sequence[str] = (), metric: str = "exact_accuracy"
) -> list[Group]:
    """Returns best and final test accuracy over seeds, of all runs in a folder and below it.

      mean ± t(n − 1; 0.975) s/√n

    Args:
      folder: the folder with the run folders.
      by: the settings by which runs are grouped, as dotted keys of `identity` in `config.json`,
        such as `recipe.augmentation.objective` or `config.arch.name`.
      metric: a test metric, such as `exact_accuracy@sigma=0.5`.

    Returns:
      The groups, in the order of their values. The best value of a run is the highest of its
      evaluations. It is biased upwards, and more so the more evaluations there are.

    Raises:
      ValueError: if no run has that metric, a run has no such key, two runs are the same (a copy
        would count twice), or a run is of another version of rrjax.

    Example:
      >>> (group,) = rrjax.aggregate_runs("runs")
      >>> group.num_runs, group.final.mean.value
      (2, 0.625)
    """
    runs = [load_run(path.parent) for path in sorted(Path(folder).rglob(METRICS))]
    evaluated = [run for run in runs if run.evaluations(metric).size]
    if not evaluated:
        names = (name for run in runs for name in run.metrics if name.startswith(EVALUATED))
        known = dict.fromkeys(name.removeprefix(EVALUATED) for name in names)
        raise ValueError(
            f"{folder}: expected runs with the test metric {metric!r}, found "
            f"{', '.join(known) or 'none with any'} in {count(len(runs), 'run')}"
        )
    _check_different(evaluated)
    groups: dict[str, list[Run]] = {}
    for run in evaluated:
        key = json.dumps([_value(run, name) for name in by])
        groups.setdefault(key, []).append(run)
    return [_group(groups[key], by, metric) for key in sorted(groups, key=_in_order)]


def _in_order(key: str) -> list[tuple]:
    """Returns a key for sorting: numbers come first, by size, and all else follows by its text."""
    return [(0, v) if isinstance(v, int | float) else (1, str(v)) for v in json.loads(key)]


def _group(runs: list[Run], by: Sequence[str], metric: str) -> Group:
    curves = [run.evaluations(metric) for run in runs]
    known = [dict(_leaves(run.config["identity"])) for run in runs]
    names = dict.fromkeys(name for leaves in known for name in leaves)
    varying = (n for n in names if n != "recipe.seed" and len({repr(k.get(n)) for k in known}) > 1)
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
    folders: dict[str, Path] = {}
    for run in runs:
        key = json.dumps(run.config["identity"], sort_keys=True)
        if key in folders:
            raise ValueError(
                f"{folders[key]} and {run.folder} are the same run, also in the seed, and would "
                "count twice: move one of them elsewhere"
            )
        folders[key] = run.folder


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
