"""Traces the programs that matter on an accelerator: spectra, rollouts, policies and training.

Every sweep is traced as the commands run it, each chip on items of its own. Automatic sharding
would turn the choice between the two QR algorithms, made for all frames that run together, into an
all-reduce at every update.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import Partial

from rrjax.cells import Config, bind
from rrjax.dynamics.precision import PRECISIONS
from rrjax.dynamics.rollout import observe_segments
from rrjax.dynamics.spectrum import spectrum
from rrjax.experiments import restarts
from rrjax.experiments.basins import perturbed
from rrjax.experiments.judging import Judge
from rrjax.experiments.rollouts import observe_segment
from rrjax.experiments.trajectories import Length, measure_runs
from rrjax.jobs.devices import AXIS, sharded
from rrjax.models import Model
from rrjax.outcomes import EXACT_MATCH
from rrjax.puzzles.batch import Batch
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from rrjax.training.step import train_step
from scripts.benchmarks.sizes import parameters


@dataclass(frozen=True)
class Load:
    """How much a chip does in one program.

    Attributes:
      num_exponents: The number of exponents k of the spectrum.
      num_segments: The segments of spectra, rollouts and restarts; they cost no compile time.
      segments_per_qr: The segments of a spectrum between two QRs; without it each update has one.
      puzzles_per_chip: The number of puzzles whose spectra run together on a chip.
      points_per_chip: The number of rollouts, or starting points of the basin sweep, on a chip.
      slots_per_chip: The number of slots of the training batch on a chip.
    """

    num_exponents: int = 8
    num_segments: int = 16
    segments_per_qr: int | None = None
    puzzles_per_chip: int = 4
    points_per_chip: int = 64
    slots_per_chip: int = 32


@dataclass(frozen=True)
class Traced:
    """A traced program, and how many results of one puzzle and segment, or steps, it computes."""

    program: Any
    number: int


def trace_spectrum(precision: str, config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces the spectra of puzzles."""

    def one(params: Any, puzzle: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        tokens, key = puzzle
        dynamics = bind(params, config, tokens)
        sizes = (load.num_exponents, load.num_segments)
        cadence = {"precision": precision, "segments_per_qr": load.segments_per_qr}
        result = spectrum(dynamics, *sizes, key=key, **cadence)
        return {"log_growth": result.log_growth, "finite": result.finite}

    number = load.puzzles_per_chip * mesh.size
    tokens = jax.ShapeDtypeStruct((number, config.seq_len), jnp.int32)
    items = (tokens, _keys(number))
    program = _trace_chunks(jax.vmap(one, in_axes=(None, 0)), mesh, parameters(config), items)
    return Traced(program, load.puzzles_per_chip * load.num_segments)


def trace_rollout(precision: str, config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces the rollouts of puzzles, with the numbers that `rrjax rollout` keeps by segment."""
    judge = Judge(_model(config), EXACT_MATCH)

    def one(params: Any, puzzle: Batch) -> dict[str, jax.Array]:
        dynamics = bind(params, config, puzzle.inputs)
        observe = Partial(functools.partial(observe_segment, judge), puzzle, None, None)
        return observe_segments(dynamics, observe, load.num_segments, precision=precision)[1]

    items = _puzzles(config, load.points_per_chip * mesh.size)
    program = _trace_chunks(jax.vmap(one, in_axes=(None, 0)), mesh, parameters(config), items)
    return Traced(program, load.points_per_chip * load.num_segments)


def trace_basins(config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces the restarts of a basin sweep that is too large for paths to be kept."""
    compute = functools.partial(
        restarts.measure_chunk,
        Judge(_model(config), EXACT_MATCH),
        restarts.Measurement(load.num_segments, 0, "exact"),
        perturbed,
    )
    return _trace_starts(compute, (parameters(config), None), config, mesh, load)


def trace_policies(num_exponents: int, config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces the runs of `rrjax policies`, with all that its rules see after every segment."""
    length = Length(load.num_segments, (load.num_segments - 1,), "exact", num_exponents)
    compute = functools.partial(measure_runs, Judge(_model(config), EXACT_MATCH), length, perturbed)
    return _trace_starts(compute, parameters(config), config, mesh, load)


def trace_training(config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces one training step: the slots are shared out, the weights are on every chip."""
    number = load.slots_per_chip * mesh.size
    recipe = Recipe(global_batch_size=number)
    state = jax.eval_shape(functools.partial(init_train_state, config, recipe))
    state = _placed(state, mesh, PartitionSpec())
    state = state._replace(slots=_placed(state.slots, mesh, PartitionSpec(AXIS)))
    batch = _placed(_puzzles(config, number), mesh, PartitionSpec(AXIS))
    program = jax.jit(train_step, static_argnums=(0, 1), donate_argnums=2)
    return Traced(program.trace(config, recipe, state, batch), 1)


TRACES: Mapping[str, Callable[[Config, Mesh, Load], Traced]] = {
    **{f"spectrum-{name}": functools.partial(trace_spectrum, name) for name in PRECISIONS},
    **{f"rollout-{name}": functools.partial(trace_rollout, name) for name in PRECISIONS},
    "basins": trace_basins,
    "policies": functools.partial(trace_policies, 0),
    "policies-lambda1": functools.partial(trace_policies, 1),
    "training": trace_training,
}


def _model(config: Config) -> Model:
    return Model(config, None, {}, "", "", Path())


def _puzzles(config: Config, number: int) -> Batch:
    tokens = jax.ShapeDtypeStruct((number, config.seq_len), jnp.int32)
    return Batch(tokens, tokens, jax.ShapeDtypeStruct((number,), jnp.int32))


def _keys(number: int) -> jax.ShapeDtypeStruct:
    return jax.eval_shape(lambda: jax.random.split(jax.random.key(0), number))


def _trace_starts(compute: Callable, shared: Any, config: Config, mesh: Mesh, load: Load) -> Traced:
    """Traces `compute(shared, chunk)` of starts of puzzles with noise of their own."""
    number = load.points_per_chip * mesh.size
    keys, sigma = _keys(number), jax.ShapeDtypeStruct((number,), jnp.float32)
    chunk = restarts.Chunk(_puzzles(config, number), keys, keys, sigma)
    program = _trace_chunks(compute, mesh, shared, chunk)
    return Traced(program, load.points_per_chip * load.num_segments)


def _trace_chunks(compute: Callable, mesh: Mesh, shared: Any, items: Any) -> Any:
    """Traces `compute(shared, chunk)`, a chunk on every chip."""
    work = sharded(compute, list(mesh.devices.flat))
    everywhere, apart = PartitionSpec(), PartitionSpec(AXIS)
    return jax.jit(work).trace(_placed(shared, mesh, everywhere), _placed(items, mesh, apart))


def _placed(tree: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    sharding = NamedSharding(mesh, spec)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )
