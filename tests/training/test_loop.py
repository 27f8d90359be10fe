"""Runs of `rrjax train`: resumed to the same bits, whole files, refusals."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from rrjax.cells import flatten
from rrjax.cli import main
from rrjax.models import load_model
from rrjax.training import loop
from rrjax.training.augment import Augmentation
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.evaluate import evaluate
from rrjax.training.loop import identity, train
from rrjax.training.recipe import Recipe
from rrjax.training.step import TrainState, init_train_state, train_step
from tests.training import tiny

ROOT = Path(__file__).parents[2]
KILLED_AT_15 = """
import os, signal, sys
from rrjax.cli import main
from rrjax.training.loop import Log

write = Log.write

def write_and_die(log, step, means):
    write(log, step, means)
    if step == 15:
        os.kill(os.getpid(), signal.SIGKILL)

Log.write = write_and_die
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sudoku4"
    assert main(["sudoku", str(folder), *tiny.SUDOKU]) == 0
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    options = [
        *tiny.options(tiny.ARCH, "arch."),
        *tiny.options(tiny.RECIPE),
        *tiny.options(tiny.RHYTHM),
    ]
    return ["train", "--data", str(data), "--out", str(out), "--augment", *options, *more]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A run of thirty steps that nothing interrupts."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(command(data, out)) == 0
    return out


