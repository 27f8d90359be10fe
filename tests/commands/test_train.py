"""`rrjax train`: options, YAML files of defaults, and data sets that do not fit."""

import dataclasses
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from rrjax.cli import main
from rrjax.puzzles import build_sudokus, generate_sudokus, write_folder
from rrjax.training import loop
from rrjax.training.config_file import read_config_file
from rrjax.training.settings import Augmentation, Floss, Recipe
from rrjax.training.task import TrainingTask
from tests.tools import tiny_training as tiny

OFFICIAL = Path(__file__).parents[1] / "golden" / "trm_mlp" / "all_config.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sudoku4"
    train, test = tiny.sets()
    write_folder(folder, {"train": train, "test": test})
    return folder


@pytest.fixture
def tasks(monkeypatch) -> list[TrainingTask]:
    """The tasks that the command would train."""
    found = []

    def record(task, *_):
        found.append(task)
        return {"count": 1.0}

    monkeypatch.setattr(loop, "train", record)
    return found


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def refusal(arguments: list[str], capsys) -> str:
    """The message of a request that the command refuses."""
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_an_official_config_is_a_file_of_defaults(data, tasks, tmp_path, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", str(OFFICIAL)]
    assert main(["train", *arguments, "--lr", "0.5", "--arch.H-cycles", "2"]) == 0
    arch, recipe = tasks[0].config.arch, tasks[0].recipe
    assert recipe == Recipe(
        global_batch_size=3, lr=0.5, lr_warmup_steps=0, puzzle_emb_lr=0.01, seed=7, ema=False
    )  # upstream averages only where its config says so
    assert (arch.name, arch.mlp_t, arch.puzzle_emb_len) == ("trm", True, 16)
    assert (arch.H_cycles, arch.L_cycles, arch.halt_max_steps) == (2, 6, 4)
    assert tasks[0].config.seq_len == 16
    error = capsys.readouterr().err
    for key in ("data_paths", "epochs"):
        assert f"{key} has no effect here" in error


# every key that the two official training programs write into all_config.yaml
_SHARED_KEYS = """
global_batch_size: 768
epochs: 100000
lr: 0.0003
lr_min_ratio: 0.1
lr_warmup_steps: 2000
weight_decay: 0.1
beta1: 0.9
beta2: 0.95
puzzle_emb_lr: 0.01
puzzle_emb_weight_decay: 0.1
project_name: Arc-aug-1000 ACT-torch
run_name: null
checkpoint_path: checkpoints/run
seed: 3
checkpoint_every_eval: true
eval_interval: 10000
eval_save_outputs: []
arch:
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  H_cycles: 2
  L_cycles: 2
  L_layers: 4
  hidden_size: 512
  num_heads: 8
  expansion: 4
  puzzle_emb_ndim: 512
  pos_encodings: rope
  loss: {name: losses@ACTLossHead, loss_type: stablemax_cross_entropy}
"""
_HRM = """  name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1
  H_layers: 4
data_path: data/arc-aug-1000
"""
_TRM = """  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_layers: 0
  forward_dtype: bfloat16
  mlp_t: false
  puzzle_emb_len: 16
  no_ACT_continue: true
data_paths: [data/arc-aug-1000]
data_paths_test: []
evaluators: [{name: arc@ARC}]
load_checkpoint: null
min_eval_interval: 0
ema: true
ema_rate: 0.999
freeze_weights: false
"""


@pytest.mark.parametrize(("keys", "cell"), [(_HRM, "hrm"), (_TRM, "trm")])
def test_every_key_of_an_official_config_is_taken(tmp_path, capsys, keys, cell):
    path = yaml_file(tmp_path, _SHARED_KEYS.lstrip() + keys)
    arch, recipe = read_config_file(path)
    assert (arch.name, arch.hidden_size, arch.puzzle_emb_ndim) == (cell, 512, 512)
    assert recipe == Recipe(lr=3e-4, lr_min_ratio=0.1, seed=3, ema=cell == "trm")
    named = {line.split()[1] for line in capsys.readouterr().err.splitlines()}
    given = set(yaml.safe_load(path.read_text())) - {"arch"}
    assert named == given - {field.name for field in dataclasses.fields(Recipe)}
    assert named & {"data_path", "data_paths"}


def test_the_equals_sign_does_as_well(data, tasks, tmp_path):
    arguments = [f"--data={data}", f"--out={tmp_path / 'run'}", f"--config={OFFICIAL}"]
    assert main(["train", *arguments]) == 0
    assert tasks[0].recipe.seed == 7


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path):
    path = yaml_file(tmp_path, "lr: 1e-4\nweight_decay: 1e0\nlr_min_ratio: 1\nema: false")
    expected = Recipe(lr=1e-4, weight_decay=1.0, lr_min_ratio=1.0, ema=False)
    assert read_config_file(path)[1] == expected


