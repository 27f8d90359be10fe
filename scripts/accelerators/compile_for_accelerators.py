"""Compiles spectrum, basin sweep and training step for TPUs that need not be there.

The libtpu wheel compiles ahead of time for a described topology, and nothing is run. The table
shows the memory per chip, the size of the program, its collectives and its matrix products.

Usage: python -m scripts.accelerators.compile_for_accelerators [--topology v5e:2x2]
(some three minutes in all; `v5e:16x16` is 256 chips)
"""

import functools
import importlib.util
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

# JAX and libtpu read these when they load: compute nothing on, and ask no server for, a TPU
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

import jax
import jax.numpy as jnp
import tyro
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rrjax.cells import Config, bind
from rrjax.dynamics.spectrum import spectrum
from rrjax.experiments import restarts
from rrjax.experiments.basins import perturbed
from rrjax.jobs.devices import AXIS, sharded
from rrjax.models import Model
from rrjax.puzzles.batch import Batch
from rrjax.store import describe_run, write_json
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from rrjax.training.step import train_step
from scripts.benchmarks.counting import flops
from scripts.benchmarks.sizes import bundled, official_mlp, parameters

COLLECTIVES = re.compile(
    r" (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast)"
    r"(?:-start)?\("
)
HOST_CALLS = re.compile(r" (?:infeed|outfeed|send|recv)\(|custom_call_target=\"[^\"]*callback")

Name = Literal["spectrum", "spectrum-bf16", "basins", "training"]
Size = Literal["official", "bundled"]


@dataclass(frozen=True)
class Options:
    """Settings of the compilation.

    Attributes:
      topology: Generation and shape of the described slice, as libtpu names it.
      sizes: The official TRM-MLP, the bundled model, or both.
      programs: The programs that are compiled.
      bundled: The name of the bundled model.
      num_exponents: The number of exponents k of the spectrum.
      num_segments: The segments of spectra and restarts; they cost no compile time.
      puzzles_per_chip: The number of puzzles whose spectra run together on a chip.
      points_per_chip: The number of starting points of the basin sweep on a chip.
      slots_per_chip: The number of slots of the training batch on a chip.
      effort: The effort of the compiler, −1 to 1, as `jax_exec_time_optimization_effort`. At 0, its
        own default, it takes ten times as long and keeps more on the chip.
      out: The JSON file for the table.
    """

    topology: str = "v5e:2x2"
    sizes: tuple[Size, ...] = get_args(Size)
    programs: tuple[Name, ...] = get_args(Name)
    bundled: str = "trm-sudoku9"
    num_exponents: int = 8
    num_segments: int = 16
    puzzles_per_chip: int = 4
    points_per_chip: int = 64
    slots_per_chip: int = 32
    effort: float = -1.0
    out: Path = Path("compiled.json")


@dataclass(frozen=True)
class Compiled:
    """What can be read from a compiled program. Memory is per chip, in bytes.

    Attributes:
      arguments, outputs, temporaries, code: memory.
      collectives: how often each occurs in the program's text (not how often it runs).
      host_calls: transfers to and calls of the host in the program's text.
      flops: operations of the matrix products by kind, loops multiplied out, per chip.
      xla_flops: XLA's own count per chip, which takes the body of every loop once.
      seconds: it took to compile.
    """

    arguments: int
    outputs: int
    temporaries: int
    code: int
    collectives: dict[str, int]
    host_calls: int
    flops: dict[str, int]
    xla_flops: float
    seconds: float


