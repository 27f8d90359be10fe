"""Measures what sweeps cost beside the arithmetic, as ratios within one run.

- Starts of a basin sweep at official TRM-MLP size are compared with puzzles of the plain forward,
  both at their best chunk. Noise, readouts and what is kept of every segment come on top.
- The engine (files, checksums, locks) is compared with a bare loop over the same compiled chunks.
- Every command starts up with nothing to do.

Usage: python -m scripts.benchmarks.sweep [--out benchmark_sweep.json]   (some ten minutes, 2 cores)
"""

import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.cells import Config, init_params
from rrjax.cli import COMMANDS
from rrjax.experiments import restarts
from rrjax.experiments.basins import perturbed
from rrjax.experiments.chunks import cached_size
from rrjax.experiments.judging import Judge
from rrjax.jobs.devices import ChunkProgram, use_cpu_devices
from rrjax.jobs.sweep import Sweep, run
from rrjax.models import Model, load_model
from rrjax.outcomes import EXACT_MATCH
from rrjax.store import describe_run, write_json
from scripts.benchmarks.sizes import bundled, official_mlp
from scripts.benchmarks.spectrum import forward, make_tokens
from scripts.benchmarks.timing import measure, print_row


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark.

    Attributes:
      out: The JSON file for the result.
      width: The width of the official network; 512 is the official one.
      chunks: The chunk sizes at which forward and basin sweep are tried.
      num_segments: The number of segments of every run.
      num_chunks: The number of chunks of the sweep whose engine is measured.
      repeats: The number of rounds in which the programs take turns.
    """

    out: Path = Path("benchmark_sweep.json")
    width: int = 512
    chunks: tuple[int, ...] = (1, 2, 4, 8)
    num_segments: int = 4
    num_chunks: int = 16
    repeats: int = 3


def forward_work(config: Config, num_segments: int) -> ChunkProgram:
    """Returns the plain forward of puzzles as a program of chunks."""
    params = init_params(jax.random.key(0), config)
    compute = functools.partial(forward, config, num_segments)
    return ChunkProgram(compute, params, lambda items: jnp.asarray(make_tokens(len(items))))


def basin_work(config: Config, num_segments: int) -> ChunkProgram:
    """Returns the starts of a basin sweep of `rrjax basin` that is too large to keep paths."""
    params = init_params(jax.random.key(0), config)
    model = Model(config, params, {}, "random", "", Path())
    puzzles = load_model("trm-sudoku9").test_puzzles()
    measurement = restarts.Measurement(num_segments, 0, "exact")
    judge = Judge(model, EXACT_MATCH)
    compute = functools.partial(restarts.measure_chunk, judge, measurement, perturbed)
    prepare = functools.partial(restarts.prepare_runs, puzzles, restarts.run_grid((0.3,), 7), 0)
    return ChunkProgram(compute, (params, None), prepare)


def chunk_of(work: ChunkProgram, size: int) -> Callable[[], Any]:
    """Returns a case that runs one chunk of this size on every device."""
    items = np.arange(work.parallel * size).reshape(work.parallel, size)
    return functools.partial(work, items)


def compare_basins(options: Options) -> dict[str, float]:
    """Compares the items per second of basin sweep and forward, each at its best chunk."""
    config = official_mlp(options.width)
    works = {
        "forward": forward_work(config, options.num_segments),
        "basin": basin_work(config, options.num_segments),
    }
    cases = {
        f"{name} {size}": chunk_of(work, size)
        for size in options.chunks
        for name, work in works.items()
    }
    seconds = measure(cases, options.repeats)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    best = {
        name: max((size / medians[f"{name} {size}"], size) for size in options.chunks)
        for name in works
    }
    return {
        "basin / forward, items a second": best["basin"][0] / best["forward"][0],
        "best chunk, forward": best["forward"][1],
        "best chunk, basin": best["basin"][1],
    }


def compare_engine(options: Options) -> dict[str, float]:
    """Compares a sweep through the engine with a bare loop over the same chunks."""
    config = bundled("trm-sudoku9")
    work = basin_work(config, options.num_segments)
    model = load_model("trm-sudoku9")
    size = cached_size(model.bind(model.test_puzzles().inputs[0]), 0)
    rounds = -(-options.num_chunks // work.parallel)
    number = rounds * work.parallel * size

    def bare() -> None:
        for items in np.arange(number).reshape(rounds, work.parallel, size):
            work(items)

    def engine() -> None:
        with tempfile.TemporaryDirectory() as folder:
            sweep = Sweep(Path(folder) / "sweep", number, size, {})
            run(sweep, work, lambda done: None, parallel=work.parallel)

    seconds = measure({"bare": bare, "engine": engine}, options.repeats)
    ratios = seconds["engine"] / seconds["bare"]
    per_round = float(np.median(seconds["bare"])) / rounds
    return {"engine / bare loop": float(np.median(ratios)), "seconds per round": per_round}


def start_up(options: Options) -> dict[str, float]:
    """Measures the seconds of `rrjax COMMAND --help`."""
    cases = {name: functools.partial(_help, name) for name in COMMANDS}
    seconds = measure(cases, options.repeats)
    return {f"rrjax {name} --help, s": float(np.median(times)) for name, times in seconds.items()}


def _help(command: str) -> None:
    words = [sys.executable, "-m", "rrjax.cli", command, "--help"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


PARTS: dict[str, Callable[[Options], dict[str, float]]] = {
    "basin sweep at official size": compare_basins,
    "engine": compare_engine,
    "start-up": start_up,
}


def main(options: Options) -> None:
    """Measures the parts, prints the rows and writes the JSON file."""
    use_cpu_devices(None)
    jax.config.update("jax_enable_compilation_cache", False)
    rows = {}
    for title, part in PARTS.items():
        rows[title] = part(options)
        print_row(title, rows[title])
    settings = {**asdict(options), "out": options.out.name}
    write_json(options.out, {"options": settings, "run": describe_run(), "results": rows})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
