"""Measures in which share of the time the training loop lets the device compute.

Usage: python -m scripts.benchmarks.loop [--width 128] [--batch 64] [--steps 20]   (a minute)

It trains a TRM on 4x4 Sudokus by `rrjax.training.loop.train` with a row of metrics every five
steps, and profiles the steps after the fifth. It prints the share of the time, from the first
operation of the step's program to its last one, in which any of its operations ran. Other work on
the machine slows the program and the host alike, so that the share tells more than times would.
"""

import argparse
import glob
import gzip
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax

from rrjax.cells import Arch, Config
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.training.loop import train
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.task import TrainingTask

_PROGRAM = "jit_train_step"
_FIRST = 5


def main() -> None:
    """Parses, measures and prints."""
    parser = argparse.ArgumentParser(description="The share of time that the device computes.")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    share = busy_share(make_task(options.width, options.batch, options.steps))
    kind = jax.devices()[0].device_kind
    print(f"{kind}: the step's program runs in {share:.1%} of the time")


def make_task(width: int, batch: int, steps: int) -> TrainingTask:
    """Returns a task on 4x4 Sudokus."""
    arch = Arch(hidden_size=width, num_heads=1, mlp_t=True, pos_encodings="none")
    sets = sudoku_sets(size=4, num_train=256, num_test=16, seed=0)
    recipe = Recipe(global_batch_size=batch, steps=steps)
    return TrainingTask(Config(arch, seq_len=16, vocab_size=6), recipe, *sets, augment=True)


def busy_share(task: TrainingTask) -> float:
    """Returns the share of the time in which the step's program runs while `task` is trained."""
    steps = task.recipe.steps
    settings = LoopSettings(log_every=5, eval_every=5 * steps, checkpoint_every=5 * steps)

    quiet = jax.profiler.ProfileOptions()
    quiet.python_tracer_level = 0  # it would slow the host

    def moved(done: int, seconds: float) -> None:
        if done == _FIRST:
            jax.profiler.start_trace(traces, profiler_options=quiet)
        if done == steps - 1:
            jax.profiler.stop_trace()

    with tempfile.TemporaryDirectory() as traces, tempfile.TemporaryDirectory() as folder:
        train(task, settings, Path(folder) / "run", lambda *_: None, moved=moved)
        return covered(program_intervals(Path(traces)))


def program_intervals(traces: Path) -> list[tuple[float, float]]:
    """Returns when each operation of the step's program ran, in microseconds and in order."""
    path = glob.glob(str(traces / "**" / "*.trace.json.gz"), recursive=True)[-1]
    with gzip.open(path) as file:
        events = json.load(file)["traceEvents"]
    operations = [
        event
        for event in events
        if event.get("ph") == "X" and event.get("args", {}).get("hlo_module") == _PROGRAM
    ]
    return sorted((event["ts"], event["ts"] + event["dur"]) for event in operations)


def covered(intervals: Sequence[tuple[float, float]]) -> float:
    """Returns the share of the time from the first interval to the last that is covered by any."""
    began = last = intervals[0][0]
    total = 0.0
    for start, end in intervals:
        total += max(0.0, end - max(start, last))
        last = max(last, end)
    return total / (last - began)


if __name__ == "__main__":
    main()