def test_options_and_a_yaml_file_say_how_trajectories_are_perturbed(data, tasks, tmp_path):
    text = "augmentation: {objective: multi_perturbed_ce, sigma: [3e-5, 3e-3], ramp_steps: 20}"
    path = yaml_file(tmp_path, text)
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", str(path)]
    more = ("--augmentation.sigma", "1e-4", "1e-2", "--augmentation.p-clean", "0.5")
    assert main(["train", *arguments, *more]) == 0
    assert tasks[0].recipe.augmentation == Augmentation(
        "multi_perturbed_ce", sigma=(1e-4, 1e-2), ramp_steps=20, p_clean=0.5
    )
    assert read_config_file(path)[1].augmentation.sigma == (3e-5, 3e-3)


def test_options_and_a_yaml_file_say_when_to_floss(data, tasks, tmp_path):
    text = "floss: {every: 20, episode: 3, segments: [1, 4], params: [L_*], lr: 1e-4}"
    path = yaml_file(tmp_path, text)
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", str(path)]
    more = (
        "--floss.pre",
        "5",
        "--floss.loss",
        "one_sided_leading",
        "--floss.segments-per-qr",
        "None",
    )
    assert main(["train", *arguments, *more]) == 0
    assert tasks[0].recipe.floss == Floss(
        pre=5,
        every=20,
        episode=3,
        loss="one_sided_leading",
        segments=(1, 4),
        segments_per_qr=None,
        params=("L_*",),
        lr=1e-4,
    )
    assert read_config_file(path)[1].floss.at_most is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--augmentation.num-trajectories", "0"], "num_trajectories must be at least 1"),
        (["--augmentation.sigma", "2", "1"], "sigma must be two finite numbers"),
        (["--eval-sigmas", "0.3", "-1"], "eval_sigmas must be finite and at least 0"),
        (["--augmentation.rollout", "parallel"], "parallel"),
        (["--augmentation.sigma", "1", "2"], "augmentation.sigma must stay at (0.001, 0.001)"),
        (
            ["--floss.loss", "one_sided_leading"],
            "floss.loss must stay at two_sided without",
        ),
        (["--steps", "99999999999"], "steps must be at most 2147483647"),
        (
            ["--arch.halt-max-steps", "99999999999"],
            "halt_max_steps must be at most 10000",
        ),
        (["--arch.expansion", "1e300"], "arch.expansion must be above 0 and at most 1000"),
    ],
)
def test_wrong_noise_is_refused_by_name(data, tmp_path, capsys, more, message):
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *more]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("augmentation: [multi]", "must be a mapping, got ['multi']"),
        ("augmentation: {objectiv: clean_ce}", "did you mean 'objective'?"),
        ("augmentation: {objective: kl}", "objective must be one of clean_ce"),
        ("augmentation: {sigma: 1e-3}", "sigma must be a list of 2 numbers, got '1e-3'"),
        ("augmentation: {sigma: [1, two]}", "sigma must be a number, got 'two'"),
        ("floss: {loss: l2}", "floss.loss must be one of two_sided, one_sided, one_sided_leading"),
        ("floss: {which: some}", "floss.which must be one of all, failing, correct"),
        ("floss: {params: L_level}", "floss.params must be a list of texts, got 'L_level'"),
        ("floss: {segments: [1]}", "floss.segments must be a list of 2 integers, got [1]"),
        ("floss: {pre: 1e3}", "floss.pre must be an integer, got '1e3'"),
        ("freeze_weights: true", "freeze_weights is not supported"),
        ("augmentation: {ramp_steps: 1.5}", "ramp_steps must be an integer, got 1.5"),
        ("lr_warmup_step: 5", "did you mean 'lr_warmup_steps'?"),
        ("arch: {name: trm, hiden_size: 32}", "did you mean 'hidden_size'?"),
        ("arch:", "must be a mapping, got None"),
        ("- lr", "must hold a mapping, found list"),
        ("", "must hold a mapping, found NoneType"),
        ("lr: [", "is not YAML"),
        ("lr: fast", "lr must be a number, got 'fast'"),
        ("lr: true", "lr must be a number, got True"),
        ("steps: 10.5", "steps must be an integer, got 10.5"),
        ("seed: .inf", "seed must be an integer, got inf"),
        ("ema: 1", "ema must be true or false, got 1"),
        ("beta1: 1.5", "beta1 must be at least 0 and below 1, got 1.5"),
    ],
)
def test_a_wrong_yaml_file_is_refused(text, message, data, tmp_path, capsys):
    path = yaml_file(tmp_path, text)
    out = tmp_path / "run"
    error = refusal(["--data", str(data), "--out", str(out), "--config", str(path)], capsys)
    assert message in error
    assert not out.exists()


