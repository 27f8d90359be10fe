"""Kills every command that does long work at random times, and compares what it leaves in the end.

    python -m scripts.checks.kills                        # 200 kills of tiny jobs, some minutes
    python -m scripts.checks.kills --kills 20 --commands spectrum train

Each command is killed by SIGKILL after a random time and given again, as often as it takes. What it
has written in the end must be what an undisturbed run writes, bit by bit. The exit code is 1 where
it is not, or where a command that was given again refuses its own folder. Programs are compiled
into a cache of the check's own, so that kills meet the cache too.
"""

import argparse
import csv
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

OUT = "OUT"
"""Stands in a command for the folder or file that it writes."""

TINY_ARCH = (
    "--arch.hidden-size 16 --arch.num-heads 2 --arch.H-cycles 2 --arch.L-cycles 2 "
    "--arch.L-layers 1 --arch.mlp-t --arch.halt-max-steps 2"
)
TINY_TRAINING = (
    f"--data data {TINY_ARCH} --global-batch-size 8 --log-every 1 --eval-every 4 "
    "--checkpoint-every 2"
)
RUN = "--num-puzzles 6 --num-segments 3 --chunk-size 2 --cpu-devices 1 --out OUT"

PREPARATION = (
    "sudoku data --size 4 --num-train 16 --num-test 8",
    f"train {TINY_TRAINING} --steps 4 --out model",
    "spectrum model --num-exponents 2 --num-puzzles 8 --num-segments 3 --out spectrum",
    "convert model model.pt --to-torch",
)

COMMANDS = {
    "spectrum": f"spectrum model --num-exponents 2 --attribution {RUN}",
    "certificate": f"spectrum model --num-exponents 1 --precision bf16 --num-certified 2 {RUN}",
    "rollout": f"rollout model {RUN}",
    "basin": f"basin model --sigmas 0.3 1 --num-restarts 2 {RUN}",
    "slice": "slice model --grid 6 --num-segments 3 --chunk-size 6 --cpu-devices 1 --out OUT",
    "ptrm": f"ptrm model --num-runs 2 --num-exponents 1 {RUN}",
    "inside": f"inside fixed-points model --periods 1 {RUN}",
    "policies": "policies model --ways starts particles copies --num-runs 2 --max-evaluations 24 "
    "--num-puzzles 6 --chunk-size 2 --cpu-devices 1 --out OUT",
    "toy": "toy --num-runs 300 --readout-times 4 16 --out OUT",
    "analyse": "analyse spectrum --out OUT",
    "train": f"train {TINY_TRAINING} --steps 12 --augment --out OUT",
    "floss": f"train {TINY_TRAINING} --steps 8 --floss.pre 2 --floss.every 3 --floss.episode 1 "
    "--floss.puzzles 2 --floss.segments 0 1 --floss.num-exponents 2 --out OUT",
    "search": f"search {TINY_TRAINING} --steps 4 --space space.yaml --num-trials 3 --out OUT",
    "convert": "convert model.pt OUT --config model.yaml --seq-len 16 --vocab-size 6 "
    "--num-puzzle-identifiers 1",
    "to_torch": "convert model OUT --to-torch",
    "compact": "compact model OUT",
    "sudoku": "sudoku OUT --size 6 --num-train 60 --num-test 20 --num-aug 2",
    "maze": "maze OUT --size 9 --num-train 40 --num-test 20 --augment 8",
    "arc": "arc OUT --source tasks --num-aug 30",
}
"""Tiny jobs of every command that does long work. Paths are relative to the check's folder."""

MADE_ONCE = ("convert", "to_torch", "compact", "sudoku", "maze", "arc")
"""Commands that refuse what they have made: one that is killed when all is written is refused when
it is given again."""

PRELOADED = (
    *("rrjax.experiments", "rrjax.training.loop", "rrjax.training.search", "rrjax.converters"),
    *("matplotlib.pyplot", "optuna", "rrjax.plots.canvas", "rrjax.reports.terminal"),
)
"""Imported once, before the processes of the commands are forked."""

_WITHOUT_TIME = ("made_by", "seconds_per_step", "examples_per_second")
_NOT_COMPARED = (".log", ".lock")


@dataclass(frozen=True)
class Outcome:
    """What became of one command: how often it was killed and begun, and what was wrong."""

    name: str
    kills: int
    folders: int
    complaints: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the check, prints a line for each command, and returns the exit code."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="rrjax-kills-") as name:
        os.chdir(name)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(name, "cache"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ.setdefault("MPLBACKEND", "agg")
        for module in PRELOADED:
            __import__(module)
        chosen = options.commands or list(COMMANDS)
        prepare({word for name in chosen for word in COMMANDS[name].split()})
        quotas = [len(part) for part in np.array_split(np.arange(options.kills), len(chosen))]
        seeds = [zlib.crc32(f"{options.seed} {name}".encode()) for name in chosen]
        pool = ProcessPoolExecutor(options.jobs, multiprocessing.get_context("fork"))
        with pool:
            outcomes = list(pool.map(check, chosen, quotas, seeds))
        os.chdir("/")
    total = sum(outcome.kills for outcome in outcomes)
    is_bad = any(outcome.complaints for outcome in outcomes)
    print(
        f"{total} kills of {len(outcomes)} commands: {'NOT ' if is_bad else ''}all bits are equal"
    )
    return int(is_bad)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.checks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="number of kills, of all commands")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times of the kills")
    parser.add_argument("--jobs", type=int, default=2, help="number of commands at once")
    parser.add_argument("--commands", nargs="*", choices=list(COMMANDS), help="default: all")
    return parser.parse_args(arguments)


