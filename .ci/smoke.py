"""Tries every command of the installed package on small sizes; any failure ends with a message.

It runs in an environment that has the wheel and no checkout, in a folder that holds this file and
`trm_mlp`, an official checkpoint.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax

import rrjax
from rrjax.cli import COMMANDS

HERE = Path(__file__).parent
RRJAX = Path(sys.executable).with_name("rrjax")
SIX = ("trm-sudoku6", "--num-puzzles", "2", "--num-segments", "2")
"""The smaller model, whose programs are compiled faster."""
ONE = ("--num-exponents", "1")
TRAINING = (
    *("--config", "cpu_sudoku4", "--data", "sudoku", "--steps", "2", "--global-batch-size", "4"),
    *("--log-every", "1", "--eval-every", "2", "--checkpoint-every", "2"),
)
RUNS: dict[str, list[tuple[str, ...]]] = {
    "spectrum": [("--num-puzzles", "2", "--num-segments", "2", *ONE), (*SIX, *ONE, "--out", "six")],
    "rollout": [(*SIX, "--readout-segment", "1")],
    "basin": [(*SIX, "--sigmas", "1", "--num-restarts", "1", "--readout-segment", "1")],
    "slice": [(SIX[0], *SIX[3:], "--grid", "2", "--rest-segments", "1", "--box-size", "2")],
    "ptrm": [(*SIX, "--num-exponents", "0", "--num-runs", "2")],
    "policies": [(*SIX[:3], "--ways", "starts", "--num-runs", "2", "--max-evaluations", "16")],
    "inside": [("states", *SIX, "--no-untrained")],
    "solve": [("trm-sudoku6", ".2." + 33 * ".", "--num-segments", "2")],
    "analyse": [("six", "--out", "analysis")],
    "report": [("six", "--out", "six.html")],
    "sudoku": [("sudoku", "--size", "4", "--num-train", "8", "--num-test", "4")],
    "train": [(*TRAINING, "--out", "trained/0")],
    "runs": [("trained",)],
    "compact": [("trained/0", "compact")],
    "search": [(*TRAINING, "--out", "search", "--space", "space.yaml", "--num-trials", "1")],
    "convert": [("trm_mlp", "converted"), ("--to-torch", "converted", "back.pt")],
    "maze": [("maze", "--size", "6", "--min-path", "6", "--num-train", "4", "--num-test", "2")],
    "arc": [("arc", "--num-aug", "0", "--subsets", "evaluation", "--test-set", "evaluation")],
    "toy": [("--num-runs", "200", "--readout-times", "8", "16")],
}
SPACE = "recipe.seed: {choices: [0, 1]}\n"
"""Of the search: all seeds run the same programs, those of the training."""
FILES = (
    *("six/results.npz", "six/results.json", "back.pt", "converted/model.safetensors"),
    *("trained/0/models/best/model.safetensors", "search/best.yaml", "runs/toy/results.json"),
    "six.html",
    "compact/compact.npz",
    "runs/spectrum-trm-sudoku9/lambda1_by_outcome.png",
)


def main() -> None:
    """Runs everything and prints how much time of the processor each command took."""
    os.chdir(HERE)
    assert Path(sys.prefix) in Path(rrjax.__file__).parents, rrjax.__file__
    print(f"rrjax {rrjax.__version__}, Python {sys.version.split()[0]}, jax {jax.__version__}")
    for name in rrjax.bundled_names():
        assert len(rrjax.load_model(name).test_puzzles()) > 0, name
    Path("space.yaml").write_text(SPACE)
    assert run("--version").split() == ["rrjax", rrjax.__version__]
    assert COMMANDS.keys() == RUNS.keys(), "every command needs a run here"
    for command, runs in RUNS.items():
        for arguments in runs:
            run(command, *arguments)
    for name in FILES:
        assert Path(name).is_file(), f"{name} was not written"
    assert list(Path("cache", "rrjax", "compiled").iterdir()), "no compiled program was kept"
    print("1 passed, 0 failed")


def run(*arguments: str) -> str:
    """Runs rrjax and returns its output; prints the whole output if it fails."""
    before = os.times()
    environment = {**os.environ, "XDG_CACHE_HOME": str(HERE / "cache")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    result = subprocess.run(
        [RRJAX, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    after = os.times()
    seconds = after.children_user + after.children_system
    seconds -= before.children_user + before.children_system
    print(f"{seconds:5.1f} CPU s  rrjax {' '.join(arguments)}", flush=True)
    if result.returncode or "Traceback" in result.stderr:
        sys.exit(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
