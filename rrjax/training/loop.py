"""The training loop, which logs, evaluates, saves checkpoints and resumes from them."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils

from rrjax.jobs.devices import Device
from rrjax.keys import fixed_generator
from rrjax.models import PUZZLES, save_model
from rrjax.puzzles.arc_evaluate import Ballot, write_submission
from rrjax.puzzles.folders import write_folder
from rrjax.store import check_format, claim_folder, describe_run, format_entry, read_json
from rrjax.training import logs
from rrjax.training.act import Flat
from rrjax.training.checkpoints import Checkpoints
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
from rrjax.training.placement import Placement, training_devices
from rrjax.training.settings import LoopSettings
from rrjax.training.state import TrainState, init_train_state, model_params
from rrjax.training.step import train_step
from rrjax.training.task import TrainingTask

Report = Callable[[int, dict[str, float]], None]
"""Called with the step and its metrics after each logged row, in the process that writes."""


def train(
    task: TrainingTask,
    settings: LoopSettings,
    folder: Path,
    report: Report,
    devices: Sequence[Device] | None = None,
) -> dict[str, float]:
    """Trains a cell, resuming where an earlier run of the same task in `folder` stopped.

    Writes `config.json`, `metrics.csv`, `checkpoints/`, `models/step_N/` and `models/best/` (of ARC
    with their `submission.json`), `puzzles/` with the test set where it is small enough in kind
    (Sudoku, Maze), `floss.csv` where the recipe has flossing, and what `settings` asks for. The
    folder can be loaded as a model (`rrjax.load_model`). Under `jax.distributed` all processes
    call this, and the first writes; they share the folder.

    Args:
      task: what is trained; with the folder it says whether a run is the same.
      settings: when to report, save and stop.
      folder: new, empty, or that of the same run.
      report: called after each logged row.
      devices: those of all processes that share the batch; None: `training_devices()`. A run may
        go on with another number of them: its values are then equal up to round-off.

    Returns:
      The last evaluation; nothing in the processes that do not write.

    Raises:
      ValueError: if `folder` holds another run, one of another version of rrjax, or anything else,
        no checkpoint in it is whole, a set that is not of Sudokus is to be augmented, or the
        devices cannot share the batch.
      FloatingPointError: if a loss, gradient or weight is no longer finite, or the loss jumps; the
        message names the last good checkpoint.
    """
    config, recipe = task.config, task.recipe
    placement = Placement(devices or training_devices(), recipe.global_batch_size)
    sampler = Sampler(task.train, recipe.global_batch_size, recipe.seed, task.augment)
    program_recipe = replace(recipe, seed=0)  # the state has the seed: one program for all seeds
    run_step, run_floss = placement.jit(train_step), _floss_program(task, placement)
    _claim(task, settings, folder)
    log = logs.Logs(folder)
    with fixed_generator(), closing(Checkpoints(folder / "checkpoints")) as checkpoints:
        state = placement.state(init_train_state(config, recipe))
        state, record = checkpoints.restore(state) or (state, {"losses": ()})
        monitor = Monitor(settings.spike_factor, record["losses"])
        log.keep(int(state.step))
        log_floss = partial(log.write, logs.FLOSS)
        window, rate = logs.Window(), recipe_schedule(recipe, recipe.lr)
        for step in range(int(state.step) + 1, recipe.steps + 1):
            try:
                state = floss_before(step, state, recipe.floss, run_floss, log_floss)
            except FloatingPointError as error:
                complaint = _stopped(str(error), step, folder, checkpoints)
                raise FloatingPointError(complaint) from error
            batch = placement.rows(sampler.batch(step - 1))
            state, metrics = run_step(config, program_recipe, state, batch)
            window.add(metrics)
            is_last = step == recipe.steps
            if not (is_last or step % settings.log_every == 0):
                continue
            means = window.close(recipe.global_batch_size) | {
                "parameter_norm": float(optax.tree.norm(state.trained)),
                "learning_rate": float(np.asarray(rate(step - 1))),
            }
            if complaint := monitor.complaint(means):
                raise FloatingPointError(_stopped(complaint, step, folder, checkpoints))
            if is_last or step % settings.eval_every == 0:
                ballot = Ballot()
                outcome, tables = _evaluate(task, settings, state, placement, ballot)
                for name, rows in tables.items():
                    log.write(name, *({"step": step, **row} for row in rows))
                if logs.writes():
                    _save(task, folder, state, step, outcome, log.best(), ballot)
                means |= {f"{logs.EVALUATED}{name}": value for name, value in outcome.items()}
            log.write(logs.METRICS, {"step": step, **means})
            if logs.writes():
                report(step, means)
            if is_last or step % settings.checkpoint_every == 0:
                checkpoints.save(step, state, {"losses": monitor.losses})
            window = logs.Window()
    return log.last_evaluation() if logs.writes() else {}


def _floss_program(
    task: TrainingTask, placement: Placement
) -> Callable[[TrainState, Flat], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns a function that takes one flossing step; what cannot be flossed is refused here."""
    config, recipe = task.config, task.recipe
    sampler = Sampler(task.train, recipe.floss.puzzles, recipe.seed, task.augment, stream=1)
    if recipe.floss.active:
        placement.check("floss.puzzles", recipe.floss.puzzles)
        check_floss(config, recipe, sampler.batch(0))
    program = placement.jit(floss_step)

    def run(state: TrainState, reference: Flat) -> tuple[TrainState, dict[str, jax.Array]]:
        assert state.floss is not None
        batch = placement.rows(sampler.batch(int(state.floss.count)))
        return program(config, replace(recipe, seed=0), state, batch, reference)

    return run


