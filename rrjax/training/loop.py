"""The training loop: reads top to bottom, logs, evaluates, checkpoints, resumes."""

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils

from rrjax.cells import Config, config_to_dict
from rrjax.cells.params import INITIAL_VECTORS
from rrjax.checks import check_count
from rrjax.models import save_model
from rrjax.puzzles import PuzzleSet
from rrjax.store import claim_folder, describe_run
from rrjax.training.augment import perturbed_fields
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.episodes import Episodes
from rrjax.training.evaluate import Noise, evaluate
from rrjax.training.logs import EVALUATED, LATENTS, RECURSION, Logs, Row, Window
from rrjax.training.monitor import Monitor
from rrjax.training.placement import Device, Placement, training_devices
from rrjax.training.recipe import Recipe
from rrjax.training.recursion import probe
from rrjax.training.sampler import Sampler
from rrjax.training.step import TrainState, init_train_state, learning_rate, model_params
from rrjax.training.votes import Votes, votes_on


@dataclass(frozen=True)
class Rhythm:
    """When a run reports, saves and stops, in optimizer steps.

    Attributes:
      log_every: a row of training metrics.
      eval_every: an evaluation on the test set, and the model as a folder in `models/`; the best
        so far is also in `models/best`.
      checkpoint_every: a checkpoint to resume from; a multiple of `log_every`.
      eval_puzzles: test puzzles evaluated (the first ones); 0: all.
      eval_sigmas: also evaluate from z0 + σ·N(0, 1), for each of these σ.
      log_recursion: with each evaluation, loss and accuracy after every segment, in
        `recursion_metrics.csv`.
      log_latents: the same of the latent states: norm, cosine to the segment before, variance
        over puzzles, in `latent_stats.csv`.
      spike_factor: stop where the loss is more than so many times the median of the last 20
        logged ones, and above the first; 0: never.
    """

    log_every: int = 10
    eval_every: int = 250
    checkpoint_every: int = 100
    eval_puzzles: int = 0
    eval_sigmas: tuple[float, ...] = ()
    log_recursion: bool = False
    log_latents: bool = False
    spike_factor: float = 10.0

    def __post_init__(self):
        for name in ("log_every", "eval_every", "checkpoint_every"):
            check_count(name, getattr(self, name), least=1)
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
        if not (self.spike_factor == 0 or 1 < self.spike_factor < math.inf):
            raise ValueError(f"spike_factor must be 0 or above 1, got {self.spike_factor}")


@dataclass(frozen=True)
class Task:
    """What is trained on what: the cell, the hyperparameters, and both sets."""

    config: Config
    recipe: Recipe
    train: PuzzleSet
    test: PuzzleSet
    augment: bool


Report = Callable[[int, dict[str, float]], None]
"""Called with the step and its metrics after each logged row, in the process that writes."""


def train(
    task: Task,
    rhythm: Rhythm,
    folder: Path,
    report: Report,
    devices: Sequence[Device] | None = None,
) -> dict[str, float]:
    """Train a cell, resuming where an earlier run of the same task in `folder` stopped.

    Writes `config.json`, `metrics.csv`, `checkpoints/`, `models/step_N/` and `models/best/` (of ARC
    with their `submission.json`), `floss.csv` where the recipe has flossing, and what `rhythm`
    asks for. Under `jax.distributed` all processes call this, and the first writes; they share
    the folder.

    Args:
      task: what is trained; with the folder it says whether a run is the same.
      rhythm: when to report, save and stop.
      folder: new, empty, or of the same run.
      report: called after each logged row.
      devices: those of all processes that share the batch; None: `training_devices()`. A run may
        go on with another number of them: its values are then equal up to round-off.

    Returns:
      The last evaluation; nothing in the processes that do not write.

    Raises:
      ValueError: if `folder` holds another run or anything else, no checkpoint in it is whole, a
        set that is no Sudoku is to be augmented, a latent is to be perturbed that the cell does
        not have, or the devices cannot share the batch.
      FloatingPointError: if a loss, gradient or weight is no longer finite, or the loss jumps;
        names the last good checkpoint.
    """
    recipe = task.recipe
    sampler = Sampler(task.train, recipe.global_batch_size, recipe.seed, task.augment)
    perturbed_fields(recipe.augmentation, INITIAL_VECTORS[task.config.arch.name])
    placement = Placement(devices or training_devices(), recipe.global_batch_size)
    episodes = Episodes.of(task.config, recipe, placement, task.train, task.augment)
    _claim(task, rhythm, folder)
    logs = Logs(folder, writes())
    with closing(Checkpoints(folder / "checkpoints")) as checkpoints:
        state, monitor = _resume(task, rhythm, placement, checkpoints)
        logs.keep(int(state.step))
        window = Window()
        for step in range(int(state.step) + 1, recipe.steps + 1):
            try:
                state = episodes.before(step, state, logs.write_flossing)
            except FloatingPointError as error:
                complaint = _stopped(str(error), step, folder, checkpoints)
                raise FloatingPointError(complaint) from error
            batch = sampler.batch(step - 1)
            state, metrics = placement.step(task.config, recipe, state, batch)
            window.add(metrics)
            last = step == recipe.steps
            if not (last or step % rhythm.log_every == 0):
                continue
            means = window.close(recipe.global_batch_size) | _norms(state, recipe, step)
            if complaint := monitor.complaint(means):
                raise FloatingPointError(_stopped(complaint, step, folder, checkpoints))
            if last or step % rhythm.eval_every == 0:
                votes = votes_on(task.test)
                outcome = _evaluate(task, rhythm, state, placement, votes)
                logs.write_segments(step, _segments(task, rhythm, state, placement))
                for model in _save(task, folder, state, step, outcome, logs.best()):
                    if votes is not None:
                        votes.write_submission(model / "submission.json")
                means |= {f"{EVALUATED}{name}": value for name, value in outcome.items()}
            logs.write(step, means)
            if writes():
                report(step, means)
            if last or step % rhythm.checkpoint_every == 0:
                checkpoints.save(step, state, {"losses": monitor.losses})
            window = Window()
    return logs.last_evaluation()


