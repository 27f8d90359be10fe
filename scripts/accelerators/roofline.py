"""Computes what an H100 and a TPU v5e should need for a Lyapunov spectrum, without running it.

One time is the operations of the traced program's matrix products over the peak rate, the other the
bytes that they move over the memory's bandwidth. The longer one bounds the time from below as long
as results of products go to memory. Nothing is run or compiled.

Usage: python -m scripts.accelerators.roofline [--puzzles 16] [--num-exponents 8]
"""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro

from rrjax.cells import Config, bind, initial_state
from rrjax.contract import run_segment
from rrjax.dynamics.spectrum import spectrum
from rrjax.store import describe_run, write_json
from scripts.benchmarks.counting import flops, traffic
from scripts.benchmarks.sizes import bundled, official_mlp, parameters


@dataclass(frozen=True)
class Chip:
    """Peak rates in operations/s by the bits of the operands, and the memory's bytes/s."""

    name: str
    rates: Mapping[str, float]
    bandwidth: float


CHIPS = (
    # NVIDIA H100 Tensor Core GPU datasheet, SXM5, dense (half of what it quotes with sparsity)
    Chip("H100 SXM", {"float32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12}, 3.35e12),
    # Google Cloud's page on TPU v5e: 197 TFLOP/s in bf16, 819 GB/s. Its matrix unit multiplies
    # bf16; XLA composes a float32 product at the highest precision of six such passes.
    Chip("TPU v5e", {"float32": 197e12 / 6, "bf16": 197e12}, 819e9),
)


@dataclass(frozen=True)
class Options:
    """Settings of the table.

    Attributes:
      puzzles: The number of puzzles that run together on a chip and share its weights.
      num_exponents: The number of exponents k of the spectrum.
      bundled: The bundled model that stands beside the official size.
      out: The JSON file for the table.
    """

    puzzles: int = 16
    num_exponents: int = 8
    bundled: str = "trm-sudoku9"
    out: Path = Path("roofline.json")


@dataclass(frozen=True)
class Bound:
    """What a chip should need for one puzzle and segment.

    Attributes:
      gigaflop: operations of the matrix products, 10⁹.
      megabytes: their operands and results, 10⁶ bytes.
      compute: milliseconds at peak rates.
      memory: milliseconds at full bandwidth.
    """

    gigaflop: float
    megabytes: float
    compute: float
    memory: float

    @property
    def milliseconds(self) -> float:
        """The longer of the two."""
        return max(self.compute, self.memory)


def bound(chip: Chip, work: Mapping[str, int], moved: int, puzzles: int) -> Bound:
    """The bound of one puzzle, from the operations by kind and the bytes of all puzzles.

    Raises:
      ValueError: for a kind of product whose rate on the chip is not known.
    """
    unknown = set(work) - set(chip.rates)
    if unknown:
        raise ValueError(f"no rate of {chip.name} for products of kind {', '.join(unknown)}")
    seconds = sum(number / chip.rates[kind] for kind, number in work.items())
    return Bound(
        gigaflop=sum(work.values()) / puzzles / 1e9,
        megabytes=moved / puzzles / 1e6,
        compute=1e3 * seconds / puzzles,
        memory=1e3 * moved / chip.bandwidth / puzzles,
    )


def trace_spectrum(config: Config, options: Options, precision: str) -> Any:
    """Returns the jaxpr of one segment's spectra of some puzzles, frames given."""

    def one(params: Any, tokens: jax.Array, frame: Any) -> jax.Array:
        dynamics = bind(params, config, tokens)
        return spectrum(dynamics, num_segments=1, frame=frame, precision=precision).log_growth

    params, tokens = abstract_inputs(config, options.puzzles)
    state = jax.eval_shape(functools.partial(initial_state, config=config), params)
    shape = (options.puzzles, options.num_exponents)
    frame = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*shape, *x.shape), x.dtype), state)
    return jax.make_jaxpr(jax.vmap(one, in_axes=(None, 0, 0)))(params, tokens, frame)


def trace_forward(config: Config, options: Options) -> Any:
    """Returns the jaxpr of one segment of some puzzles, at the precision of the spectrum."""

    def one(params: Any, tokens: jax.Array) -> Any:
        dynamics = bind(params, config, tokens)
        return run_segment(dynamics, dynamics.initial)

    with jax.default_matmul_precision("highest"):
        return jax.make_jaxpr(jax.vmap(one, in_axes=(None, 0)))(
            *abstract_inputs(config, options.puzzles)
        )


def abstract_inputs(config: Config, puzzles: int) -> tuple[Any, jax.ShapeDtypeStruct]:
    """Returns the shapes of the parameters and of some puzzles' tokens."""
    return parameters(config), jax.ShapeDtypeStruct((puzzles, config.seq_len), jnp.int32)


def rows(options: Options) -> list[dict[str, Any]]:
    """Returns one row for each size, program and chip."""
    sizes = {"official": official_mlp(), "bundled": bundled(options.bundled)}
    found = []
    for size, config in sizes.items():
        programs = {
            "forward": trace_forward(config, options),
            "spectrum": trace_spectrum(config, options, "exact"),
            "spectrum, bf16 tangents": trace_spectrum(config, options, "bf16"),
        }
        for name, jaxpr in programs.items():
            work, moved = flops(jaxpr), traffic(jaxpr)
            for chip in CHIPS:
                limit = bound(chip, work, moved, options.puzzles)
                title = {"size": size, "program": name, "chip": chip.name}
                found.append(title | asdict(limit) | {"milliseconds": limit.milliseconds})
    return found


def print_table(table: list[dict[str, Any]]) -> None:
    """Prints the rows, in milliseconds for one puzzle and segment."""
    print("Computed, not measured: one puzzle, one segment")
    print(f"{'size':9}{'program':25}{'chip':10}{'GFLOP':>8}{'MB':>8}", end="")
    print(f"{'compute ms':>12}{'memory ms':>11}{'at least ms':>13}")
    for row in table:
        print(f"{row['size']:9}{row['program']:25}{row['chip']:10}", end="")
        print(f"{row['gigaflop']:8.3g}{row['megabytes']:8.0f}", end="")
        print(f"{row['compute']:12.3g}{row['memory']:11.3g}{row['milliseconds']:13.3g}")


def main(options: Options) -> None:
    """Counts, prints the table and writes the JSON file."""
    table = rows(options)
    print_table(table)
    settings = {**asdict(options), "out": options.out.name}
    record = {"status": "computed, not measured", "options": settings, "rows": table}
    write_json(options.out, record | {"chips": [asdict(c) for c in CHIPS], "run": describe_run()})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