def _claim(task: TrainingTask, settings: LoopSettings, folder: Path) -> None:
    """Takes the folder, in the first process; the others wait, and stop where it was refused."""
    refusal = None
    if logs.writes():
        try:
            _claim_here(task, settings, folder)
        except (OSError, ValueError) as error:
            refusal = error
    if jax.process_count() > 1:
        refused = multihost_utils.broadcast_one_to_all(np.int32(refusal is not None))
        if refused and not logs.writes():
            raise ValueError(f"process 0 was refused {folder}; it says why")
    if refusal is not None:
        raise refusal


def _claim_here(task: TrainingTask, settings: LoopSettings, folder: Path) -> None:
    record = folder / "config.json"
    if record.is_file():
        check_format(read_json(record), *logs.RUN_FORMAT, record)
    state = jax.eval_shape(partial(init_train_state, task.config, task.recipe))
    description = {
        **format_entry(*logs.RUN_FORMAT),
        "loop": asdict(settings),
        "num_weights": {
            kind: sum(math.prod(leaf.shape) for leaf in getattr(state, kind).values())
            for kind in ("trained", "fixed")
        },
        "made_by": describe_run(),
    }
    claim_folder(folder, record.name, task.identity(), description)
    meta = task.test.metadata
    # `write_folder` does not write the sets of ARC, which may be huge
    is_plain = meta.num_puzzle_identifiers == 1 and meta.vocab_size <= 256 and meta.sets == ["all"]
    if is_plain and not (folder / PUZZLES).exists():
        write_folder(folder / PUZZLES, {"test": task.test})


def _stopped(complaint: str, step: int, folder: Path, checkpoints: Checkpoints) -> str:
    last = checkpoints.last()
    good = f"there is none yet in {folder / 'checkpoints'}" if last is None else f"it is {last}"
    return (
        f"{complaint} at step {step}; the last good checkpoint: {good}; start again elsewhere "
        "with a lower lr or a longer warm-up"
    )


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
    together = evaluation_size(params, task.config, size, number, placement.rows)
    arguments = (params, task.config, task.test, together, number, placement.rows)
    outcome = evaluate(*arguments, ballot=ballot)
    for sigma in settings.eval_sigmas:
        noisy = evaluate(*arguments, noise=StartNoise(sigma, task.recipe.seed))
        del noisy["count"]
        outcome |= {f"{name}@sigma={sigma:g}": value for name, value in noisy.items()}
    tables: dict[str, list[logs.Row]] = {}
    if settings.log_recursion or settings.log_latents:
        # the variance over puzzles is that of a batch, which stays the batch of training
        statistics = segment_statistics(*arguments[:3], size, *arguments[4:])
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
    names = [f"step_{step:06d}", *(["best"] if outcome["exact_accuracy"] > best else [])]
    for model in (folder / "models" / name for name in names):
        save_model(model, arrays, task.config, made_by, replace=True)
        if arc is not None:
            write_submission(model / "submission.json", arc.tasks, ballot)