def describe(topology: str) -> Mesh:
    """Returns a mesh over the chips of a described slice.

    Raises:
      ModuleNotFoundError: without libtpu.
      ValueError: if libtpu does not know the topology, or another process uses libtpu.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise ModuleNotFoundError(
            "the libtpu wheel, which holds the compiler, is missing: pip install 'rrjax[tpu]'"
        )
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"libtpu cannot describe topology {topology!r}: {error}") from error
    number = len(found.devices)
    return jax.make_mesh((number,), (AXIS,), (AxisType.Auto,), devices=found.devices)


def trace_spectrum(precision: str, config: Config, mesh: Mesh, options: Options) -> Any:
    """Spectra of puzzles, every chip its own."""

    def one(params: Any, puzzle: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        tokens, key = puzzle
        dynamics = bind(params, config, tokens)
        sizes = (options.num_exponents, options.num_segments)
        result = spectrum(dynamics, *sizes, key=key, precision=precision)
        return {"log_growth": result.log_growth, "finite": result.finite}

    number = options.puzzles_per_chip * mesh.size
    tokens = jax.ShapeDtypeStruct((number, config.seq_len), jnp.int32)
    return _trace_apart(one, mesh, parameters(config), (tokens, abstract_keys(number)))


def trace_basins(config: Config, mesh: Mesh, options: Options) -> Any:
    """Restarts of a basin sweep, as `rrjax basin` runs them, every chip its own."""
    model = Model(config, None, {}, "", "", Path())
    compute = functools.partial(restarts.measure_chunk, model, options.num_segments, 0, perturbed)
    number = options.points_per_chip * mesh.size
    tokens = jax.ShapeDtypeStruct((number, config.seq_len), jnp.int32)
    puzzles = Batch(tokens, tokens, jax.ShapeDtypeStruct((number,), jnp.int32))
    keys, sigma = abstract_keys(number), jax.ShapeDtypeStruct((number,), jnp.float32)
    return _trace_chunks(
        compute, mesh, parameters(config), restarts.Chunk(puzzles, keys, keys, sigma)
    )


def trace_training(config: Config, mesh: Mesh, options: Options) -> Any:
    """One training step, slots sharded, weights on every chip."""
    number = options.slots_per_chip * mesh.size
    recipe = Recipe(global_batch_size=number)
    state = jax.eval_shape(functools.partial(init_train_state, config, recipe))
    tokens = jax.ShapeDtypeStruct((number, config.seq_len), jnp.int32)
    batch = Batch(tokens, tokens, jax.ShapeDtypeStruct((number,), jnp.int32))
    state = _placed(state, mesh, PartitionSpec())
    state = state._replace(slots=_placed(state.slots, mesh, PartitionSpec(AXIS)))
    program = jax.jit(train_step, static_argnums=(0, 1), donate_argnums=2)
    return program.trace(config, recipe, state, _placed(batch, mesh, PartitionSpec(AXIS)))


def _trace_apart(one: Callable, mesh: Mesh, shared: Any, items: Any) -> Any:
    """Trace the vmap of `one(shared, item)` as sweeps run it, every chip on its own items.

    Automatic sharding would turn the choice between the two QR algorithms, made for all frames
    that run together, into an all-reduce at every update.
    """
    return _trace_chunks(jax.vmap(one, in_axes=(None, 0)), mesh, shared, items)


def _trace_chunks(compute: Callable, mesh: Mesh, shared: Any, items: Any) -> Any:
    """Trace `compute(shared, chunk)`, a chunk on every chip."""
    work = sharded(compute, list(mesh.devices.flat))
    everywhere, apart = PartitionSpec(), PartitionSpec(AXIS)
    return jax.jit(work).trace(_placed(shared, mesh, everywhere), _placed(items, mesh, apart))


def _placed(tree: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    sharding = NamedSharding(mesh, spec)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def abstract_keys(number: int) -> jax.ShapeDtypeStruct:
    """The shape of so many random keys."""
    return jax.eval_shape(lambda: jax.random.split(jax.random.key(0), number))


TRACES: dict[Name, Callable[[Config, Mesh, Options], Any]] = {
    "spectrum": functools.partial(trace_spectrum, "exact"),
    "spectrum-bf16": functools.partial(trace_spectrum, "bf16"),
    "basins": trace_basins,
    "training": trace_training,
}


def config_of(size: Size, program: Name, options: Options) -> Config:
    """The official size trains in bfloat16, as upstream does; all else runs in float32."""
    if size == "bundled":
        return bundled(options.bundled)
    config = official_mlp()
    if program != "training":
        return config
    return replace(config, arch=replace(config.arch, forward_dtype="bfloat16"))


def compile_traced(traced: Any, chips: int, platform: str = "tpu") -> Compiled:
    """Compiles a program for the mesh it was traced for and returns what can be read from it."""
    started = time.monotonic()
    compiled = traced.lower(lowering_platforms=(platform,)).compile()
    seconds = time.monotonic() - started
    text, memory = compiled.as_text(), compiled.memory_analysis()
    return Compiled(
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        collectives=find_collectives(text),
        host_calls=len(HOST_CALLS.findall(text)),
        flops={kind: number // chips for kind, number in flops(traced.jaxpr).items()},
        xla_flops=compiled.cost_analysis()["flops"],
        seconds=seconds,
    )


def find_collectives(text: str) -> dict[str, int]:
    """Counts each collective in the text of an optimised program."""
    return dict(Counter(COLLECTIVES.findall(text)))


def print_title(options: Options, mesh: Mesh) -> None:
    """Prints the title and the heads of the table."""
    kind = mesh.devices.flat[0].device_kind
    chips = f"{mesh.size} chips ({kind}, {options.topology})"
    print(f"Compiled, not run: {chips}, effort {options.effort:g}, figures per chip")
    print(f"{'size':9}{'program':15}{'MB args':>9}{'temp':>8}{'out':>8}{'code':>7}", end="")
    print(f"{'GFLOP by kind':>32}{'compile s':>11}  collectives, host calls")


def print_row(size: str, name: str, row: Compiled) -> None:
    """Prints the row of one program."""
    memory = (row.arguments, row.temporaries, row.outputs)
    kinds = ", ".join(f"{kind} {number / 1e9:.4g}" for kind, number in row.flops.items())
    found = ", ".join(f"{number} {name}" for name, number in row.collectives.items())
    print(f"{size:9}{name:15}" + "".join(f"{number / 1e6:8.1f}" for number in memory), end="")
    print(f"{row.code / 1e6:7.1f}{kinds:>33}{row.seconds:11.0f}", end="")
    print(f"  {found or 'none'}, {row.host_calls or 'none'}", flush=True)


def main(options: Options) -> None:
    """Compiles the programs, prints the table and writes the JSON file."""
    try:
        mesh = describe(options.topology)
    except (ModuleNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    jax.config.update("jax_exec_time_optimization_effort", options.effort)
    print_title(options, mesh)
    rows = []
    for size in options.sizes:
        for name in options.programs:
            traced = TRACES[name](config_of(size, name, options), mesh, options)
            row = compile_traced(traced, mesh.size)
            print_row(size, name, row)
            rows.append({"size": size, "program": name} | asdict(row))
    settings = {**asdict(options), "out": options.out.name}
    record = {"status": "compiled, not run", "options": settings, "run": describe_run()}
    write_json(options.out, record | {"libtpu": version("libtpu"), "programs": rows})


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
