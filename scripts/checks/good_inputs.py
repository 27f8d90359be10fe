"""A folder of small good inputs of every kind, which bad ones are made from."""

import contextlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rrjax import cli
from rrjax.cells import Arch, Config, param_shapes
from rrjax.experiments import load_results
from rrjax.models import save_model
from rrjax.puzzles import generate_sudokus
from rrjax.puzzles.folders import write_folder
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.training.config_file import dump_config
from rrjax.training.settings import Recipe

ARCH = Arch(
    hidden_size=8,
    num_heads=1,
    expansion=1.0,
    H_cycles=1,
    L_cycles=1,
    L_layers=1,
    mlp_t=True,
    pos_encodings="none",
    halt_max_steps=2,
)
CONFIG = Config(ARCH, seq_len=16, vocab_size=6)
CONFIGS = {
    "model": CONFIG,
    "lstm": Config(
        Arch("lstm", hidden_size=32, H_layers=1, pos_encodings="none"), seq_len=16, vocab_size=6
    ),
    "walker": replace(CONFIG, seq_len=25),
}
"""A TRM for Sudokus, a cell that mixes tokens neither by attention nor by a gate, and a TRM for
mazes."""

RECIPE = Recipe(global_batch_size=4, steps=4, lr_warmup_steps=2)

SPECTRUM = ("spectrum", "model", "--puzzles", "data", "--num-exponents", "2")
SPECTRUM += ("--num-segments", "2", "--num-puzzles", "12", "--chunk-size", "4")
ROLLOUT = ("rollout", "model", "--puzzles", "data", "--num-segments", "2", "--num-puzzles", "2")
TRAIN = ("train", "--data", "data", "--config", "config.yaml", "--log-every", "2")
TRAIN += ("--eval-every", "2", "--checkpoint-every", "2")
SEARCH = ("search", *TRAIN[1:], "--space", "space.yaml", "--num-trials", "1")
STATES = ("inside", "states", "model", "--puzzles", "data", "--num-segments", "2")
_FEW = (*STATES[2:], "--num-puzzles", "2", "--out", "out")
_RECORDED = (*STATES[2:], "--num-puzzles", "12", "--states", "states", "--out", "out")
_POLICIES = ("--ways", "starts", "--num-runs", "2", "--max-evaluations", "20", "--out", "out")
_FLOSS = ("--floss.pre", "1", "--augmentation.objective", "multi_perturbed_ce")

COMMANDS: dict[str, tuple[str, ...]] = {
    "spectrum": (*SPECTRUM, "--out", "out"),
    "rollout": (*ROLLOUT, "--out", "out"),
    "basin": ("basin", *ROLLOUT[1:], "--num-restarts", "2", "--sigmas", "1", "--out", "out"),
    "ptrm": ("ptrm", *ROLLOUT[1:], "--num-runs", "2", "--out", "out"),
    "policies": ("policies", "model", "--puzzles", "data", "--num-puzzles", "2", *_POLICIES),
    "slice": ("slice", *ROLLOUT[1:-2], "--grid", "3", "--out", "out"),
    "inside states": (*STATES, "--num-puzzles", "12", "--out", "out"),
    "inside similarity": ("inside", "similarity", "states", "--out", "out"),
    "inside dimension": ("inside", "dimension", "states", "--out", "out"),
    "inside information": ("inside", "information", "states", "--out", "out"),
    "inside neurons": ("inside", "neurons", "states", "--out", "out"),
    "inside probe": ("inside", "probe", "states", "--out", "out"),
    "inside blanks": ("inside", "blanks", *_FEW),
    "inside logits": ("inside", "logits", *_FEW),
    "inside circuits": ("inside", "circuits", *_FEW),
    "inside mixing": ("inside", "mixing", *STATES[2:-2], "--num-puzzles", "2", "--out", "out"),
    "inside erase": ("inside", "erase", *_RECORDED[:-2], "--segments", "1", *_RECORDED[-2:]),
    "inside meaning": ("inside", "meaning", *_RECORDED),
    "solve": ("solve", "model", "puzzle.txt", "--num-segments", "2"),
    "analyse": ("analyse", "spectrum", "--out", "out"),
    "report": ("report", "spectrum", "run", "--out", "out.html"),
    "train": (*TRAIN, *_FLOSS, "--out", "out"),
    "search": (*SEARCH, *_FLOSS, "--out", "out"),
    "runs": ("runs", "run"),
    "convert": ("convert", "torch", "out"),
    "sudoku": ("sudoku", "out", "--size", "4", "--num-train", "2", "--num-test", "1"),
    "maze": (
        "maze",
        "out",
        "--size",
        "5",
        "--min-path",
        "4",
        "--num-train",
        "2",
        "--num-test",
        "1",
    ),
    "arc": ("arc", "out", "--source", "kaggle", "--num-aug", "1"),
    "toy": ("toy", "--num-runs", "20", "--readout-times", "2", "4", "--out", "out"),
}
"""For each command a command line that would succeed, in the folder of all parts."""


def make_model(folder: str = "model") -> None:
    """Writes a model of random weights."""
    rng, config = np.random.default_rng(0), CONFIGS[folder]
    flat = {
        name: rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
        for name, shape in param_shapes(config).items()
    }
    save_model(folder, flat, config, {"made": "by hand", "steps": 3})


def make_data() -> None:
    """Writes a data set of 4 × 4 Sudokus."""
    train, test = sudoku_sets(4, 12, 12)
    write_folder("data", {"train": train, "test": test})


