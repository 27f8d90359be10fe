"""`rrjax search`: spaces, what a trial is worth, going on after a kill, the best as a YAML file."""

import csv
import json
import math
import os
import shlex
import sys
from pathlib import Path

import pytest

from rrjax.cells import Arch
from rrjax.commands import search as command
from rrjax.commands import train as train_command
from rrjax.puzzles import write_folder
from rrjax.store import hold_folder
from rrjax.training import search as training
from rrjax.training.config_file import dump_config, read_config_file
from rrjax.training.search_space import FIELDS, Choices, Range, read_space, with_values
from rrjax.training.settings import Augmentation, Recipe
from tests.tools import tiny_training as tiny

pytest.importorskip("optuna")

SPACE = """
recipe.lr: {low: 1e-5, high: 1e-1, log: true}
recipe.global_batch_size: {low: 4, high: 16}
arch.hidden_size: {choices: [32, 64]}
"""
STEPS = (10, 20, 30)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sudoku4"
    train, test = tiny.sets()
    write_folder(folder, {"train": train, "test": test})
    return folder


class Runs:
    """Stands in for `train`: accuracy 1 − |log10 lr + 3| / 4, reached in three evaluations."""

    def __init__(self):
        self.seen: list[tuple[str, Arch, Recipe]] = []
        self.at = lambda folder, step: None

    def train(self, task, settings, folder, report, devices, moved):
        self.seen.append((folder.name, task.config.arch, task.recipe))
        top = 1 - abs(math.log10(task.recipe.lr) + 3) / 4
        for step in STEPS:
            self.at(folder, step)
            report(step - 5, {"loss": 1.0})
            report(step, {"test/exact_accuracy": top * step / STEPS[-1]})


@pytest.fixture
def runs(monkeypatch) -> Runs:
    stand_in = Runs()
    monkeypatch.setattr(training, "train", stand_in.train)
    return stand_in


def arguments(data: Path, out: Path, *more: str, space: str = SPACE) -> list[str]:
    path = out.with_name(f"{out.name}-space.yaml")
    path.write_text(space)
    return ["--data", str(data), "--out", str(out), "--space", str(path), "--steps", "30", *more]


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_search_names_its_best_trial(data, tmp_path, runs, capsys):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "5", "--augment"))
    found = rows(out)
    assert [row["trial"] for row in found] == ["0", "1", "2", "3", "4"]
    assert {row["state"] for row in found} == {"complete"}
    for (name, arch, recipe), row in zip(runs.seen, found, strict=True):
        assert int(name) == int(row["trial"])
        assert float(row["recipe.lr"]) == recipe.lr
        assert 1e-5 <= recipe.lr <= 1e-1
        assert arch.hidden_size == int(row["arch.hidden_size"]) in (32, 64)
        assert 4 <= recipe.global_batch_size <= 16
        assert float(row["exact_accuracy"]) == 1 - abs(math.log10(recipe.lr) + 3) / 4
    best = max(found, key=lambda row: float(row["exact_accuracy"]))
    text = (out / "best.yaml").read_text()
    assert f"Trial {best['trial']} of a search" in text
    assert read_config_file(out / "best.yaml") == runs.seen[int(best["trial"])][1:]
    again = shlex.split(text.splitlines()[1].removeprefix("# rrjax train"))
    options = train_command.parse(train_command.Options, again, "rrjax train")
    assert (options.arch, options.recipe) == runs.seen[int(best["trial"])][1:]
    assert options.augment
    assert "New puzzles would show less" in " ".join(capsys.readouterr().out.split())


def test_a_killed_search_goes_on_and_draws_what_it_would_have_drawn(data, tmp_path, runs):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = ("--num-trials", "5", "--num-random", "2")
    command.main(arguments(data, whole, *more))
    expected = runs.seen[:]

    def kill(folder, step):
        if folder == broken / "trials" / "0003" and step == 20:
            raise KeyboardInterrupt

    runs.seen, runs.at = [], kill
    with pytest.raises(KeyboardInterrupt):
        command.main(arguments(data, broken, *more))
    assert len(rows(broken)) == 3
    runs.at = lambda folder, step: None
    command.main(arguments(data, broken, *more))
    assert runs.seen == [*expected[:4], *expected[3:]]  # trial 3 again, in its folder
    assert rows(broken) == rows(whole)
    command.main(arguments(data, broken, *more))
    assert len(runs.seen) == 6


def test_half_an_entry_of_the_study_is_dropped(data, tmp_path, runs):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "1"))
    before = rows(out)
    with (out / "study.log").open("a") as file:
        file.write('{"op_code":5,"wor')
    command.main(arguments(data, out, "--num-trials", "2"))
    assert rows(out)[:1] == before
    assert [row["state"] for row in rows(out)] == ["complete"] * 2


