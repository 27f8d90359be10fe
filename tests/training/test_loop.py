"""Runs of `rrjax train`: resumed to the same bits, whole files, refusals."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.array import ArrayImpl

from rrjax.cells import Arch, Config, flatten
from rrjax.cli import main
from rrjax.models import load_model
from rrjax.store import hold_folder
from rrjax.training import loop
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.data import Sampler
from rrjax.training.evaluate import evaluate
from rrjax.training.history import load_run
from rrjax.training.logs import LATENTS, RECURSION, read_table
from rrjax.training.loop import train
from rrjax.training.placement import Placement
from rrjax.training.settings import Augmentation, LoopSettings, Recipe
from rrjax.training.state import TrainState, init_train_state
from rrjax.training.step import train_step
from tests.tools import tiny_training as tiny

ROOT = Path(__file__).parents[2]
# `rrjax train`, killed after so many steps.
KILLED = """
import os, signal, sys
from rrjax.cli import main
from rrjax.training import loop

before = loop.floss_before

def die_before(step, *arguments):
    if step == int(sys.argv[1]) + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(step, *arguments)

loop.floss_before = die_before
main(sys.argv[2:])
"""
KILLS = sorted(np.random.default_rng(8).choice(np.arange(2, 30), 3, replace=False).tolist())
"""Steps chosen at random, of thirty with a checkpoint every five."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sudoku4"
    assert main(["sudoku", str(folder), *tiny.SUDOKU]) == 0
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    options = [
        *tiny.options(tiny.ARCH, "arch."),
        *tiny.options(tiny.RECIPE),
        *tiny.options(tiny.LOOP),
    ]
    return ["train", "--data", str(data), "--out", str(out), "--augment", *options, *more]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A run of thirty steps that nothing interrupts."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(command(data, out)) == 0
    return out


def lines(out: Path) -> list[dict]:
    """The logged rows without the numbers that are not reproducible, and without empty cells."""
    metrics = load_run(out).metrics
    for name in ("seconds_per_step", "examples_per_second"):
        assert (metrics.pop(name) > 0).all()
    rows = [dict(zip(metrics, row, strict=True)) for row in np.transpose([*metrics.values()])]
    return [{name: float(v) for name, v in row.items() if not np.isnan(v)} for row in rows]


def last_state(out: Path, recipe: Recipe = tiny.RECIPE, config: Config = tiny.CONFIG) -> TrainState:
    checkpoints = Checkpoints(out / "checkpoints")
    try:
        found = checkpoints.restore(init_train_state(config, recipe))
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
    assert config["identity"] == json.loads(json.dumps(tiny.task().identity()))
    assert config["identity"]["recipe"]["seed"] == 1
    assert config["loop"]["log_every"] == 5
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
def test_a_run_killed_at_random_steps_goes_on_to_the_same_bits(data, whole, tmp_path, capsys):
    out = tmp_path / "killed"
    arguments = command(data, out)
    for step in KILLS:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(step), *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=300,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert load_run(out).metrics["step"].tolist() == list(range(5, step + 1, 5))
    with (out / "metrics.csv").open("a") as file:
        file.write("2")  # of a row of step 25
    assert main(arguments) == 0
    assert_same_run(out, whole)
    assert sorted(int(path.name) for path in (out / "checkpoints").iterdir()) == [25, 30]
    assert "exact_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_run_goes_on_from_the_last_whole_checkpoint(data, whole, tmp_path, capsys, damaged):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    newest = sorted((out / "checkpoints").iterdir(), key=lambda path: -int(path.name))
    for folder in newest[:damaged]:
        file = max(folder.rglob("*"), key=lambda path: path.stat().st_size)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    if damaged == len(newest):
        assert main(command(data, out)) == 2
        assert "no checkpoint is whole" in capsys.readouterr().err
        return
    with pytest.warns(UserWarning, match=r"checkpoints/30 .*goes on from step 25"):
        assert main(command(data, out)) == 0
    assert_same_run(out, whole)