def prepare(words: set[str]) -> None:
    """Makes in this folder what commands of these words read: ARC tasks, puzzles, a model."""
    Path("space.yaml").write_text("recipe.lr: {low: 1e-4, high: 1e-2, log: true}\n")
    rng = np.random.default_rng(0)
    for subset in ("training", "evaluation"):
        folder = Path("tasks", subset)
        folder.mkdir(parents=True)
        for index in range(2):
            grids = iter(rng.integers(0, 10, (6, 3, 3)).tolist())
            pairs = [{"input": next(grids), "output": next(grids)} for _ in range(3)]
            task = {"train": pairs[:2], "test": pairs[2:]}
            (folder / f"{subset}{index}.json").write_text(json.dumps(task))
    if words.isdisjoint(("data", "model", "model.pt", "spectrum")):
        return
    for command in PREPARATION:
        code, _ = run(command.split(), Path("log"))
        if code != 0:
            raise RuntimeError(f"rrjax {command}: exit code {code}: {_tail(Path('log'))}")
    arch = json.loads(Path("model/models/best/config.json").read_text())["config"]["arch"]
    del arch["loss_type"]  # which official configurations have elsewhere
    Path("model.yaml").write_text(json.dumps({"arch": arch}))
    _solve_every_other(Path("spectrum"))


def _solve_every_other(folder: Path) -> None:
    """Makes a spectrum one of solved and failed puzzles, as an analysis needs them."""
    from rrjax.experiments.loading import load_results

    results = load_results(folder)
    solved = np.arange(len(results["solved"])) % 2 == 0
    results.arrays["solved"] = solved
    results.arrays["solved_by_segment"][:, -1] = solved
    results.save(folder)


def check(name: str, quota: int, seed: int) -> Outcome:
    """Kills a command `quota` times, and compares each folder that it finishes."""
    rng, log = np.random.default_rng(seed), Path(f"{name}.log")
    complaints: list[str] = []
    whole = Path(f"{name}-whole")
    began = time.monotonic()
    for _ in range(2):  # the second one finds its programs compiled
        whole = Path(f"{name}-{'timed' if whole.exists() else 'whole'}")
        began = time.monotonic()
        code, _ = run(_words(name, whole), log)
        if code != 0:
            complaint = f"exit code {code}: {_tail(log)}"
            print(f"{name}, undisturbed: {complaint}", flush=True)
            return Outcome(name, 0, 0, [complaint])
    usual = time.monotonic() - began
    kills = folders = 0
    while True:
        out = Path(f"{name}-{folders}")
        folders += 1
        was_killed = True
        while was_killed:
            seconds = rng.uniform(0, usual) if kills < quota else None
            code, was_killed = run(_words(name, out), log, seconds)
            kills += was_killed
        wrong = [f"{out}: {line}" for line in differences(whole, out)]
        is_refused = code != 0 and (wrong or name not in MADE_ONCE)
        if is_refused:
            wrong.append(f"{out}: exit code {code} when given again: {_tail(log)}")
        complaints += wrong
        if kills >= quota or complaints:
            break
    told = "; ".join(complaints) or "equal"
    print(f"{name}: {kills} kills, {folders} folders, {usual:.1f} s each: {told}", flush=True)
    return Outcome(name, kills, folders, complaints)


def run(words: Sequence[str], log: Path, seconds: float | None = None) -> tuple[int, bool]:
    """Runs a command in a process of its own, and kills it after a time.

    Args:
      words: the words of the command after `rrjax`.
      log: gets what the command prints.
      seconds: time until the kill; None lets the command end.

    Returns:
      The exit code, and whether the process was killed.
    """
    from rrjax.cli import main as command
    from scripts.checks.forked import end_with

    process = os.fork()
    if process == 0:
        end_with(lambda: command(words), log)
    deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, code == -signal.SIGKILL


def differences(whole: Path, resumed: Path) -> list[str]:
    """Returns what is not the same in two folders or files; temporary files do not count."""
    first, second = _contents(whole), _contents(resumed)
    complaints = [f"{name} is missing" for name in first.keys() - second.keys()]
    complaints += [f"{name} is too many" for name in second.keys() - first.keys()]
    both = sorted(first.keys() & second.keys())
    return complaints + [f"{name} differs" for name in both if first[name] != second[name]]


def _contents(root: Path) -> Mapping[str, Any]:
    if root.is_file():
        return {"": root.read_bytes()}
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): _READ.get(path.suffix, _read_bytes)(path, root)
        for path in files
        if not _is_left_out(path.relative_to(root))
    }


def _is_left_out(path: Path) -> bool:
    """Checkpoints hold times, and what they hold shows in the models and metrics of their run."""
    from rrjax.store.files import HIDDEN_NAME

    is_hidden = any(HIDDEN_NAME.fullmatch(part) for part in path.parts)
    return is_hidden or "checkpoints" in path.parts or path.suffix in _NOT_COMPARED


def _read_bytes(path: Path, root: Path) -> bytes:
    return path.read_bytes()


def _read_json(path: Path, root: Path) -> Any:
    content = json.loads(path.read_text().replace(str(root), OUT))
    if isinstance(content, dict):
        return {key: value for key, value in content.items() if key not in _WITHOUT_TIME}
    return content


def _read_csv(path: Path, root: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if key not in _WITHOUT_TIME} for row in rows]


def _read_yaml(path: Path, root: Path) -> str:
    return path.read_text().replace(str(root), OUT)


_READ: Mapping[str, Callable[[Path, Path], Any]] = {
    ".json": _read_json,
    ".csv": _read_csv,
    ".yaml": _read_yaml,
}


def _words(name: str, out: Path) -> list[str]:
    return [str(out) if word == OUT else word for word in COMMANDS[name].split()]


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-400:].strip()


if __name__ == "__main__":
    sys.exit(main())
