"""Measures the speed of rrjax on this machine, as ratios within one run.

Each case takes turns with a 2048³ float32 matrix product and with its forward. The results are
medians of ratios, so that the noise of a shared machine cancels. A chunk holds one puzzle for each
core, as `rrjax spectrum` chooses at these sizes. The weights are random, because the speed does not
depend on them.

Usage: python -m scripts.benchmarks.spectrum [--quick]   (some ten minutes on 2 cores)
"""

import functools
import importlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.cells import Config, bind, init_params
from rrjax.contract import run_segment
from rrjax.dynamics.spectrum import spectrum
from rrjax.jobs.devices import ChunkProgram, use_cpu_devices
from rrjax.store import describe_run, write_json
from scripts.benchmarks import torch_reference
from scripts.benchmarks.counting import flops
from scripts.benchmarks.sizes import bundled, official, official_mlp, parameters
from scripts.benchmarks.timing import matrix_product, measure, print_row, product_rate


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark.

    Attributes:
      out: The JSON file for the result.
      width: The width of the official networks; 512 is the official one.
      repeats: The number of rounds in which the programs of a case take turns.
      quick: Measures only the official TRM-MLP and the small model with k = 8, in two rounds.
    """

    out: Path = Path("benchmark.json")
    width: int = 512
    repeats: int = 4
    quick: bool = False


@dataclass(frozen=True)
class Case:
    """One network and number of exponents, over one segment."""

    title: str
    config: Config
    k: int
    precision: str = "exact"


def make_cases(options: Options) -> list[Case]:
    """Returns the cases, those of the official sizes first."""
    mlp = official_mlp(options.width)
    small = Case("TRM-MLP, bundled 9×9 model", bundled("trm-sudoku9"), 8)
    first = Case("TRM-MLP, official size", mlp, 8)
    if options.quick:
        return [first, small]
    attention = official(options.width, "trm")
    hrm = official(options.width, "hrm")
    return [
        first,
        replace(first, k=1),
        replace(first, k=32),
        replace(first, precision="bf16"),
        Case("TRM, attention, official size", attention, 8),
        Case("HRM, official size", hrm, 8),
        small,
        replace(small, k=32),
    ]


def forward(
    config: Config, num_segments: int, params: Any, tokens: jax.Array
) -> dict[str, jax.Array]:
    """Returns z at the end of a run of each puzzle of a chunk, without a readout."""

    def run(tokens: jax.Array) -> jax.Array:
        dynamics = bind(params, config, tokens)

        def step(state: Any, _: None) -> tuple[Any, None]:
            return run_segment(dynamics, state), None

        end = jax.lax.scan(step, dynamics.initial, length=num_segments)[0]
        return jax.tree.leaves(end)[0]

    return {"z": jax.vmap(run)(tokens)}


def tangents(
    config: Config, num_segments: int, k: int, precision: str, params: Any, tokens: jax.Array
) -> dict[str, jax.Array]:
    """Returns the growths of a chunk of puzzles, as `rrjax spectrum` computes them."""

    def run(tokens: jax.Array, key: jax.Array) -> jax.Array:
        dynamics = bind(params, config, tokens)
        return spectrum(dynamics, k, num_segments, key=key, precision=precision).log_growth

    keys = jax.random.split(jax.random.key(0), tokens.shape[0])
    return {"log_growth": jax.vmap(run)(tokens, keys)}


def make_tokens(number: int) -> np.ndarray:
    """Returns random tokens of so many puzzles."""
    return np.random.default_rng(0).integers(1, 11, (number, 81)).astype(np.int32)


def programs(case: Case, params: Any) -> dict[str, Callable[[], Any]]:
    """Returns the programs that are timed for a case, each for one puzzle on every device."""
    works = {
        "forward": functools.partial(forward, case.config, 1),
        "spectrum": functools.partial(tangents, case.config, 1, case.k, case.precision),
    }
    found: dict[str, Callable[[], Any]] = {"product": matrix_product()}
    for name, compute in works.items():
        work = ChunkProgram(compute, params, lambda items: jnp.asarray(make_tokens(len(items))))
        found[name] = functools.partial(work, np.arange(work.parallel)[:, None])
    return found


def in_torch(case: Case, params: Any) -> dict[str, Callable[[], Any]]:
    """Returns the same programs in PyTorch, for a token-mixing TRM with k = 8; needs torch."""
    if not case.config.arch.mlp_t or case.precision != "exact" or case.k != 8:
        return {}
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return {}
    tokens = make_tokens(jax.local_device_count())
    common = (params, tokens)
    return {
        "torch forward": torch_reference.forward(torch, case.config, 1, *common),
        "torch spectrum": torch_reference.spectrum(torch, case.config, 1, case.k, *common),
    }


def operations(config: Config) -> int:
    """Counts the floating-point operations of one segment's matrix products for one puzzle."""
    traced = jax.make_jaxpr(functools.partial(forward, config, 1))(
        parameters(config), make_tokens(1)
    )
    return sum(flops(traced).values())


def summarize(case: Case, seconds: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns medians over the rounds of ratios and of rates in GFLOP per second."""
    work = operations(case.config) * jax.local_device_count() / 1e9
    peak = product_rate(seconds["product"])
    row = {
        "product, GF/s": peak,
        "forward, share of product rate": work / seconds["forward"] / peak,
        "spectrum, share of product rate": (1 + case.k) * work / seconds["spectrum"] / peak,
        "spectrum / forward / (1 + k)": seconds["spectrum"] / seconds["forward"] / (1 + case.k),
        "spectrum, s per puzzle and segment": seconds["spectrum"] / jax.local_device_count(),
    }
    for name in ("forward", "spectrum"):
        if f"torch {name}" in seconds:
            row[f"PyTorch / rrjax, {name}"] = seconds[f"torch {name}"] / seconds[name]
    return {name: float(np.median(values)) for name, values in row.items()}


def compiled_facts(case: Case, params: Any) -> dict[str, float]:
    """Returns compile time and temporary memory of one puzzle's spectrum over 1 and 16 segments."""
    facts = {}
    for number in (1, 16):
        compute = functools.partial(tangents, case.config, number, case.k, case.precision)
        lowered = jax.jit(compute).lower(params, jnp.asarray(make_tokens(1)))
        start = time.perf_counter()
        analysis = lowered.compile().memory_analysis()
        facts[f"compile seconds, {number} segments"] = time.perf_counter() - start
        size = math.nan if analysis is None else analysis.temp_size_in_bytes
        facts[f"temporary MB, {number} segments"] = size / 1e6
    return facts


def main(options: Options) -> None:
    """Measures case by case, prints the rows and writes the JSON file."""
    use_cpu_devices(None)
    jax.config.update("jax_enable_compilation_cache", False)
    if options.quick:
        options = replace(options, repeats=2)
    rows = {}
    for case in make_cases(options):
        params = init_params(jax.random.key(0), case.config)
        seconds = measure(programs(case, params) | in_torch(case, params), options.repeats)
        row = summarize(case, seconds) | compiled_facts(case, params)
        title = f"{case.title}, k = {case.k}, {case.precision} products"
        print_row(title, row)
        rows[title] = row
    settings = {**asdict(options), "out": options.out.name}
    write_json(options.out, {"options": settings, "run": describe_run(), "results": rows})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
