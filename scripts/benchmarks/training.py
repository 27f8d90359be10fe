"""Compares a training step of the official TRM-MLP with PyTorch's, and measures input and memory.

Both run in float32 on the same batch and take turns within one run. The results are medians of
ratios, so that the noise of a shared machine cancels. The weights are random, because the speed
does not depend on them. The extra `torch` is needed.

Usage: python -m scripts.benchmarks.training [--out benchmark_training.json]   (some five minutes)
"""

import functools
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from rrjax.cells import Config, init_params
from rrjax.puzzles import PuzzleSet, build_sudokus, generate_sudokus
from rrjax.puzzles.batch import Batch
from rrjax.store import describe_run, write_json
from rrjax.training.data import Sampler
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from rrjax.training.step import train_step
from scripts.benchmarks import torch_reference
from scripts.benchmarks.counting import flops
from scripts.benchmarks.sizes import official_mlp
from scripts.benchmarks.timing import MATRIX_SIZE, matrix_product, measure, product_rate


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark.

    Attributes:
      out: The JSON file for the result.
      width: The width of the network; 512 is the official one.
      batch_size: The number of puzzles of a step.
      rounds: The number of rounds in which the programs take turns.
      cycles: Numbers of cycles of a segment for which the memory is measured.
    """

    out: Path = Path("benchmark_training.json")
    width: int = 512
    batch_size: int = 8
    rounds: int = 5
    cycles: tuple[int, ...] = (3, 6)


_STEP = jax.jit(train_step, static_argnums=(0, 1), donate_argnums=2)


def in_rrjax(config: Config, recipe: Recipe, params: Any, batch: Batch) -> Callable[[], Any]:
    """Returns the step of `rrjax train`, with refilling, puzzle embeddings, halting and norm."""
    state = init_train_state(config, recipe, params)

    def run() -> Any:
        nonlocal state
        state, metrics = _STEP(config, recipe, state, batch)
        return metrics

    return run


def seconds_of_batch(sampler: Sampler, number: int = 50) -> float:
    """Measures the median time of preparing a batch, in seconds."""
    seconds = []
    for step in range(number):
        start = time.perf_counter()
        sampler.batch(step)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def operations(config: Config, recipe: Recipe) -> int:
    """Counts the floating-point operations of a step's matrix products."""
    state = jax.eval_shape(functools.partial(init_train_state, config, recipe))
    step = functools.partial(train_step, config, recipe)
    return sum(flops(jax.make_jaxpr(step)(state, state.slots.batch)).values())


def temporary_bytes(config: Config, recipe: Recipe) -> int:
    """Returns the memory of a compiled step beside its arguments and results."""
    state = jax.eval_shape(functools.partial(init_train_state, config, recipe))
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state.slots)
    analysis = _STEP.lower(config, recipe, state, batch.batch).compile().memory_analysis()
    return 0 if analysis is None else analysis.temp_size_in_bytes


def puzzles(number: int = 64) -> PuzzleSet:
    """Returns Sudokus of the official size."""
    return build_sudokus(generate_sudokus(9, number, seed=0, clues=(30, 40)))


def results(options: Options) -> dict[str, Any]:
    """Returns everything that is measured."""
    torch = importlib.import_module("torch")
    config, recipe = official_mlp(options.width), Recipe(global_batch_size=options.batch_size)
    params = init_params(jax.random.key(0), config)
    sampler = Sampler(puzzles(), options.batch_size, 0, augment=True)
    batch = sampler.batch(0)
    programs = {
        "rrjax": in_rrjax(config, recipe, params, batch),
        "torch": torch_reference.training_step(torch, config, recipe, params, batch),
        "product": matrix_product(),
        "torch_product": torch_reference.product(torch, MATRIX_SIZE),
    }
    seconds = measure(programs, options.rounds)
    step = float(np.median(seconds["rrjax"]))
    work, rate = operations(config, recipe) / 1e9, product_rate(seconds["product"])
    torch_rate = product_rate(seconds["torch_product"])
    memory = {
        cycles: temporary_bytes(replace(config, arch=replace(config.arch, H_cycles=cycles)), recipe)
        for cycles in options.cycles
    }
    return {
        "rrjax, s per step": step,
        "PyTorch, s per step": float(np.median(seconds["torch"])),
        "PyTorch / rrjax": float(np.median(seconds["torch"] / seconds["rrjax"])),
        "PyTorch / rrjax, each round": (seconds["torch"] / seconds["rrjax"]).tolist(),
        "matrix products of a step, GFLOP": work,
        "2048³ product, GF/s": float(np.median(rate)),
        "2048³ product in PyTorch, GF/s": float(np.median(torch_rate)),
        "rrjax, share of its product rate": float(np.median(work / seconds["rrjax"] / rate)),
        "PyTorch, share of its own": float(np.median(work / seconds["torch"] / torch_rate)),
        "PyTorch / rrjax at the product rate": float(np.median(seconds["torch"] * rate / work)),
        "input, share of a step": seconds_of_batch(sampler) / step,
        "temporary bytes by cycles": memory,
        "torch": torch.__version__,
        "load of the machine, processes": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }


def main(options: Options) -> None:
    """Measures, prints the values and writes the JSON file."""
    jax.config.update("jax_enable_compilation_cache", False)
    found = results(options)
    for name, value in found.items():
        print(f"{name}: {value}")
    settings = {**asdict(options), "out": options.out.name}
    write_json(options.out, {"options": settings, "run": describe_run(), "results": found})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