def test_a_finished_run_whose_log_is_gone_says_so(data, tmp_path, capsys, monkeypatch):
    def finished(task, settings, folder, report, devices, moved, max_minutes):
        moved(task.recipe.steps, 0.0)
        return {}

    monkeypatch.setattr(loop, "train", finished)
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run")]) == 0
    assert "finished, but its metrics.csv has no evaluation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "words"),
    [("768", "a batch of 384 (--global-batch-size 384)"), ("1", "not even one puzzle fits")],
)
def test_too_little_memory_names_a_batch_size(data, tmp_path, capsys, monkeypatch, size, words):
    def run_out(*arguments):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")

    monkeypatch.setattr(loop, "train", run_out)
    arguments = ["--data", str(data), "--out", str(tmp_path), "--global-batch-size", size]
    message = refusal(arguments, capsys)
    assert "\nrrjax: out of memory: allocating 8 bytes; " in message
    assert words in message


def test_a_file_that_is_no_text_is_named(data, tmp_path, capsys):
    path = tmp_path / "noise.yaml"
    path.write_bytes(b"\xff\xda")
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", str(path)]
    assert f"{path}: expected a text file" in refusal(arguments, capsys)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_labels_is_refused(tmp_path, capsys, split):
    sets = dict(zip(("train", "test"), tiny.sets(), strict=True))
    sets[split] = dataclasses.replace(sets[split], labels=np.zeros_like(sets[split].labels))
    write_folder(tmp_path / "data", sets)
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    error = refusal(arguments, capsys)
    assert f"{tmp_path / 'data' / split}: expected labels, found none" in error
    assert not (tmp_path / "run").exists()


def test_an_absent_yaml_file_is_named(data, tmp_path, capsys):
    path = tmp_path / "absent.yaml"
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", str(path)]
    assert str(path) in refusal(arguments, capsys)


@pytest.mark.parametrize(
    "more",
    [["--learning-rate", "1"], ["--arch.loops", "2"], ["--steps", "many"], ["--arch.name", "gpt"]],
)
def test_an_unknown_option_or_value_is_refused(data, tmp_path, capsys, more):
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *more]) == 2
    assert more[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_absent_data_set_is_refused(tmp_path, capsys):
    out = tmp_path / "run"
    error = refusal(["--data", str(tmp_path / "absent"), "--out", str(out)], capsys)
    assert "absent/train/dataset.json" in error
    assert not out.exists()


def test_one_split_is_not_taken_for_both(data, tmp_path, capsys):
    error = refusal(["--data", str(data / "train"), "--out", str(tmp_path / "run")], capsys)
    assert "is one split; pass the folder that holds train/ and test/" in error


def test_sets_of_different_puzzles_are_refused(tmp_path, capsys):
    six = build_sudokus(generate_sudokus(6, 1, seed=0, clues=(20, 30)))
    write_folder(tmp_path / "data", {"train": tiny.sets()[0], "test": six})
    out = tmp_path / "run"
    error = refusal(["--data", str(tmp_path / "data"), "--out", str(out)], capsys)
    assert "seq_len of train is 16, of test 36" in error
    assert not out.exists()


def edited(array: str, change):
    """A folder's `train` with one of its arrays changed."""

    def edit(folder: Path):
        path = folder / "train" / f"all__{array}.npy"
        np.save(path, change(np.load(path)))

    return edit


def with_vocabulary(folder: Path):
    path = folder / "test" / "dataset.json"
    path.write_text(path.read_text().replace('"vocab_size": 6', '"vocab_size": 7'))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edited("labels", lambda a: a[:-1]), "labels: expected int32 or uint8 of shape (24, 16)"),
        (
            edited("inputs", lambda a: a[:, :-1]),
            "inputs: expected int32 or uint8 of shape (24, 16)",
        ),
        (edited("labels", lambda a: a + 1), "labels: expected values 0..5, found 6 at"),
        (edited("inputs", lambda a: a[:0]), "found"),
        (
            edited("puzzle_identifiers", lambda a: a + 1),
            "puzzle_ids: expected values 0..0, found 1",
        ),
        (edited("group_indices", lambda a: a[::-1]), "expected bounds that rise from 0 to 24"),
        (with_vocabulary, "vocab_size of train is 6, of test 7"),
    ],
)
def test_a_damaged_or_mixed_data_set_is_refused_by_name(data, tmp_path, capsys, edit, message):
    folder, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, folder)
    edit(folder)
    error = refusal(["--data", str(folder), "--out", str(out)], capsys)
    assert message in error
    assert str(folder) in error
    assert not out.exists()