def test_a_checkpoint_of_another_architecture_is_refused(whole, tmp_path):
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    config = dataclasses.replace(tiny.CONFIG, arch=dataclasses.replace(tiny.ARCH, hidden_size=16))
    message = r"30 is of another architecture or recipe: trained/\S+ is float32 \(\d+, \d+\) in it"
    with (
        closing(Checkpoints(tmp_path / "checkpoints")) as checkpoints,
        pytest.raises(ValueError, match=message),
    ):
        checkpoints.restore(init_train_state(config, tiny.RECIPE))


class _StopError(Exception):
    pass


def test_an_interrupted_run_goes_on_to_the_same_bits_and_compiles_once(
    whole, tmp_path, monkeypatch
):
    """The state that a checkpoint gives back has the very types of the state that a step gives."""
    chex.clear_trace_counter()
    counted = chex.assert_max_traces(train_step, n=1)
    monkeypatch.setattr(loop, "train_step", counted)

    def stop(step: int, means: dict[str, float]):
        if step == 20:
            raise _StopError

    with pytest.raises(_StopError):
        train(tiny.task(), tiny.LOOP, tmp_path / "run", stop)
    seen = []
    train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: seen.append(step))
    assert seen == [20, 25, 30]  # stopped before the checkpoint of step 20
    assert_same_run(tmp_path / "run", whole)


def test_rows_that_are_written_late_are_the_same_rows(whole, tmp_path):
    settings = dataclasses.replace(tiny.LOOP, checkpoint_every=30)  # others wait for their row
    train(tiny.task(), settings, tmp_path / "run", lambda step, means: None)
    assert_same_run(tmp_path / "run", whole)


def test_a_run_that_is_spread_over_several_is_the_same_run(whole, tmp_path):
    seen = []
    for _ in range(6):
        train(
            tiny.task(),
            dataclasses.replace(tiny.LOOP, checkpoint_every=20),
            tmp_path / "run",
            lambda step, means: seen.append(step),
            max_minutes=1e-9,
        )
    assert seen == [5, 10, 15, 20, 25, 30]
    assert_same_run(tmp_path / "run", whole)


def test_a_fast_recipe_goes_on_to_the_same_bits(tmp_path):
    """The cuts come in the first four steps, in which slots give up their first puzzles."""
    recipe = {
        "lr_warmup_steps": 2,
        "lr_min_ratio": 0.0,
        "stagger_slots": True,
        "augmentation": Augmentation("winner_takes_all", num_trajectories=2, sigma=(0.5, 1.0)),
        "optimizer": "muon",
        "gradient_clip": 1.0,
        "label_smoothing": 0.2,
        "q_weight": 0.05,
    }
    arch = dataclasses.replace(tiny.ARCH, swiglu="normed", puzzle_emb_ndim=0, register_tokens=1)
    config = dataclasses.replace(tiny.CONFIG, arch=arch)
    task = dataclasses.replace(tiny.task(steps=6, **recipe), config=config)
    settings = LoopSettings(log_every=1, eval_every=6, checkpoint_every=6)
    for name, minutes in (("whole", [None]), ("cut", [1e-9] * 3 + [None])):
        for limit in minutes:
            train(task, settings, tmp_path / name, lambda *_: None, max_minutes=limit)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    states = [last_state(tmp_path / name, task.recipe, task.config) for name in ("cut", "whole")]
    chex.assert_trees_all_equal(*states)


def test_between_rows_nothing_moves_between_host_and_device_and_states_reuse_their_memory(
    tmp_path, monkeypatch
):
    programs, fetches = Placement.jit, []

    def guarded(placement, step):
        program = programs(placement, step)

        def run(config, recipe, state, batch):
            with jax.transfer_guard("disallow"):
                after = program(config, recipe, state, batch)
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
            return after

        return run

    def counted(tree):
        fetches.append("row")
        with monkeypatch.context() as patch:
            patch.setattr(ArrayImpl, "_value", value)
            return device_get(tree)

    def uncounted(array):
        fetches.append("array")
        return value.fget(array)

    def stop(step: int, means: dict[str, float]):
        if step == 20:
            raise _StopError

    value, device_get = ArrayImpl._value, jax.device_get
    monkeypatch.setattr(Placement, "jit", guarded)
    monkeypatch.setattr(ArrayImpl, "_value", property(uncounted))
    monkeypatch.setattr(jax, "device_get", counted)
    settings = LoopSettings(log_every=5, eval_every=100, checkpoint_every=100)
    with pytest.raises(_StopError):
        train(tiny.task(), settings, tmp_path / "run", stop)
    assert fetches == ["array", "row", "row", "row", "row"]  # the number of steps done, then rows


