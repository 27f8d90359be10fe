"""Compiles spectra, rollouts, a basin sweep and a training step for chips that need not be there.

The libtpu wheel compiles ahead of time for a described slice of TPUs, JAX's CUDA plugin for a
described H100, and nothing is run. The table shows the memory of a chip, the least time that the
matrix products take at peak rates, and the collectives; of the H100 also the time that the kernels
of the compiled program are estimated to take, in all and for one puzzle and segment or one step.

Usage: python -m scripts.accelerators.compile_for_accelerators [--topology v5e:2x2]
(some three minutes in all; `v5e:16x16` is 256 chips, `h100` the GPU)
"""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

# JAX and libtpu read these when they load: compute nothing on, and ask no server for, a TPU
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

import jax
import tyro

from rrjax.cells import Config
from rrjax.store import describe_run, write_json
from scripts.accelerators import targets
from scripts.accelerators.programs import TRACES, Load, Traced
from scripts.accelerators.roofline import H100, TPU_V5E, Chip, Kernel, bound, kernels, seconds
from scripts.benchmarks.counting import flops, traffic
from scripts.benchmarks.sizes import bundled, official_mlp

COLLECTIVES = re.compile(
    r" (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast)"
    r"(?:-start)?\("
)
HOST_CALLS = re.compile(r" (?:infeed|outfeed|send|recv)\(|custom_call_target=\"[^\"]*callback")

Size = Literal["official", "width256", "bundled"]


@dataclass(frozen=True)
class Options:
    """Settings of the compilation.

    Attributes:
      topology: Generation and shape of the described TPU slice, as libtpu names it, or `h100`.
      sizes: The official TRM-MLP, the same of width 256, the bundled model, or several of them.
      programs: The programs that are compiled.
      bundled: The name of the bundled model.
      load: How much a chip does in one program.
      effort: The effort of the TPU's compiler, −1 to 1, as `jax_exec_time_optimization_effort`. At
        0, its own default, it takes ten times as long and keeps more on the chip.
      num_kernels: The number of kernels of each program that are listed, the slowest first; of the
        H100 only.
      out: The JSON file for the table.
    """

    topology: str = "v5e:2x2"
    sizes: tuple[Size, ...] = ("official", "bundled")
    programs: tuple[str, ...] = tuple(TRACES)
    bundled: str = "trm-sudoku9"
    load: Load = field(default_factory=Load)
    effort: float = -1.0
    num_kernels: int = 0
    out: Path = Path("compiled.json")


@dataclass(frozen=True)
class Compiled:
    """What can be read from a compiled program. Memory is per chip, in bytes.

    Attributes:
      arguments, outputs, temporaries, code: memory.
      aliased: the part of the outputs that takes the place of arguments.
      collectives: how often each occurs in the program's text (not how often it runs).
      host_calls: transfers to and calls of the host in the program's text.
      flops: operations of the matrix products by kind, loops multiplied out, per chip.
      traffic: bytes of the products' operands and results, per chip.
      kernels: the kernels of a GPU's program.
      seconds: it took to compile.
    """

    arguments: int
    outputs: int
    temporaries: int
    code: int
    aliased: int
    collectives: dict[str, int]
    host_calls: int
    flops: dict[str, int]
    traffic: int
    kernels: list[Kernel]
    seconds: float

    @property
    def peak(self) -> int:
        """The bytes that a chip holds while the program runs."""
        return self.arguments + self.outputs + self.temporaries + self.code - self.aliased


def config_of(size: Size, program: str, options: Options) -> Config:
    """The official network trains in bfloat16, as upstream does; all else runs in float32."""
    if size == "bundled":
        return bundled(options.bundled)
    config = official_mlp(256) if size == "width256" else official_mlp()
    if program != "training":
        return config
    return replace(config, arch=replace(config.arch, forward_dtype="bfloat16"))


