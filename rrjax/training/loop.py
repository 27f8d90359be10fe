"""The training loop, which logs, evaluates, saves checkpoints and resumes from them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from rrjax.cells import unflatten
from rrjax.cells.params import INITIAL_VECTORS
from rrjax.checks import check_number
from rrjax.jobs.devices import Device
from rrjax.keys import fixed_generator
from rrjax.models import save_model
from rrjax.puzzles.arc_evaluate import Ballot, write_submission
from rrjax.training import logs
from rrjax.training.act import Flat
from rrjax.training.ahead import Moved, Pace, made_ahead, wait_for
from rrjax.training.augment import chance
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.compact import COMPACT, restore_compact
from rrjax.training.data import Sampler
from rrjax.training.evaluate import (
    StartNoise,
    evaluate,
    evaluation_size,
    read_arc_test,
    segment_statistics,
)
from rrjax.training.floss import check_floss, floss_before, floss_step
from rrjax.training.monitor import Monitor
from rrjax.training.optimizers import recipe_schedule
from rrjax.training.placement import Placement, check_dtype, training_devices
from rrjax.training.rows import Report, Rows
from rrjax.training.run_folder import held_by_job
from rrjax.training.settings import LoopSettings
from rrjax.training.state import TrainState, init_train_state, model_params
from rrjax.training.step import train_step
from rrjax.training.task import TrainingTask


def train(
    task: TrainingTask,
    settings: LoopSettings,
    folder: Path,
    report: Report,
    devices: Sequence[Device] | None = None,
    moved: Moved = lambda step, seconds: None,
    max_minutes: float | None = None,
) -> dict[str, float]:
    """Trains a cell, resuming where an earlier run of the same task in `folder` stopped.

    A run of fewer steps goes on if its learning rate does not depend on their number.

    Writes `config.json`, `metrics.csv`, `checkpoints/`, `models/step_N/` and `models/best/` (of ARC
    with their `submission.json`), `puzzles/` with the test set where it is small enough in kind
    (Sudoku, Maze), `floss.csv` where the recipe has flossing, and what `settings` asks for. The
    folder can be loaded as a model (`rrjax.load_model`). Under `jax.distributed` all processes
    call this, and the first writes; they share the folder.

    Batches are made ahead, and metrics are fetched when the next step runs already, so that the
    device does not wait for the host.

    Args:
      task: what is trained; with the folder it says whether a run is the same.
      settings: when to report and save.
      folder: new, empty, or that of the same run.
      report: called after each logged row.
      devices: those of all processes that share the batch; None: `training_devices()`. A run may
        go on with another number of them: its values are then equal up to round-off.
      moved: called with the number of steps done and the seconds that the last of them took: before
        the first one, with 0 seconds, and after each program. The first includes the compilation.
      max_minutes: stop with a checkpoint at the first logged row after so many minutes; None: at
        the recipe's last step.

    Returns:
      The last evaluation; nothing in the processes that do not write.

    Raises:
      ValueError: if `folder` holds another run, one of another version of rrjax, or anything else,
        another job is training in it, no checkpoint in it is whole, a set that is not of Sudokus is
        to be augmented, or the devices cannot share the batch or multiply in bfloat16.
      FloatingPointError: if a loss, gradient or weight is no longer finite, or the loss jumps; the
        message names the last good checkpoint.
    """
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    deadline = time.monotonic() + 60 * (max_minutes or float("inf"))
    devices = devices or training_devices()
    config, recipe = task.config, task.recipe
    check_dtype(config.arch.forward_dtype, devices[0])
    placement = Placement(devices, recipe.global_batch_size)
    sampler = Sampler(task.train, recipe.global_batch_size, recipe.seed, task.augment)
    program_recipe = replace(recipe, seed=0)  # the state has the seed: one program for all seeds
    run_step, run_floss = placement.jit(train_step), _floss_program(task, placement)
    with (
        fixed_generator(),
        held_by_job(task, settings, folder),
        closing(Checkpoints(folder / "checkpoints")) as checkpoints,
        _naming_the_last(checkpoints, folder),
    ):
        start = None if task.start is None else unflatten(jax.tree.map(jnp.asarray, task.start))
        state = placement.state(init_train_state(config, recipe, start))
        restored = checkpoints.restore(state) or restore_compact(folder, state, task, placement)
        state, record = restored or (state, {"losses": ()})
        done = int(state.step)
        log = logs.Logs(folder)
        log.keep(done)
        log_floss = partial(log.write, logs.FLOSS)
        monitor = Monitor(settings.spike_factor, record["losses"])
        rows = Rows(log, monitor, report, recipe.global_batch_size)
        rate = recipe_schedule(recipe, recipe.lr)
        steps = range(done + 1, recipe.steps + 1)
        drawn = made_ahead(lambda step: placement.rows(sampler.batch(step - 1)), steps)
        with closing(drawn) as batches:
            pace = Pace(moved, done)
            for step, batch in zip(steps, batches, strict=True):
                if recipe.floss.steps_before(step - 1):
                    rows.write_closed()  # flossing may take long, and may stop the run
                state = floss_before(step, state, recipe.floss, run_floss, log_floss)
                state, metrics = run_step(config, program_recipe, state, batch)
                norm = metrics.pop("parameter_norm")
                pace.keep(step, norm)
                rows.write_closed()  # that of the step before: the device is at this one now
                rows.add(metrics)
                is_last = step == recipe.steps
                if not (is_last or step % settings.log_every == 0):
                    continue
                rows.close(step, {"parameter_norm": norm, "learning_rate": rate(step - 1)})
                is_over = is_last or _agreed(time.monotonic() >= deadline)
                is_evaluated = is_last or step % settings.eval_every == 0
                is_saved = is_over or step % settings.checkpoint_every == 0
                if not (is_evaluated or is_saved):
                    continue
                wait_for(norm)
                row = rows.take()[1]
                if is_evaluated:
                    row |= _judge(task, settings, folder, state, placement, step, log)
                rows.write(step, row)
                if is_saved:
                    checkpoints.save(step, state, {"losses": monitor.losses})
                rows.restart_clock()
                if is_over:
                    break
        return log.last_evaluation() if logs.writes() else {}


@contextmanager
def _naming_the_last(checkpoints: Checkpoints, folder: Path) -> Iterator[None]:
    """Adds to the message of a run that cannot go on which checkpoint is good, and advice."""
    try:
        yield
    except FloatingPointError as error:
        last = checkpoints.last()
        if last is None and (folder / COMPACT).is_file():
            last = folder / COMPACT
        good = f"there is none yet in {folder / 'checkpoints'}" if last is None else f"it is {last}"
        raise FloatingPointError(
            f"{error}; the last good checkpoint: {good}; start again elsewhere with a lower lr or "
            "a longer warm-up"
        ) from error


def _agreed(is_over: bool) -> bool:
    """Returns what the first process says, in all processes."""
    if jax.process_count() == 1:
        return is_over
    return bool(multihost_utils.broadcast_one_to_all(np.bool_(is_over)))


def _floss_program(
    task: TrainingTask, placement: Placement
) -> Callable[[TrainState, Flat], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns a function that takes one flossing step; what cannot be flossed is refused here."""
    config, recipe = task.config, task.recipe
    sampler = Sampler(task.train, recipe.floss.puzzles, recipe.seed, task.augment, stream=1)
    if recipe.floss.active:
        placement.check("floss.puzzles", recipe.floss.puzzles)
        check_floss(config, recipe, sampler.batch(0))
    program, count = placement.jit(floss_step), -1

    def run(state: TrainState, reference: Flat) -> tuple[TrainState, dict[str, jax.Array]]:
        nonlocal count  # on the host as well, which need not wait for the device's
        assert state.floss is not None
        count = int(state.floss.count) if count < 0 else count + 1
        batch = placement.rows(sampler.batch(count))
        return program(config, replace(recipe, seed=0), state, batch, reference)

    return run