def test_without_its_journal_a_search_goes_on_from_the_folders_of_its_trials(
    data, tmp_path, runs, monkeypatch
):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "2"))
    before = rows(out)
    for number in range(2):  # as training leaves them
        (out / "trials" / f"{number:04d}").mkdir(parents=True)
        accuracies = [f"{step},{before[number]['exact_accuracy']}" for step in STEPS]
        (out / "trials" / f"{number:04d}" / "metrics.csv").write_text(
            "\n".join(["step,test/exact_accuracy", "5,", *accuracies, ""])
        )
    (out / "study.log").write_bytes(b"")
    monkeypatch.setattr(training, "train", lambda *arguments: None)  # all steps are done
    command.main(arguments(data, out, "--num-trials", "2"))
    assert rows(out) == before


@pytest.mark.parametrize("entry", [b"[1]\n", b'{"op_code": 5}\n', b"\xff\n"])
def test_a_damaged_journal_is_named_and_left_as_it_is(data, tmp_path, runs, entry):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "1"))
    content = (out / "study.log").read_bytes() + entry
    (out / "study.log").write_bytes(content + b'{"torn')
    with pytest.raises(ValueError, match=r"study.log: expected the journal that Optuna wrote"):
        command.main(arguments(data, out, "--num-trials", "2"))
    assert (out / "study.log").read_bytes().startswith(content)


def test_more_trials_continue_a_finished_search(data, tmp_path, runs):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command.main(arguments(data, whole, "--num-trials", "4", "--num-random", "1"))
    for number in ("1", "4"):
        command.main(arguments(data, parts, "--num-trials", number, "--num-random", "1"))
    assert rows(parts) == rows(whole)
    assert len({recipe.lr for _, _, recipe in runs.seen}) == 4


def test_a_run_that_is_continued_may_repeat_an_evaluation(data, tmp_path, runs):
    out = tmp_path / "out"

    def kill(folder, step):
        if step == 30:
            raise KeyboardInterrupt

    runs.at = kill
    with pytest.raises(KeyboardInterrupt):
        command.main(arguments(data, out, "--num-trials", "1"))
    runs.at = lambda folder, step: None
    command.main(arguments(data, out, "--num-trials", "1"))
    (row,) = rows(out)
    assert float(row["exact_accuracy"]) == 1 - abs(math.log10(float(row["recipe.lr"])) + 3) / 4


@pytest.mark.parametrize(("objective", "share"), [("best", 2 / 3), ("final", 0.0)])
def test_a_run_that_diverges_is_worth_what_it_reached(data, tmp_path, runs, objective, share):
    def diverge(folder, step):
        if step == 30:
            raise FloatingPointError("the loss is nan at step 30")

    runs.at = diverge
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "2", "--objective", objective))
    for row in rows(out):
        top = 1 - abs(math.log10(float(row["recipe.lr"])) + 3) / 4
        assert float(row["exact_accuracy"]) == pytest.approx(share * top)
        assert row["stopped"] == "the loss is nan at step 30"


def test_the_last_evaluation_may_be_what_counts(data, tmp_path, monkeypatch):
    def forget(task, settings, folder, report, devices, moved):
        report(10, {"test/exact_accuracy": 0.9})
        report(20, {"test/exact_accuracy": 0.2})

    monkeypatch.setattr(training, "train", forget)
    for objective, worth in (("best", "0.9"), ("final", "0.2")):
        out = tmp_path / objective
        command.main(arguments(data, out, "--num-trials", "1", "--objective", objective))
        assert rows(out)[0]["exact_accuracy"] == worth


def test_poor_runs_are_stopped_where_that_is_asked_for(data, tmp_path, monkeypatch):
    steps_run: dict[str, int] = {}

    def train(task, settings, folder, report, devices, moved):
        for step in STEPS:
            steps_run[folder.name] = step
            report(step, {"test/exact_accuracy": 0.5 if int(folder.name) < 5 else 0.1})

    monkeypatch.setattr(training, "train", train)
    command.main(arguments(data, tmp_path / "out", "--num-trials", "7", "--prune"))
    assert [row["state"] for row in rows(tmp_path / "out")] == ["complete"] * 5 + ["pruned"] * 2
    assert list(steps_run.values()) == [30] * 5 + [10] * 2


def test_values_that_no_cell_can_have_are_a_failed_trial(data, tmp_path, runs):
    space = (
        "arch.hidden_size: {choices: [32, 40]}"  # 8 heads of 5: rotary halves need an even number
    )
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "6", space=space))
    found = {row["arch.hidden_size"]: row for row in rows(out)}
    assert found["32"]["state"] == "complete"
    assert found["40"]["state"] == "fail"
    assert "arch.num_heads 8 splits hidden_size 40" in found["40"]["stopped"]
    assert read_config_file(out / "best.yaml")[0].hidden_size == 32


