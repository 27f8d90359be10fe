"""Speed of rrjax on this machine, as ratios within one run, at the official TRM-MLP size.

Measures plain forwards, spectra and the same network in PyTorch, in turn (A B A B …), and takes
medians of ratios, so that the noise of a shared machine cancels. Weights are random: speed does
not depend on them.

Usage: python scripts/benchmark.py [--quick] [--out benchmark.json]   (some ten minutes on 2 cores)
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

from rrjax.cells import Arch, Config, bind, flatten, init_params, param_shapes
from rrjax.cells.trm import schedule
from rrjax.contract import count_updates, run_segment
from rrjax.dynamics.lyapunov import spectrum
from rrjax.store import describe_run, write_json

MATRIX_SIZE = 2048


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
      out: JSON file for the result.
      hidden_size: width of the network; 512 is the official one.
      num_exponents: k of the spectrum.
      num_segments: segments of every forward and spectrum.
      repeats: rounds over all cases.
      chunks: puzzles that run together.
      quick: one segment and two rounds.
    """

    out: Path = Path("benchmark.json")
    hidden_size: int = 512
    num_exponents: int = 8
    num_segments: int = 2
    repeats: int = 5
    chunks: tuple[int, ...] = (1, 2, 4)
    quick: bool = False


def official_config(hidden_size: int) -> Config:
    """TRM-MLP for 9×9 Sudoku: 81 tokens behind 16 puzzle tokens."""
    arch = Arch(
        hidden_size=hidden_size,
        H_cycles=3,
        L_cycles=6,
        L_layers=2,
        mlp_t=True,
        pos_encodings="none",
        puzzle_emb_ndim=hidden_size,
        puzzle_emb_len=16,
    )
    return Config(arch, seq_len=81, vocab_size=11)


@functools.partial(jax.jit, static_argnums=(0, 1))
def forward(config: Config, num_segments: int, params: Any, tokens: jax.Array) -> Any:
    """The states of a chunk of puzzles after some segments; nothing is read out."""

    def run(tokens: jax.Array) -> Any:
        dynamics = bind(params, config, tokens)

        def step(state: Any, _: None) -> tuple[Any, None]:
            return run_segment(dynamics, state), None

        return jax.lax.scan(step, dynamics.initial, length=num_segments)[0]

    return jax.vmap(run)(tokens)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def tangents(
    config: Config, num_segments: int, num_exponents: int, params: Any, tokens: jax.Array
) -> Any:
    """The spectra of a chunk of puzzles, as `rrjax spectrum` computes them."""

    def run(tokens: jax.Array, key: jax.Array) -> Any:
        return spectrum(bind(params, config, tokens), num_exponents, num_segments, key=key)

    return jax.vmap(run)(tokens, jax.random.split(jax.random.key(0), tokens.shape[0]))


def torch_forward(
    config: Config, num_segments: int, params: Any, tokens: np.ndarray
) -> Callable[[], Any] | None:
    """The same run in PyTorch, or None without it."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    weights = {n: torch.tensor(np.asarray(leaf)) for n, leaf in flatten(params).items()}
    embedded = math.sqrt(config.arch.hidden_size) * weights["embed_tokens.embedding_weight"]
    x = torch.nn.functional.pad(embedded[torch.tensor(tokens)], (0, 0, config.puzzle_tokens, 0))

    def run() -> Any:
        z_H, z_L = (weights[name].expand_as(x) for name in ("H_init", "L_init"))
        with torch.inference_mode():
            for _ in range(num_segments * config.arch.H_cycles):
                for _ in range(config.arch.L_cycles):
                    z_L = torch_reason(torch, weights, config, z_L + (z_H + x))
                z_H = torch_reason(torch, weights, config, z_H + z_L)
        return z_H

    return run


def torch_reason(torch: Any, weights: dict[str, Any], config: Config, x: Any) -> Any:
    """All token-mixing blocks of the L level, on (puzzles, tokens, width)."""
    linear, silu = torch.nn.functional.linear, torch.nn.functional.silu

    def swiglu(name: str, x: Any) -> Any:
        gate, up = linear(x, weights[f"{name}.gate_up_proj.weight"]).chunk(2, dim=-1)
        return linear(silu(gate) * up, weights[f"{name}.down_proj.weight"])

    def norm(x: Any) -> Any:
        mean_square = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + config.arch.rms_norm_eps)

    for index in range(config.arch.L_layers):
        layer = f"L_level.layers.{index}"
        channels = x.mT
        x = norm(channels + swiglu(f"{layer}.mlp_t", channels)).mT
        x = norm(x + swiglu(f"{layer}.mlp", x))
    return x


def flops(config: Config) -> int:
    """Floating-point operations of one segment's matrix products, for one puzzle."""
    rows = {"mlp": config.num_tokens, "mlp_t": config.arch.hidden_size}
    update = sum(
        2 * math.prod(shape) * rows[name.split(".")[3]]
        for name, shape in param_shapes(config).items()
        if name.startswith("L_level.")
    )
    return update * count_updates(schedule(config))


