"""The training loop: reads top to bottom, logs, evaluates, checkpoints, resumes."""

import functools
import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rrjax.cells import Config, config_to_dict
from rrjax.cells.params import INITIAL_VECTORS
from rrjax.models import save_model
from rrjax.puzzles import PuzzleSet
from rrjax.store import claim_folder, describe_run, write_bytes_atomically
from rrjax.training.augment import perturbed_fields
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.evaluate import Noise, evaluate
from rrjax.training.recipe import Recipe
from rrjax.training.sampler import Sampler
from rrjax.training.step import TrainState, init_train_state, model_params, train_step


@dataclass(frozen=True)
class Rhythm:
    """When a run reports and saves, in optimizer steps.

    Attributes:
      log_every: a line of training metrics.
      eval_every: an evaluation on the test set, and the model as a folder in `models/`; the best
        so far is also in `models/best`.
      checkpoint_every: a checkpoint to resume from; a multiple of `log_every`.
      eval_puzzles: test puzzles evaluated (the first ones); 0: all.
      eval_sigmas: also evaluate from z0 + σ·N(0, 1), for each of these σ.
    """

    log_every: int = 10
    eval_every: int = 250
    checkpoint_every: int = 100
    eval_puzzles: int = 0
    eval_sigmas: tuple[float, ...] = ()

    def __post_init__(self):
        for name in ("log_every", "eval_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("eval_every", "checkpoint_every"):
            if getattr(self, name) % self.log_every:
                raise ValueError(
                    f"{name} must be a multiple of log_every ({self.log_every}), so that a "
                    f"resumed run logs the same lines; got {getattr(self, name)}"
                )
        if self.eval_puzzles < 0:
            raise ValueError(f"eval_puzzles must not be negative, got {self.eval_puzzles}")
        for sigma in self.eval_sigmas:
            if not 0 <= sigma < math.inf:
                raise ValueError(f"eval_sigmas must be finite and not negative, got {sigma}")


@dataclass(frozen=True)
class Task:
    """What is trained on what: the cell, the hyperparameters, and both sets."""

    config: Config
    recipe: Recipe
    train: PuzzleSet
    test: PuzzleSet
    augment: bool


Report = Callable[[int, dict[str, float]], None]
"""Called with the step and its metrics after each logged line."""


def train(task: Task, rhythm: Rhythm, folder: Path, report: Report) -> dict[str, float]:
    """Train a cell, resuming where an earlier run of the same task in `folder` stopped.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/`, `models/step_N/` and `models/best/`.

    Returns:
      The last evaluation.

    Raises:
      ValueError: if `folder` holds another run or anything else, a set that is no Sudoku is to be
        augmented, or a latent is to be perturbed that the cell does not have.
      FloatingPointError: if the loss is no longer finite; names the last checkpoint.
    """
    recipe = task.recipe
    sampler = Sampler(task.train, recipe.global_batch_size, recipe.seed, task.augment)
    perturbed_fields(recipe.augmentation, INITIAL_VECTORS[task.config.arch.name])
    record = {"rhythm": asdict(rhythm), "made_by": describe_run()}
    claim_folder(folder, "config.json", identity(task), record)
    log = Log(folder / "metrics.jsonl")
    with closing(Checkpoints(folder / "checkpoints")) as checkpoints:
        state, window = _resume(task, checkpoints, log), Window()
        for step in range(int(state.step) + 1, recipe.steps + 1):
            state, metrics = train_step(task.config, recipe, state, sampler.batch(step - 1))
            window.add(metrics)
            last = step == recipe.steps
            if not (last or step % rhythm.log_every == 0):
                continue
            means = window.close(recipe.global_batch_size)
            _check_finite(means, step, folder)
            if last or step % rhythm.eval_every == 0:
                outcome = _evaluate(task, rhythm, state)
                _save(task, folder, state, step, outcome, log.best())
                means |= {f"test/{name}": value for name, value in outcome.items()}
            log.write(step, means)
            report(step, means)
            if last or step % rhythm.checkpoint_every == 0:
                checkpoints.save(step, state, {"lines": log.lines})
    return log.last_evaluation()


def _resume(task: Task, checkpoints: Checkpoints, log: "Log") -> TrainState:
    state = init_train_state(task.config, task.recipe)
    found = checkpoints.restore(state)
    if found is None:
        log.keep(0)
        return state
    state, record = found
    log.keep(record["lines"])
    return state


def _evaluate(task: Task, rhythm: Rhythm, state: TrainState) -> dict[str, float]:
    """The test metrics from the clean start, then those from perturbed ones under names of σ."""
    flat, number = model_params(state, task.recipe), rhythm.eval_puzzles or len(task.test)
    run = functools.partial(
        evaluate, flat, task.config, task.test, task.recipe.global_batch_size, number
    )
    outcome = run()
    for sigma in rhythm.eval_sigmas:
        noisy = run(Noise(sigma, task.recipe.seed))
        del noisy["count"]
        outcome |= {f"{name}@sigma={sigma:g}": value for name, value in noisy.items()}
    return outcome


def _save(
    task: Task,
    folder: Path,
    state: TrainState,
    step: int,
    outcome: dict[str, float],
    best: float,
) -> None:
    """The model as a folder, and again as `best` where it solves more than all before it."""
    arrays = {name: np.asarray(leaf) for name, leaf in model_params(state, task.recipe).items()}
    made_by = {"trained": identity(task), "step": step, "test": outcome}
    names = [f"step_{step:06d}", *(["best"] if outcome["exact_accuracy"] > best else [])]
    for name in names:
        save_model(folder / "models" / name, arrays, task.config, made_by, replace=True)


def identity(task: Task) -> dict[str, Any]:
    """What makes two runs the same run."""
    return {
        "config": config_to_dict(task.config),
        "recipe": asdict(task.recipe),
        "augment": task.augment,
        "train_set": task.train.digest(),
        "test_set": task.test.digest(),
    }


def _check_finite(means: dict[str, float], step: int, folder: Path) -> None:
    if not math.isfinite(means["loss"]):
        raise FloatingPointError(
            f"the loss is {means['loss']} at step {step}; earlier states are in "
            f"{folder / 'checkpoints'}; start anew elsewhere with a lower lr or a longer warm-up"
        )


class Window:
    """Metrics summed since the last logged line."""

    def __init__(self):
        self._sums: list[dict[str, jax.Array]] = []
        self._start = time.monotonic()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Keep one step's sums, on the device: nothing waits for them here."""
        self._sums.append(metrics)

    def close(self, batch_size: int) -> dict[str, float]:
        """Means since the last call: losses per slot, the others per halted slot; step rate."""
        steps = len(self._sums)
        host = jax.device_get(self._sums)
        totals = {name: float(np.sum([m[name] for m in host])) for name in host[0]}
        halted = max(totals.pop("count"), 1.0)
        means = {
            name: total / (steps * batch_size if name.endswith("loss") else halted)
            for name, total in totals.items()
        }
        means["seconds_per_step"] = (time.monotonic() - self._start) / steps
        self.__init__()
        return means


class Log:
    """`metrics.jsonl`: a line for each logged step."""

    def __init__(self, path: Path):
        self._path = path
        self.lines = 0

    def keep(self, lines: int) -> None:
        """Drop what was logged after the checkpoint that a run resumes from."""
        old = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        write_bytes_atomically(self._path, "".join(old[:lines]).encode())
        self.lines = lines

    def write(self, step: int, means: dict[str, float]) -> None:
        """Append a line."""
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **means}) + "\n")
        self.lines += 1

    def best(self) -> float:
        """The highest exact accuracy on the test set so far; −1 before the first evaluation.

        Read from the log, so that a resumed run knows what the checkpoint's run knew.
        """
        lines = map(json.loads, self._path.read_text().splitlines())
        return max((line.get("test/exact_accuracy", -1.0) for line in lines), default=-1.0)

    def last_evaluation(self) -> dict[str, float]:
        """The test metrics logged last; empty where there are none."""
        for line in reversed(self._path.read_text().splitlines()):
            found = {k[5:]: v for k, v in json.loads(line).items() if k.startswith("test/")}
            if found:
                return found
        return {}