def test_too_large_a_model_is_a_failed_trial_and_other_errors_end_the_search(data, tmp_path, runs):
    def fill(folder, step):
        if folder.name == "0000":
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    runs.at = fill
    command.main(arguments(data, tmp_path / "full", "--num-trials", "2"))
    assert [row["state"] for row in rows(tmp_path / "full")] == ["fail", "complete"]

    def break_down(folder, step):
        raise RuntimeError("a defect")

    runs.at = break_down
    with pytest.raises(RuntimeError, match="a defect"):
        command.main(arguments(data, tmp_path / "broken", "--num-trials", "2"))


def test_a_search_without_any_result_says_why(data, tmp_path, runs):
    space = "arch.hidden_size: {choices: [40, 56]}"
    with pytest.raises(ValueError, match=r"none of 3 trials could be trained.*splits hidden_size"):
        command.main(arguments(data, tmp_path / "out", "--num-trials", "3", space=space))


@pytest.mark.parametrize(
    ("more", "space", "message"),
    [
        (["--search-seed", "1"], SPACE, "its search_seed is 0, asked for 1"),
        (["--lr-warmup-steps", "7"], SPACE, "lr_warmup_steps is 2000, asked for 7"),
        ([], SPACE.replace("1e-1", "1e-2"), "high is 0.1, asked for 0.01"),
    ],
)
def test_a_folder_of_another_search_is_refused(data, tmp_path, runs, more, space, message):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "1"))
    with pytest.raises(ValueError, match=message):
        command.main(arguments(data, out, "--num-trials", "1", *more, space=space))


def test_a_search_of_another_version_is_refused_by_name(data, tmp_path, runs):
    path = tmp_path / "out" / "config.json"
    command.main(arguments(data, path.parent, "--num-trials", "1"))
    record = json.loads(path.read_text())
    assert record.pop("format") == "search 1"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"config\.json names no format, .* 'search 1' only"):
        command.main(arguments(data, path.parent, "--num-trials", "1"))


def test_only_one_process_searches_a_folder(data, tmp_path, runs):
    out = tmp_path / "out"
    command.main(arguments(data, out, "--num-trials", "1"))
    message = rf"is being searched by another process \(process {os.getpid()} on .* since .* UTC\)"
    with hold_folder(out, "searched"), pytest.raises(ValueError, match=message):
        command.main(arguments(data, out, "--num-trials", "2"))
    assert len(rows(out)) == 1