def test_augmenting_what_is_no_sudoku_is_refused_before_anything_is_written(tmp_path, capsys):
    sets = [
        dataclasses.replace(part, metadata=dataclasses.replace(part.metadata, vocab_size=9))
        for part in tiny.sets()
    ]
    write_folder(tmp_path / "data", dict(zip(("train", "test"), sets, strict=True)))
    out = tmp_path / "run"
    error = refusal(["--data", str(tmp_path / "data"), "--out", str(out), "--augment"], capsys)
    assert "augment moves only Sudokus" in error
    assert not out.exists()


def test_a_training_says_its_size_what_a_step_takes_and_how_to_go_on(
    data, tmp_path, monkeypatch, capsys
):
    def stopped(task, settings, folder, report, devices, moved, max_minutes):
        assert max_minutes == 2.5
        for done, seconds in ((4, 0.0), (5, 30.0), (6, 0.5)):
            moved(done, seconds)
        report(10, {"loss": 1.0})
        return {"exact_accuracy": 0.25}

    monkeypatch.setattr(loop, "train", stopped)
    arguments = ["train", "--data", str(data), "--out", str(tmp_path / "my run")]
    assert main([*arguments, "--max-minutes", "2.5", "--arch.mlp-t"]) == 0
    captured = capsys.readouterr()
    size, recipes, *lines = captured.err.splitlines()
    # two SwiGLUs a layer: over 16 tokens (inner width 256) and over 512 features (1536); 6 tokens
    # in and out, two outputs of the q head with their biases, two initial states
    num_weights = 2 * (3 * 256 * 16 + 3 * 1536 * 512) + 2 * 6 * 512 + 2 * 513 + 2 * 512
    assert size == (
        f"trm of width 512, {num_weights:,} weights; 10,000 steps, each of 21 updates at batch "
        "size 768, with 16 tokens a puzzle; on 1 device (cpu)"
    )
    assert "recipes for a processor are cpu_arc1, " in recipes
    assert lines[:2] == [
        "training: going on after step 4; compiling the step…",
        "compiled; the first step was done after 30 s",
    ]
    forecast = "a step takes 0.5 s: 83 min for the other 9,994 steps, evaluations aside; it has "
    assert sum(line.startswith(forecast) and line.endswith("so far") for line in lines) == 1
    last = captured.out.splitlines()[-1]
    assert "stopped after 10 of 10,000 steps" in last
    assert "(exact_accuracy 0.25)" in last
    command = shlex.split(last.partition("to go on: ")[2])
    assert command == ["rrjax", *arguments, "--max-minutes", "2.5", "--arch.mlp-t"]


def test_a_named_recipe_needs_no_other_to_be_named(data, tasks, tmp_path, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--config", "cpu_sudoku4"]
    assert main(["train", *arguments]) == 0
    assert "recipes for a processor" not in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_a_time_that_is_no_time_is_refused(data, tmp_path, capsys, minutes):
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--max-minutes", minutes]
    assert "max_minutes must be finite and above 0, got" in refusal(arguments, capsys)
    assert not (tmp_path / "run").exists()