def make_maze() -> None:
    """Writes a data set of 5 × 5 mazes."""
    run("maze", "maze", "--size", "5", "--min-path", "4", "--num-train", "2", "--num-test", "2")


def make_texts() -> None:
    """Writes lists and CSVs of puzzles."""
    boards = ["".join(map(str, board)) for board in generate_sudokus(4, 30, seed=1).boards]
    Path("list.txt").write_text("\n".join(boards) + "\n")
    Path("puzzle.txt").write_text(f"{boards[0]}\n")
    mazes = ["S   #  # # #   G".ljust(25), "S #G" + " " * 21]
    for folder, puzzles in (("sudokus", boards[:8]), ("mazes", mazes)):
        Path(folder).mkdir()
        for split in ("train", "test"):
            rows = [f"made,{puzzle},{puzzle if folder == 'mazes' else ''},1" for puzzle in puzzles]
            text = "\n".join(["source,question,answer,rating", *rows]) + "\n"
            Path(folder, f"{split}.csv").write_text(text)


def make_settings() -> None:
    """Writes a recipe, and the space of a search."""
    Path("config.yaml").write_text(dump_config(ARCH, RECIPE))
    Path("space.yaml").write_text(
        "recipe.lr: {low: 1e-5, high: 1e-2, log: true}\narch.hidden_size: {choices: [8, 16]}\n"
    )


def make_torch() -> None:
    """Writes a checkpoint in the format of `torch.save`, and one of safetensors."""
    for folder, name in (("torch", "weights.pt"), ("tensors", "model.safetensors")):
        Path(folder).mkdir()
        if name.endswith(".pt"):
            run("convert", "--to-torch", "model", f"{folder}/{name}")
        else:
            Path(folder, name).write_bytes(Path("model", name).read_bytes())
        Path(folder, "all_config.yaml").write_text(dump_config(ARCH, RECIPE))
        sizes = {"seq_len": 16, "vocab_size": 6, "num_puzzle_identifiers": 1}
        Path(folder, "meta.json").write_text(json.dumps(sizes))


def make_tasks() -> None:
    """Writes ARC tasks, as combined files and as a data set."""
    rng = np.random.default_rng(0)

    def pair() -> dict[str, list[list[int]]]:
        return {side: rng.integers(0, 9, (2, 3)).tolist() for side in ("input", "output")}

    Path("kaggle").mkdir()
    for subset in ("training", "evaluation"):
        tasks = {f"{subset[:4]}{i}": {"train": [pair()], "test": [pair()]} for i in range(2)}
        answers = {name: [task["test"][0].pop("output")] for name, task in tasks.items()}
        for kind, content in (("challenges", tasks), ("solutions", answers)):
            Path("kaggle", f"arc_{subset}_{kind}.json").write_text(json.dumps(content))


def make_spectrum() -> None:
    """Writes a finished spectrum, of which every other puzzle is said to be solved."""
    run(*SPECTRUM, "--out", "spectrum")
    results = load_results("spectrum")
    for array in (results["solved"], results["solved_by_segment"]):
        array[::2] = True
    results.save("spectrum")


def make_states() -> None:
    """Writes recorded states of enough puzzles for each question, and wide ones of too few."""
    run(*STATES, "--num-puzzles", "12", "--no-untrained", "--out", "states")
    few = ("lstm", *STATES[3:], "--num-puzzles", "2", "--no-untrained")
    run("inside", "states", *few, "--out", "few")


def make_run() -> None:
    """Writes a finished training."""
    run(*TRAIN, "--out", "run")


def make_search() -> None:
    """Writes a finished search."""
    run(*SEARCH, "--out", "search")


PARTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "model": (make_model, ("model",)),
    "data": (make_data, ("data",)),
    "texts": (make_texts, ("list.txt", "puzzle.txt", "sudokus", "mazes")),
    "settings": (make_settings, ("config.yaml", "space.yaml")),
    "torch": (make_torch, ("torch", "tensors")),
    "tasks": (make_tasks, ("kaggle",)),
    "lstm": (partial(make_model, "lstm"), ("lstm",)),
    "walker": (partial(make_model, "walker"), ("walker",)),
    "maze": (make_maze, ("maze",)),
    "spectrum": (make_spectrum, ("spectrum",)),
    "states": (make_states, ("states", "few")),
    "run": (make_run, ("run",)),
    "search": (make_search, ("search",)),
}
"""How each part is made, in this order, and the files and folders that it consists of."""

ANALYSES = ("similarity", "dimension", "information", "neurons", "probe")
"""Questions of recorded states."""

NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("spectrum", "rollout", "basin", "ptrm", "policies", "slice"), ("model", "data")
    ),
    **{
        f"inside {name}": ("model", "data")
        for name in ("states", "blanks", "logits", "circuits", "mixing")
    },
    **{f"inside {name}": ("model", "data", "states") for name in ("erase", "meaning")},
    **{f"inside {name}": ("states",) for name in ANALYSES},
    "solve": ("model", "texts"),
    "analyse": ("spectrum",),
    "report": ("spectrum", "run"),
    "train": ("data", "settings"),
    "search": ("data", "settings"),
    "runs": ("run",),
    "convert": ("torch",),
    "arc": ("tasks",),
}
"""The parts that the command line of a command reads."""


def run(*arguments: str) -> None:
    """Runs a command that must succeed."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments)
    if code != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {code} in {os.getcwd()}")