def test_without_optuna_the_extra_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install optuna"):
        command.main(arguments(data, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_space_says_what_is_tried(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        SPACE + "augmentation.objective: {choices: [clean_ce, multi_perturbed_ce]}\n"
        "arch.mlp_t: {choices: [true, false]}\nrecipe.weight_decay: {choices: [1e-1, 1]}\n"
    )
    assert read_space(path) == {
        "recipe.lr": Range(1e-5, 1e-1, log=True),
        "recipe.global_batch_size": Range(4, 16),
        "arch.hidden_size": Choices((32, 64)),
        "augmentation.objective": Choices(("clean_ce", "multi_perturbed_ce")),
        "arch.mlp_t": Choices((True, False)),
        "recipe.weight_decay": Choices((0.1, 1.0)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe.lrr: {low: 1, high: 2}", "no field with 'recipe.lrr'; did you mean 'recipe.lr'?"),
        ("lr: {low: 1, high: 2}", "did you mean 'recipe.lr'?"),
        ("arch.hiden_size: {choices: [1, 2]}", "did you mean 'arch.hidden_size'?"),
        ("recipe.augmentation: {choices: [1, 2]}", "names no field"),
        ("recipe.floss: {choices: [1, 2]}", "names no field"),
        ("recipe.steps: {low: 5, high: 99999999999}", "steps must be at most 2147483647"),
        ("recipe.lr: {low: 0, high: 1" + "0" * 400 + "}", "recipe.lr must be a number"),
        ("floss.loss: {choices: [l2, one_sided_leading]}", "floss.loss must be one of two_sided"),
        ("floss.puzzles: {low: 0, high: 4}", "floss.puzzles must be at least 1"),
        ("augmentation.sigma: {low: 0, high: 1}", "names no field"),
        ("recipe.lr: {lo: 1, high: 2}", "has no key 'lo'; did you mean 'low'?"),
        ("recipe.lr: {low: 1e-5}", "recipe.lr lacks 'high'"),
        ("recipe.lr: [1, 2]", r"must be {choices: [...]} or {low: ..., high: ...}"),
        ("recipe.lr: {choices: [1, 2], log: true}", "has no key 'log'"),
        ("recipe.lr: {choices: [1]}", "a list of two values or more"),
        ("recipe.lr: {choices: 1}", "a list of two values or more"),
        ("recipe.lr: {choices: [1, 1e0]}", "name each value once"),
        ("recipe.lr: {low: 2, high: 1}", "a low below its high"),
        ("recipe.lr: {low: 0, high: .inf}", "both finite"),
        ("recipe.lr: {low: .nan, high: 1}", "a low below its high"),
        ("recipe.lr: {low: 0, high: 1, log: true}", "a low above 0"),
        ("recipe.lr: {low: 1, high: 2, log: 1}", "recipe.lr.log must be true or false"),
        ("recipe.lr: {low: -1, high: 1}", "lr must be finite and at least 0"),
        ("recipe.lr: {low: slow, high: 1}", "recipe.lr must be a number, got 'slow'"),
        ("recipe.steps: {low: 1.5, high: 3}", "recipe.steps must be an integer, got 1.5"),
        ("recipe.steps: {low: 0, high: 3}", "steps must be at least 1, got 0"),
        ("recipe.ema: {low: 0, high: 1}", "recipe.ema must be {choices: [...]}"),
        ("recipe.ema: {choices: [true, 1]}", "recipe.ema must be true or false, got 1"),
        ("arch.name: {choices: [trm, gpt]}", "arch.name must be one of trm, "),
        (
            "augmentation.p_clean: {low: 0, high: 2}",
            "augmentation.p_clean must be at least 0 and at most 1",
        ),
        ("augmentation.rollout: {choices: [serial_act, parallel]}", "must be one of serial_act"),
        ("", "must map names of fields to the values to try"),
        ("- recipe.lr", "must map names of fields to the values to try"),
        ("recipe.lr: [", "is not YAML"),
    ],
)
def test_a_wrong_space_is_refused_by_name(data, tmp_path, runs, text, message):
    out = tmp_path / "out"
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        command.main(arguments(data, out, space=text))
    assert message in str(refused.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num-trials", "0"], "num_trials must be at least 1"),
        (["--num-random", "0"], "num_random must be at least 1"),
        (["--search-seed", "-1"], "search_seed must be at least 0"),
    ],
)
def test_wrong_options_are_refused(data, tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        command.main(arguments(data, tmp_path / "out", *more))


def test_every_field_that_is_named_can_be_set():
    task = tiny.task()
    current = {
        "arch": task.config.arch,
        "recipe": task.recipe,
        "augmentation": task.recipe.augmentation,
        "floss": task.recipe.floss,
    }
    for name in FIELDS:
        part, _, field = name.partition(".")
        assert with_values(task, {name: getattr(current[part], field)}) == task
    changed = with_values(
        task, {"arch.L_cycles": 5, "recipe.lr": 0.5, "augmentation.p_clean": 0.25}
    )
    assert changed.config.arch.L_cycles == 5
    assert (changed.recipe.lr, changed.recipe.augmentation.p_clean) == (0.5, 0.25)


@pytest.mark.parametrize(
    "arch",
    [
        tiny.ARCH,
        Arch(puzzle_emb_ndim=512, puzzle_emb_len=16, loss_type="softmax_cross_entropy"),
        Arch("hrm", H_layers=4, L_layers=4, forward_dtype="bfloat16"),
        Arch("transformer", H_layers=2),
        Arch("lstm", H_layers=1),
        Arch("mixer", H_layers=1),
        Arch("srm", kappa=0.5),
    ],
    ids=lambda arch: arch.name,
)
def test_a_yaml_file_of_any_cell_is_read_back(arch, tmp_path):
    augmentation = Augmentation("multi_perturbed_ce", sigma=(1e-5, 1e-2), latents="z_L")
    recipe = Recipe(lr=1e-5, ema=False, augmentation=augmentation)
    path = tmp_path / "best.yaml"
    path.write_text(dump_config(arch, recipe))
    assert read_config_file(path) == (arch, recipe)


@pytest.mark.slow
def test_a_tiny_search_trains(data, tmp_path):
    out = tmp_path / "out"
    base = [*tiny.options(tiny.ARCH, "arch."), "--global-batch-size", "4", "--lr-warmup-steps", "1"]
    settings = ["--log-every", "1", "--eval-every", "2", "--checkpoint-every", "2"]
    words = arguments(
        data, out, *base, *settings, "--num-trials", "2", space="recipe.lr: {low: 1e-4, high: 1e-2}"
    )
    words[words.index("--steps") + 1] = "2"
    command.main(words)
    found = rows(out)
    assert [row["state"] for row in found] == ["complete"] * 2
    assert all(0 <= float(row["exact_accuracy"]) <= 1 for row in found)
    for number in ("0000", "0001"):
        assert (out / "trials" / number / "models" / "best" / "model.safetensors").is_file()
    assert read_config_file(out / "best.yaml")[0] == tiny.ARCH
