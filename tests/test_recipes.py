"""Every recipe is a configuration, its header's commands parse, and its arithmetic is right."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest
import tyro

from rrjax.cells import Arch, Config
from rrjax.commands import arc, maze, sudoku, train
from rrjax.puzzles import PuzzleSet, build_sudokus, generate_sudokus
from rrjax.training import loop
from rrjax.training.config_file import read_config_file
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.task import TrainingTask

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
NAMES = [path.stem for path in RECIPES]
OURS = ("cpu_", "fast_")
"""Beginnings of the names of recipes that are not the official ones."""
BUNDLED = (
    "trm_sudoku6",
    "trm_sudoku9",
    "hrm_sudoku6",
    "transformer_sudoku6",
    "lstm_sudoku6",
)
PARSERS: dict[str, Callable[[list[str]], object]] = {
    "sudoku": lambda arguments: tyro.cli(sudoku.Options, args=arguments),
    "maze": lambda arguments: tyro.cli(maze.Options, args=arguments),
    "arc": lambda arguments: tyro.cli(arc.Options, args=arguments),
    "train": lambda words: train.parse(train.Options, words, "rrjax train"),
}


def header(path: Path) -> str:
    """The comment at the top, without its marks."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line[1:].removeprefix(" ") for line in lines[:end])


def commands(path: Path) -> list[list[str]]:
    """The indented commands of a header, as words."""
    joined = header(path).replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("  ")]


def own_commands(path: Path, name: str) -> list[list[str]]:
    """The arguments of one of our commands wherever the header gives it."""
    return [words[2:] for words in commands(path) if words[:2] == ["rrjax", name]]


def test_the_official_runs_and_those_for_a_cpu_are_there():
    official = [f"{cell}_{task}" for cell in ("trm_att", "hrm") for task in ("arc1", "arc2")]
    official += [f"{cell}_sudoku_extreme" for cell in ("trm_mlp", "trm_att", "hrm")]
    official += [f"{cell}_maze_hard" for cell in ("trm_att", "hrm")]
    small = [f"cpu_{task}" for task in ("sudoku4", "maze10", "arc1", "hrm_sudoku9", *BUNDLED)]
    fast = ["fast_sudoku", "cpu_fast_sudoku", "cpu_official_sudoku"]
    basins = [f"cpu_{way}_sudoku6" for way in ("small", "eqr", "wta")]
    assert sorted(NAMES) == sorted(official + small + fast + basins)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_is_read_without_a_complaint(path, capsys):
    arch, recipe = read_config_file(path)
    assert recipe.steps > recipe.lr_warmup_steps
    assert (arch.forward_dtype == "float32") == path.stem.startswith("cpu_")
    assert "no effect" not in capsys.readouterr().err


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_the_commands_of_a_header_parse(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ours = [words for words in commands(path) if words[0] == "rrjax"]
    for words in ours:
        PARSERS[words[1]](words[2:])
    (arguments,) = own_commands(path, "train")
    options = train.parse(train.Options, arguments, "rrjax train")
    assert options.config == path.relative_to(ROOT)
    assert (options.arch, options.recipe) == read_config_file(path)
    made = [str(words[2]) for words in ours[:-1]]
    assert str(options.data) in made


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_header_says_what_was_measured_here_and_what_was_only_published(path):
    words = " ".join(header(path).split())
    assert ("Measured" in words) == path.stem.startswith("cpu_")
    assert ("Published, not run here: " in words) == (not path.stem.startswith(OURS))
    assert ("Modelled, not run here: " in words) == path.stem.startswith("fast_")


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_epochs_are_converted_to_steps_as_upstream_does(path):
    arch, recipe = read_config_file(path)
    number = r"([\d.]+)"
    found = re.search(
        rf"{number} epochs x {number} groups x {number} examples / {number} = (\d+)",
        " ".join(header(path).split()),
    )
    if path.stem.startswith(OURS):
        assert found is None
        return
    assert found is not None
    epochs, groups, examples, batch, steps = map(float, found.groups())
    assert int(epochs * groups * examples / batch) == steps == recipe.steps
    assert (batch, arch.name == "trm") == (recipe.global_batch_size, recipe.ema)


def task_of(options: train.Options, sets: tuple[PuzzleSet, ...]) -> TrainingTask:
    meta = sets[0].metadata
    config = Config(options.arch, meta.seq_len, meta.vocab_size)
    return TrainingTask(config, options.recipe, *sets, options.augment)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_models_script_is_the_recipe_that_trained_it(name, monkeypatch):
    """By its arguments that of the header, and by its identity the run the model comes from."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / "scripts" / "models" / f"train_{name}.sh").read_text().replace("\\\n", " ")
    text = text.replace('"$(dirname "$0")/../..', '"scripts/..')
    words = [shlex.split(line) for line in text.splitlines() if line.startswith("rrjax train")]
    script = train.parse(train.Options, words[0][2:], "rrjax train")
    (arguments,) = own_commands(ROOT / "recipes" / f"cpu_{name}.yaml", "train")
    recipe = train.parse(train.Options, arguments, "rrjax train")
    assert (script.loop, script.augment) == (recipe.loop, recipe.augment)
    size = int(name[-1])
    sets = (
        build_sudokus(generate_sudokus(size, 1, seed=0)),
        build_sudokus(generate_sudokus(size, 1, seed=1)),
    )
    found = task_of(script, sets).identity()
    assert found == task_of(recipe, sets).identity()
    folder = ROOT / "rrjax" / "bundled" / name.replace("_", "-")
    trained = json.loads((folder / "config.json").read_text())["provenance"]["trained"]
    # fields that are newer than the run stand at what they were
    assert script.arch == Arch(**trained["config"]["arch"])
    recorded = asdict(Recipe()) | trained["recipe"]
    assert json.loads(json.dumps([asdict(script.recipe), script.augment])) == json.loads(
        json.dumps([recorded, trained["augment"]])
    )


@pytest.mark.parametrize(
    ("model", "recipe", "stage_of_recipe", "start"),
    [
        ("trm-maze10", "cpu_maze10", -1, ""),
        ("hrm-sudoku9", "cpu_hrm_sudoku9", 0, "models/step_{steps:06d}"),
    ],
)
def test_the_last_stage_of_a_models_script_trained_it(model, recipe, stage_of_recipe, start):
    """One cell; each stage begins with the weights of the one before, at no higher a rate."""
    script = ROOT / "scripts" / "models" / f"train_{model.replace('-', '_')}.sh"
    text = script.read_text().replace("\\\n", " ")
    path = ROOT / "recipes" / f"{recipe}.yaml"
    lines = [line.replace("$config", str(path)) for line in text.splitlines()]
    words = [shlex.split(line)[2:] for line in lines if line.startswith("rrjax train")]
    stages = [train.parse(train.Options, each, "rrjax train") for each in words]
    first, *later = stages
    assert first.start is None
    for before, stage in pairwise(stages):
        assert stage.start == str(before.out / start.format(steps=before.recipe.steps))
        assert stage.recipe.muon_lr <= before.recipe.muon_lr
    assert later[-1].recipe.muon_lr < first.recipe.muon_lr
    arch, of_recipe = read_config_file(path)
    assert {stage.arch for stage in stages} == {arch}
    assert stages[stage_of_recipe].recipe == of_recipe
    config = ROOT / "rrjax" / "bundled" / model / "config.json"
    trained = json.loads(config.read_text())["provenance"]["trained"]
    assert Arch(**trained["config"]["arch"]) == arch
    assert trained["recipe"] == json.loads(json.dumps(asdict(later[-1].recipe)))


@pytest.mark.slow
def test_the_small_recipe_trains(tmp_path):
    arch, recipe = read_config_file(ROOT / "recipes" / "cpu_sudoku4.yaml")
    few: Recipe = replace(recipe, steps=2, global_batch_size=4)
    sets = (
        build_sudokus(generate_sudokus(4, 8, seed=0)),
        build_sudokus(generate_sudokus(4, 4, seed=1)),
    )
    options = train.Options(Path(), Path(), augment=True, arch=arch, recipe=few)
    task = task_of(options, sets)
    outcome = loop.train(task, LoopSettings(1, 2, 2), tmp_path / "run", lambda step, numbers: None)
    assert outcome["count"] == 4
    assert (tmp_path / "run" / "models" / "best" / "model.safetensors").is_file()