def compile_traced(
    traced: Traced, chips: int, platform: str, compiler_options: Mapping[str, int]
) -> Compiled:
    """Compiles a program for the mesh it was traced for and returns what can be read from it."""
    started = time.monotonic()
    lowered = traced.program.lower(lowering_platforms=(platform,))
    compiled = lowered.compile(compiler_options=dict(compiler_options))
    elapsed = time.monotonic() - started
    text, memory = compiled.as_text(), compiled.memory_analysis()
    jaxpr = traced.program.jaxpr
    return Compiled(
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        aliased=memory.alias_size_in_bytes,
        collectives=find_collectives(text),
        host_calls=len(HOST_CALLS.findall(text)),
        flops={kind: number // chips for kind, number in flops(jaxpr, platform).items()},
        traffic=traffic(jaxpr, platform) // chips,
        kernels=kernels(text) if platform == "cuda" else [],
        seconds=elapsed,
    )


def find_collectives(text: str) -> dict[str, int]:
    """Counts each collective in the text of an optimised program."""
    return dict(Counter(COLLECTIVES.findall(text)))


def row_of(compiled: Compiled, number: int, chip: Chip) -> dict[str, float]:
    """Returns the numbers of a program that the table shows: megabytes and milliseconds.

    Args:
      compiled: The program.
      number: The number of results that it computes on a chip.
      chip: The chip that it is for.
    """
    row = {"peak MB": compiled.peak / 1e6, "temporary MB": compiled.temporaries / 1e6}
    if chip.rates.keys() >= compiled.flops.keys():  # a TPU has no rate in float16
        row["least ms"] = 1e3 * bound(chip, compiled.flops, compiled.traffic)
    if compiled.kernels:
        estimate = 1e3 * sum(seconds(chip, kernel) for kernel in compiled.kernels)
        row["modelled ms"] = estimate
        row["modelled ms each"] = estimate / number
        row["kernels"] = sum(kernel.trips for kernel in compiled.kernels)
        row["moved GB"] = sum(kernel.trips * kernel.moved for kernel in compiled.kernels) / 1e9
    return row | {"compile s": compiled.seconds}


def print_row(title: str, row: Mapping[str, float], compiled: Compiled) -> None:
    """Prints the numbers of one program."""
    kinds = ", ".join(f"{kind} {number / 1e9:.4g}" for kind, number in compiled.flops.items())
    collectives = ", ".join(f"{number} {name}" for name, number in compiled.collectives.items())
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
    print(f"{title}: {numbers}; GFLOP {kinds}", end="")
    print(f"; collectives {collectives or 'none'}; host calls {compiled.host_calls or 'none'}")
    sys.stdout.flush()


def print_kernels(compiled: Compiled, number: int, chip: Chip) -> None:
    """Prints the slowest kernels of one program."""
    slowest = sorted(compiled.kernels, key=lambda kernel: -seconds(chip, kernel))
    for kernel in slowest[:number]:
        milliseconds = 1e3 * seconds(chip, kernel)
        print(f"  {milliseconds:9.3f} ms {kernel.trips:6} x {kernel.kind:18}", end="")
        print(f"{kernel.moved / 1e6:10.1f} MB {kernel.work / 1e9:9.1f} GFLOP", end="")
        print(f"  {kernel.type[:40]:40} {kernel.source[-60:]}")


def main(options: Options) -> None:
    """Compiles the programs, prints the table and writes the JSON file."""
    try:
        mesh = targets.describe(options.topology)
    except (ModuleNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    platform = targets.platform(options.topology)
    chip = H100 if platform == "cuda" else TPU_V5E
    if platform == "tpu":
        jax.config.update("jax_exec_time_optimization_effort", options.effort)
    kind = mesh.devices.flat[0].device_kind
    print(f"Compiled, not run: {mesh.size} x {kind} ({options.topology}), figures per chip")
    rows = []
    for size in options.sizes:
        for name in options.programs:
            traced = TRACES[name](config_of(size, name, options), mesh, options.load)
            compiled = compile_traced(
                traced, mesh.size, platform, targets.compiler_options(options.topology)
            )
            row = row_of(compiled, traced.number, chip)
            print_row(f"{size} {name}", row, compiled)
            print_kernels(compiled, options.num_kernels, chip)
            title = {"size": size, "program": name}
            rows.append(title | row | {"compiled": asdict(compiled)})
    settings = {**asdict(options), "out": options.out.name}
    record = {"status": "compiled, not run", "options": settings, "run": describe_run()}
    plugin = "jax-cuda13-plugin" if platform == "cuda" else "libtpu"
    write_json(
        options.out, record | {plugin: version(plugin), "chip": asdict(chip), "programs": rows}
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