def test_what_stops_the_batches_stops_the_run(tmp_path, monkeypatch):
    batch = Sampler.batch

    def fail(sampler, step):
        if step == 7:
            raise OSError("the disk of the data is gone")
        return batch(sampler, step)

    monkeypatch.setattr(Sampler, "batch", fail)
    seen = []
    with pytest.raises(OSError, match="the disk of the data is gone"):
        train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: seen.append(step))
    assert seen == [5]


def test_a_folder_that_another_job_trains_in_is_refused(data, whole, capsys):
    before = (whole / "metrics.csv").read_bytes()
    with hold_folder(whole, "trained"):
        assert main(command(data, whole)) == 2
    error = capsys.readouterr().err
    assert f"{whole} is being trained by another process (process {os.getpid()} on " in error
    assert (whole / "metrics.csv").read_bytes() == before


RAMPED = Augmentation("multi_perturbed_ce", num_trajectories=2, sigma=(0.1, 1.0), ramp_steps=12)
AUGMENTED: dict[str, dict] = {
    "serial_act": {"augmentation": RAMPED},
    "parallel_fixed": {"augmentation": dataclasses.replace(RAMPED, rollout="parallel_fixed")},
    "EqR": {
        "augmentation": Augmentation("single_perturbed_ce", starts="random"),
        "update_noise": 0.01,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", AUGMENTED.values(), ids=AUGMENTED.keys())
def test_an_interrupted_augmented_run_goes_on_to_the_same_bits(tmp_path, recipe):
    """Starts, noise, its size and the ramp are functions of seed, step, slot and trajectory."""
    task = tiny.task(steps=15, **recipe)
    settings = dataclasses.replace(tiny.LOOP, eval_sigmas=(0.5,))

    def stop(step: int, means: dict[str, float]):
        if step == 10:
            raise _StopError

    train(task, settings, tmp_path / "whole", lambda step, means: None)
    with pytest.raises(_StopError):
        train(task, settings, tmp_path / "run", stop)
    train(task, settings, tmp_path / "run", lambda step, means: None)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    states = [last_state(tmp_path / name, task.recipe) for name in ("run", "whole")]
    chex.assert_trees_all_equal(*states)
    for name in ("step_000010", "step_000015", "best"):
        files = [tmp_path / run / "models" / name / "model.safetensors" for run in ("run", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert "test/exact_accuracy@sigma=0.5" in lines(tmp_path / "run")[-1]


def test_the_best_model_is_the_first_of_the_highest_accuracy(tmp_path, monkeypatch):
    accuracies = iter((0.25, 0.5, 0.5))
    monkeypatch.setattr(loop, "evaluate", lambda *_, **__: {"exact_accuracy": next(accuracies)})
    train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: None)
    best = load_model(tmp_path / "run" / "models" / "best")
    assert best.provenance["step"] == 20
    assert best.provenance["test"] == {"exact_accuracy": 0.5}
    models = tmp_path / "run" / "models"
    files = [models / name / "model.safetensors" for name in ("best", "step_000020")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_latent_that_the_cell_lacks_is_refused():
    task = tiny.task(augmentation=Augmentation("single_perturbed_ce", latents="z_H"))
    single = dataclasses.replace(
        tiny.CONFIG, arch=dataclasses.replace(tiny.ARCH, name="trm_singlez")
    )
    with pytest.raises(ValueError, match=r"augmentation\.latents must .*has z_L; got z_H"):
        dataclasses.replace(task, config=single)


def test_a_run_is_a_model_with_its_test_puzzles(whole):
    model = load_model(whole)
    assert model.folder == whole / "models" / "best"
    assert model.test_puzzles().digest() == tiny.sets()[1].digest()


@pytest.mark.parametrize("content", [{}, {"format": "training run 0"}])
def test_a_run_of_another_version_is_refused_by_name(whole, tmp_path, content):
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    assert record.pop("format") == "training run 1"
    path.write_text(json.dumps(record | content))
    with pytest.raises(ValueError, match=r"config\.json .*format.* reads 'training run 1' only"):
        train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: None)


def test_a_finished_run_is_left_as_it_is(data, whole, capsys):
    before = contents(whole / "models") | {"log": (whole / "metrics.csv").read_bytes()}
    assert main(command(data, whole)) == 0
    assert contents(whole / "models") | {"log": (whole / "metrics.csv").read_bytes()} == before
    assert (
        f"exact_accuracy {lines(whole)[-1]['test/exact_accuracy']:.4g}" in capsys.readouterr().out
    )


def test_a_finished_run_goes_on_with_more_steps_to_the_same_bits(data, whole, tmp_path, capsys):
    out = tmp_path / "short"
    assert main(command(data, out, "--steps", "20")) == 0
    assert main(command(data, out)) == 0
    assert_same_run(whole, out)
    record = json.loads((out / "config.json").read_text())
    assert record["identity"] == json.loads((whole / "config.json").read_text())["identity"]
    assert record["prolonged_from"] == [20]
    assert main(command(data, out, "--steps", "20")) == 2
    assert "its recipe.steps is 30, asked for 20" in capsys.readouterr().err


def test_more_steps_are_refused_where_the_learning_rate_depends_on_them(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    record["identity"]["recipe"]["lr_min_ratio"] = 0.1
    path.write_text(json.dumps(record))
    task = tiny.task(steps=40, lr_min_ratio=0.1)
    with pytest.raises(ValueError, match="30 steps, which cannot go on to 40: its learning rate"):
        train(task, tiny.LOOP, tmp_path / "run", lambda step, means: None)
    assert path.read_text() == json.dumps(record)


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
    before = (whole / "metrics.csv").read_bytes()
    assert main(command(data, whole, *more)) == 2
    error = capsys.readouterr().err
    assert "holds another run" in error
    assert difference in error
    assert (whole / "metrics.csv").read_bytes() == before


def test_a_run_from_before_a_setting_existed_has_its_default(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    record = json.loads(path.read_text())
    del record["identity"]["recipe"]["floss"]
    del record["identity"]["recipe"]["ema"]
    del record["identity"]["config"]["arch"]["rope_theta"]
    path.write_text(json.dumps(record))
    train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: None)
    with pytest.raises(ValueError, match=r"its recipe\.ema is None, asked for False"):
        train(tiny.task(ema=False), tiny.LOOP, tmp_path / "run", lambda step, means: None)
    train(tiny.task(steps=35), tiny.LOOP, tmp_path / "run", lambda step, means: None)
    assert json.loads(path.read_text())["identity"]["recipe"]["ema"] is True


def test_other_groups_of_the_same_puzzles_are_another_run():
    task = tiny.task()
    groups = np.array([0, 2, *range(3, 25)], np.int32)
    metadata = type(task.train.metadata)(**{**vars(task.train.metadata), "total_groups": 23})
    train_set = type(task.train)(
        **{**vars(task.train), "group_indices": groups, "metadata": metadata}
    )
    other = type(task)(**{**vars(task), "train": train_set})
    assert other.identity() != task.identity()


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
    assert f"there is none yet in {out / 'checkpoints'}" in error
    assert "Traceback" not in error
    assert not (out / "metrics.csv").exists()


def test_a_gradient_that_is_not_finite_stops_the_run_and_names_the_last_checkpoint(
    tmp_path, monkeypatch
):
    """The loss of that step is still finite; the weights after it are not."""

    def poisoned(config, recipe, state, batch):
        state, metrics = train_step(config, recipe, state, batch)
        bad = jnp.where(state.step == 12, jnp.nan, 0)
        return state, metrics | {"gradient_norm": metrics["gradient_norm"] + bad}

    monkeypatch.setattr(loop, "train_step", poisoned)
    last = tmp_path / "run" / "checkpoints" / "10"
    message = rf"norm of the gradient is nan at step 15; the last good checkpoint: it is {last};"
    with pytest.raises(FloatingPointError, match=message):
        train(tiny.task(), tiny.LOOP, tmp_path / "run", lambda step, means: None)
    assert last.is_dir()


def test_logged_norms_speed_and_rate_are_those_of_the_run(whole):
    metrics = load_run(whole).metrics
    state, recipe = last_state(whole), tiny.RECIPE
    norm = np.sqrt(sum(float(np.sum(np.square(leaf))) for leaf in state.trained.values()))
    assert metrics["parameter_norm"][-1] == pytest.approx(norm, rel=1e-5)
    assert (metrics["gradient_norm"] > 0).all()
    rates = [recipe.lr * min(1, step / recipe.lr_warmup_steps) for step in metrics["step"]]
    np.testing.assert_allclose(metrics["learning_rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(
        metrics["examples_per_second"] * metrics["seconds_per_step"], recipe.global_batch_size
    )


def test_config_counts_the_weights(whole):
    state = last_state(whole)
    expected = {
        "trained": sum(leaf.size for leaf in state.trained.values()),
        "fixed": sum(leaf.size for leaf in state.fixed.values()),
    }
    assert load_run(whole).config["num_weights"] == expected


def test_segment_tables_end_where_the_evaluation_does(tmp_path):
    settings = dataclasses.replace(tiny.LOOP, log_recursion=True, log_latents=True)
    run = tmp_path / "run"
    train(tiny.task(steps=20), settings, run, lambda step, means: None)
    segments = [1, 2, 3, 4] * 2
    recursion, latents = (read_table(run / name) for name in (RECURSION, LATENTS))
    for table in (recursion, latents):
        assert table["step"].tolist() == [10] * 4 + [20] * 4
        assert table["segment"].tolist() == segments
    metrics = load_run(run).metrics
    for name in ("accuracy", "exact_accuracy"):
        evaluated = metrics[f"test/{name}"]
        np.testing.assert_allclose(recursion[name][3::4], evaluated[~np.isnan(evaluated)])
    columns = ["l2_norm", "cosine_prev", "batch_variance"]
    assert list(latents)[2:] == [f"{z}_{name}" for z in ("z_H", "z_L") for name in columns]


def test_a_run_starts_from_the_weights_of_a_model(data, whole, tmp_path, capsys):
    out = tmp_path / "run"
    more = ("--steps", "2", "--log-every", "1", "--eval-every", "2", "--checkpoint-every", "2")
    slow = ("--lr", "0", "--puzzle-emb-lr", "0", "--no-ema")
    assert main(command(data, out, "--start", str(whole), *more, *slow)) == 0
    before, after = load_model(whole), load_model(out)
    chex.assert_trees_all_equal(before.params, after.params)
    capsys.readouterr()
    assert main(command(data, out, *more, *slow)) == 2
    assert "its start is" in capsys.readouterr().err


def test_weights_that_do_not_fit_are_no_start(data, whole, tmp_path, capsys):
    for arch, message in (
        (("--arch.hidden-size", "64"), "L_level.layers.0.mlp.down_proj.weight: expected shape"),
        (("--arch.swiglu", "normed"), "was trained with arch.swiglu silu"),
        (
            ("--arch.no-mlp-t", "--arch.pos-encodings", "rope2d"),
            "was trained with arch.pos_encodings none, and this run has rope2d",
        ),
    ):
        assert main(command(data, tmp_path / "run", "--start", str(whole), *arch)) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_muon_is_refused_where_there_are_no_linear_layers():
    task = tiny.task(optimizer="muon")
    srm = Config(Arch("srm", hidden_size=8), seq_len=16, vocab_size=6)
    with pytest.raises(ValueError, match="optimizer: muon steps along the matrices of linear"):
        dataclasses.replace(task, config=srm)


def test_rates_of_muon_without_muon_are_refused(data, tmp_path, capsys):
    assert main(command(data, tmp_path / "run", "--muon-lr", "0.5")) == 2
    assert "muon_lr must stay at 0.02 without optimizer muon; got 0.5" in capsys.readouterr().err