def writes() -> bool:
    """Whether this process writes what the run leaves: of all processes the first."""
    return jax.process_index() == 0


def _claim(task: Task, rhythm: Rhythm, folder: Path) -> None:
    """The first process takes the folder; the others wait for it, and stop where it was refused."""
    refusal = None
    if writes():
        try:
            claim_folder(folder, "config.json", identity(task), _description(task, rhythm))
        except (OSError, ValueError) as error:
            refusal = error
    if jax.process_count() > 1:
        refused = multihost_utils.broadcast_one_to_all(np.int32(refusal is not None))
        if refused and not writes():
            raise ValueError(f"process 0 was refused {folder}; it says why")
    if refusal is not None:
        raise refusal


def identity(task: Task) -> dict[str, Any]:
    """What makes two runs the same run."""
    return {
        "config": config_to_dict(task.config),
        "recipe": asdict(task.recipe),
        "augment": task.augment,
        "train_set": task.train.digest(),
        "test_set": task.test.digest(),
    }


def _description(task: Task, rhythm: Rhythm) -> dict[str, Any]:
    """What else `config.json` says."""
    state = jax.eval_shape(functools.partial(init_train_state, task.config, task.recipe))
    size = {"trained": _num_weights(state.trained), "fixed": _num_weights(state.fixed)}
    return {"rhythm": asdict(rhythm), "num_weights": size, "made_by": describe_run()}


def _num_weights(flat: dict[str, Any]) -> int:
    return sum(math.prod(leaf.shape) for leaf in flat.values())


def _resume(
    task: Task, rhythm: Rhythm, placement: Placement, checkpoints: Checkpoints
) -> tuple[TrainState, Monitor]:
    state = placement.state(init_train_state(task.config, task.recipe))
    found = checkpoints.restore(state)
    if found is None:
        return state, Monitor(rhythm.spike_factor)
    state, record = found
    return state, Monitor(rhythm.spike_factor, record["losses"])


def _norms(state: TrainState, recipe: Recipe, step: int) -> Row:
    return {
        "parameter_norm": float(optax.tree.norm(state.trained)),
        "learning_rate": learning_rate(recipe, step),
    }


def _stopped(complaint: str, step: int, folder: Path, checkpoints: Checkpoints) -> str:
    last = checkpoints.last()
    good = f"there is none yet in {folder / 'checkpoints'}" if last is None else f"it is {last}"
    return (
        f"{complaint} at step {step}; the last good checkpoint: {good}; start anew elsewhere "
        "with a lower lr or a longer warm-up"
    )


def _evaluate(
    task: Task, rhythm: Rhythm, state: TrainState, placement: Placement, votes: Votes | None
) -> dict[str, float]:
    """The test metrics from the clean start, then those from perturbed ones under names of σ.

    `votes` gets the answers from the clean start.
    """
    flat, number = model_params(state, task.recipe), rhythm.eval_puzzles or len(task.test)
    run = functools.partial(
        evaluate,
        flat,
        task.config,
        task.test,
        task.recipe.global_batch_size,
        number,
        place=placement.rows,
    )
    outcome = run(votes=votes)
    for sigma in rhythm.eval_sigmas:
        noisy = run(noise=Noise(sigma, task.recipe.seed))
        del noisy["count"]
        outcome |= {f"{name}@sigma={sigma:g}": value for name, value in noisy.items()}
    return outcome


def _segments(
    task: Task, rhythm: Rhythm, state: TrainState, placement: Placement
) -> dict[str, list[Row]]:
    """The tables by segment that are asked for, by file name."""
    if not (rhythm.log_recursion or rhythm.log_latents):
        return {}
    flat, number = model_params(state, task.recipe), rhythm.eval_puzzles or len(task.test)
    size = task.recipe.global_batch_size
    found = probe(flat, task.config, task.test, size, number, placement.rows)
    recursion = {RECURSION: found.metrics} if rhythm.log_recursion else {}
    return recursion | ({LATENTS: found.latents} if rhythm.log_latents else {})


def _save(
    task: Task,
    folder: Path,
    state: TrainState,
    step: int,
    outcome: dict[str, float],
    best: float,
) -> list[Path]:
    """The model as a folder, and again as `best` where it solves more than all before it.

    Returns:
      The folders; none in the processes that do not write.
    """
    if not writes():
        return []
    arrays = {name: np.asarray(leaf) for name, leaf in model_params(state, task.recipe).items()}
    made_by = {"trained": identity(task), "step": step, "test": outcome}
    names = [f"step_{step:06d}", *(["best"] if outcome["exact_accuracy"] > best else [])]
    folders = [folder / "models" / name for name in names]
    for place in folders:
        save_model(place, arrays, task.config, made_by, replace=True)
    return folders