def _judge(
    task: TrainingTask,
    settings: LoopSettings,
    folder: Path,
    state: TrainState,
    placement: Placement,
    step: int,
    log: logs.Logs,
) -> dict[str, float]:
    """Evaluates and saves the model after a step; returns test metrics by their logged names."""
    ballot = Ballot()
    outcome, tables = _evaluate(task, settings, state, placement, ballot)
    for name, lines in tables.items():
        log.write(name, *({"step": step, **line} for line in lines))
    if logs.writes():
        _save(task, folder, state, step, outcome, log.best(), ballot)
    return {f"{logs.EVALUATED}{name}": value for name, value in outcome.items()}


def _evaluate(
    task: TrainingTask,
    settings: LoopSettings,
    state: TrainState,
    placement: Placement,
    ballot: Ballot,
) -> tuple[dict[str, float], dict[str, list[logs.Row]]]:
    """Returns the test metrics, and the tables by segment that the settings ask for.

    Metrics from the clean start come first, and then those from perturbed starts, named by σ.
    `ballot` collects the answers from the clean start.
    """
    number = min(settings.eval_puzzles or len(task.test), len(task.test))
    size, params = task.recipe.global_batch_size, model_params(state, task.recipe)
    drawn = chance(task.recipe, INITIAL_VECTORS[task.config.arch.name])
    random = {"drawn": drawn, "seed": task.recipe.seed}
    together = evaluation_size(params, task.config, size, number, placement.rows, drawn)
    arguments = (params, task.config, task.test, together, number, placement.rows)
    outcome = evaluate(*arguments, ballot=ballot, **random)
    for sigma in settings.eval_sigmas:
        noisy = evaluate(*arguments, noise=StartNoise(sigma, task.recipe.seed), **random)
        del noisy["count"]
        outcome |= {f"{name}@sigma={sigma:g}": value for name, value in noisy.items()}
    tables: dict[str, list[logs.Row]] = {}
    if settings.log_recursion or settings.log_latents:
        # the variance over puzzles is that of a batch, which stays the batch of training
        statistics = segment_statistics(*arguments[:3], size, *arguments[4:], **random)
        if settings.log_recursion:
            tables[logs.RECURSION] = statistics.metrics
        if settings.log_latents:
            tables[logs.LATENTS] = statistics.latents
    return outcome, tables


def _save(
    task: TrainingTask,
    folder: Path,
    state: TrainState,
    step: int,
    outcome: dict[str, float],
    best: float,
    ballot: Ballot,
) -> None:
    """Saves the model as a folder, and again as `best` if it solves more than all before it."""
    arrays = {name: np.asarray(leaf) for name, leaf in model_params(state, task.recipe).items()}
    made_by: dict[str, Any] = {"trained": task.identity(), "step": step, "test": outcome}
    arc = read_arc_test(task.test)
    models = folder / "models"
    # a run that was made compact has no best model, though one was better
    is_best = outcome["exact_accuracy"] > best or not (models / "best").exists()
    for model in (models / name for name in [f"step_{step:06d}", *(["best"] * is_best)]):
        save_model(model, arrays, task.config, made_by, replace=True)
        if arc is not None:
            write_submission(model / "submission.json", arc.tasks, ballot)