def lines(out: Path) -> list[dict]:
    """The logged lines without the one number that is not reproducible."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(record.pop("seconds_per_step") > 0 for record in records)
    return records


def last_state(out: Path, recipe: Recipe = tiny.RECIPE) -> TrainState:
    checkpoints = Checkpoints(out / "checkpoints")
    try:
        found = checkpoints.restore(init_train_state(tiny.CONFIG, recipe))
    finally:
        checkpoints.close()
    assert found is not None
    return found[0]


def assert_same_run(one: Path, other: Path):
    assert lines(one) == lines(other)
    chex.assert_trees_all_equal(last_state(one), last_state(other))
    for step in (10, 20, 30):
        name = f"models/step_{step:06d}/model.safetensors"
        assert (one / name).read_bytes() == (other / name).read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_log_has_a_line_every_five_steps_and_an_evaluation_every_ten(whole):
    records = lines(whole)
    assert [record["step"] for record in records] == [5, 10, 15, 20, 25, 30]
    for record in records:
        assert ("test/exact_accuracy" in record) == (record["step"] % 10 == 0)
        assert {"loss", "lm_loss", "q_halt_loss", "accuracy", "exact_accuracy", "steps"} <= set(
            record
        )
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["test/count"] == 12


def test_config_says_what_ran_and_how(whole):
    config = json.loads((whole / "config.json").read_text())
    assert config["identity"] == json.loads(json.dumps(identity(tiny.task())))
    assert config["identity"]["recipe"]["seed"] == 1
    assert config["rhythm"]["log_every"] == 5
    assert {"rrjax", "jax", "flax"} <= set(config["made_by"]["versions"])
    assert "git" in config["made_by"]


def test_saved_model_is_the_averaged_one_that_was_evaluated(whole):
    model = load_model(whole / "models" / "step_000030")
    state = last_state(whole)
    flat = flatten(model.params)
    for name, leaf in (state.average | state.fixed).items():
        np.testing.assert_array_equal(flat[name], leaf)
    found = evaluate(flat, model.config, tiny.sets()[1], 8, 12)
    assert {f"test/{name}": value for name, value in found.items()}.items() <= lines(whole)[
        -1
    ].items()
    assert model.provenance["test"] == found


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(data, whole, tmp_path, capsys):
    out = tmp_path / "killed"
    arguments = command(data, out)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_15, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [record["step"] for record in lines(out)] == [5, 10, 15]
    # the line of step 15 has no checkpoint, so it must go; so must half a line
    assert any((out / "checkpoints" / step).is_dir() for step in ("5", "10"))
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2')
    assert main(arguments) == 0
    assert_same_run(out, whole)
    assert "exact_accuracy" in capsys.readouterr().out


class _StopError(Exception):
    pass


def test_an_interrupted_run_goes_on_to_the_same_bits_and_compiles_once(
    whole, tmp_path, monkeypatch
):
    """The state that a checkpoint gives back has the very types of the state that a step gives."""
    chex.clear_trace_counter()
    counted = chex.assert_max_traces(train_step.__wrapped__, n=1)
    step = jax.jit(counted, static_argnums=(0, 1), donate_argnums=2)
    monkeypatch.setattr(loop, "train_step", step)

    def stop(step: int, means: dict[str, float]):
        if step == 20:
            raise _StopError

    with pytest.raises(_StopError):
        train(tiny.task(), tiny.RHYTHM, tmp_path / "run", stop)
    seen = []
    train(tiny.task(), tiny.RHYTHM, tmp_path / "run", lambda step, means: seen.append(step))
    assert seen == [20, 25, 30]  # stopped before the checkpoint of step 20
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("rollout", ["serial_act", "parallel_fixed"])
def test_an_interrupted_augmented_run_goes_on_to_the_same_bits(tmp_path, rollout):
    """Noise, its size and the ramp are functions of seed, step, slot and trajectory."""
    augmentation = Augmentation(
        "multi_perturbed_ce", rollout, num_trajectories=2, sigma=(0.1, 1.0), ramp_steps=12
    )
    task = tiny.task(steps=15, augmentation=augmentation)
    rhythm = dataclasses.replace(tiny.RHYTHM, eval_sigmas=(0.5,))

    def stop(step: int, means: dict[str, float]):
        if step == 10:
            raise _StopError

    train(task, rhythm, tmp_path / "whole", lambda step, means: None)
    with pytest.raises(_StopError):
        train(task, rhythm, tmp_path / "run", stop)
    train(task, rhythm, tmp_path / "run", lambda step, means: None)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    states = [last_state(tmp_path / name, task.recipe) for name in ("run", "whole")]
    chex.assert_trees_all_equal(*states)
    for name in ("step_000010", "step_000015", "best"):
        files = [tmp_path / run / "models" / name / "model.safetensors" for run in ("run", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert "test/exact_accuracy@sigma=0.5" in lines(tmp_path / "run")[-1]


def test_the_best_model_is_the_first_of_the_highest_accuracy(tmp_path, monkeypatch):
    accuracies = iter((0.25, 0.5, 0.5))
    monkeypatch.setattr(loop, "evaluate", lambda *_: {"exact_accuracy": next(accuracies)})
    train(tiny.task(), tiny.RHYTHM, tmp_path / "run", lambda step, means: None)
    best = load_model(tmp_path / "run" / "models" / "best")
    assert best.provenance["step"] == 20
    assert best.provenance["test"] == {"exact_accuracy": 0.5}
    models = tmp_path / "run" / "models"
    files = [models / name / "model.safetensors" for name in ("best", "step_000020")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_latent_that_the_cell_lacks_is_refused_before_anything_is_written(tmp_path):
    task = tiny.task(augmentation=Augmentation("single_perturbed_ce", latents="z_H"))
    single = dataclasses.replace(tiny.ARCH, name="trm_singlez")
    task = dataclasses.replace(task, config=dataclasses.replace(tiny.CONFIG, arch=single))
    with pytest.raises(ValueError, match=r"augmentation\.latents must .*has z_L; got z_H"):
        train(task, tiny.RHYTHM, tmp_path / "run", lambda step, means: None)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_left_as_it_is(data, whole, capsys):
    before = contents(whole / "models") | {"log": (whole / "metrics.jsonl").read_bytes()}
    assert main(command(data, whole)) == 0
    assert contents(whole / "models") | {"log": (whole / "metrics.jsonl").read_bytes()} == before
    assert (
        f"exact_accuracy {lines(whole)[-1]['test/exact_accuracy']:.4g}" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        (["--seed", "2"], "its recipe.seed is 1, asked for 2"),
        (["--arch.halt-max-steps", "5"], "its config.arch.halt_max_steps is 4, asked for 5"),
        (["--no-augment"], "its augment is True, asked for False"),
        (
            ["--augmentation.rollout", "masked_act"],
            "its recipe.augmentation.rollout is serial_act, asked for masked_act",
        ),
    ],
)
def test_the_folder_of_another_run_is_refused(data, whole, capsys, more, difference):
    before = (whole / "metrics.jsonl").read_bytes()
    assert main(command(data, whole, *more)) == 2
    error = capsys.readouterr().err
    assert "holds another run" in error
    assert difference in error
    assert (whole / "metrics.jsonl").read_bytes() == before


def test_other_groups_of_the_same_puzzles_are_another_run():
    task = tiny.task()
    groups = np.array([0, 2, *range(3, 25)], np.int32)
    metadata = type(task.train.metadata)(**{**vars(task.train.metadata), "total_groups": 23})
    train_set = type(task.train)(
        **{**vars(task.train), "group_indices": groups, "metadata": metadata}
    )
    other = type(task)(**{**vars(task), "train": train_set})
    assert identity(other) != identity(task)


def test_a_folder_with_something_else_is_refused(data, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(command(data, tmp_path)) == 2
    assert "is not empty and holds no run" in capsys.readouterr().err
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path, capsys):
    out = tmp_path / "hot"
    assert main(command(data, out, "--lr", "1e30", "--lr-warmup-steps", "0")) == 2
    error = capsys.readouterr().err
    assert "at step 5" in error
    assert str(out / "checkpoints") in error
    assert "Traceback" not in error
    assert lines(out) == []