def make_cases(config: Config, options: Options, params: Any) -> dict[str, Callable[[], Any]]:
    """What is timed, by name and chunk."""
    square = jnp.asarray(np.random.default_rng(0).normal(size=(MATRIX_SIZE, MATRIX_SIZE)), "f4")
    product = jax.jit(jnp.matmul)
    cases: dict[str, Callable[[], Any]] = {"product": lambda: product(square, square)}
    for chunk in options.chunks:
        tokens = np.random.default_rng(chunk).integers(1, 11, (chunk, config.seq_len))
        args = (params, jnp.asarray(tokens, jnp.int32))
        cases[f"forward {chunk}"] = functools.partial(forward, config, options.num_segments, *args)
        cases[f"spectrum {chunk}"] = functools.partial(
            tangents, config, options.num_segments, options.num_exponents, *args
        )
        in_torch = torch_forward(config, options.num_segments, params, tokens)
        if in_torch is not None:
            cases[f"torch {chunk}"] = in_torch
    return cases


def measure(cases: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of every case in every round, the cases taking turns."""
    for case in cases.values():
        jax.block_until_ready(case())
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            start = time.perf_counter()
            jax.block_until_ready(case())
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def temporary_bytes(config: Config, num_exponents: int, num_segments: int, params: Any) -> float:
    """Temporary memory of the compiled spectrum of one puzzle; NaN where the backend hides it."""
    tokens = jnp.ones((1, config.seq_len), jnp.int32)
    compiled = tangents.lower(config, num_segments, num_exponents, params, tokens).compile()
    analysis = compiled.memory_analysis()
    return math.nan if analysis is None else analysis.temp_size_in_bytes


def summarize(
    config: Config, options: Options, seconds: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Medians over the rounds: ratios of times, and rates of matrix products in GF/s."""
    work, k = flops(config) * options.num_segments / 1e9, options.num_exponents
    rows = {"product": {"GF/s": 2 * MATRIX_SIZE**3 / 1e9 / float(np.median(seconds["product"]))}}
    for chunk in options.chunks:
        plain, tangent = seconds[f"forward {chunk}"], seconds[f"spectrum {chunk}"]
        row = {
            "forward seconds": float(np.median(plain)),
            "forward GF/s": float(np.median(chunk * work / plain)),
            "spectrum GF/s": float(np.median((1 + k) * chunk * work / tangent)),
            "spectrum / forward": float(np.median(tangent / plain)),
            "at most": 1.15 * (1 + k),
        }
        if f"torch {chunk}" in seconds:
            row["torch / forward"] = float(np.median(seconds[f"torch {chunk}"] / plain))
            row["at least"] = 2.0
        rows[f"chunk {chunk}"] = row
    return rows


def measure_memory(config: Config, options: Options, params: Any) -> dict[str, float]:
    """Temporary memory of the spectrum in MB, which must not grow with the segments."""
    return {
        f"MB, {number} segments": temporary_bytes(config, options.num_exponents, number, params)
        / 1e6
        for number in (1, 4)
    }


def print_table(rows: dict[str, dict[str, float]]) -> None:
    """Every measure under the title of its row."""
    for title, row in rows.items():
        print(title)
        for name, value in row.items():
            print(f"  {name:24}{value:10.3g}")
    if not any("torch / forward" in row for row in rows.values()):
        print("PyTorch is not installed: not compared")


def main(options: Options) -> None:
    """Measure, print a table, write the JSON file."""
    if options.quick:
        options = replace(options, num_segments=1, repeats=2)
    config = official_config(options.hidden_size)
    params = init_params(jax.random.key(0), config)
    seconds = measure(make_cases(config, options, params), options.repeats)
    rows = summarize(config, options, seconds)
    rows["spectrum's memory"] = measure_memory(config, options, params)
    print_table(rows)
    settings = {**asdict(options), "out": options.out.name}
    write_json(options.out, {"options": settings, "run": describe_run(), "results": rows})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
