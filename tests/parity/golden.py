"""The official models' numbers, and rrjax's own for the same weights and puzzles.

Results are cached by case and dtype, so that every program compiles once a session.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from converters.matching import check_match, strip_prefix
from converters.torch_file import read_torch_file
from rrjax.cells import Config, Readout, bind, flatten, param_shapes, parse_arch, unflatten
from rrjax.cells import initial_state as cell_initial_state
from rrjax.contract import State, run_segment
from rrjax.dynamics.spectrum import Spectrum, spectrum
from rrjax.puzzles.batch import Batch
from rrjax.training.act import empty_slots, refill, run_slots
from rrjax.training.objective import score

FOLDER = Path(__file__).parents[1] / "golden"
CASES = (
    *("trm_mlp", "trm_att", "trm_learned", "trm_nopuz", "trm_singlez", "trm_hier6"),
    *("hrm", "hrm_deep", "hrm_samsung_mlp", "transformer"),
)
FAST = ("trm_mlp", "trm_att", "hrm")
EACH = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CASES]
"""Every case as a parameter; a token-mixing TRM, one with attention and an HRM are judged first."""
SEGMENTS = 4
"""Segments in `golden.npz`."""


class Case(NamedTuple):
    """A cell with the official weights, and the puzzles the golden numbers belong to."""

    name: str
    config: Config
    params: Any
    batch: Batch

    @property
    def has_rotary_tables(self) -> bool:
        """Rotary tables are float32 upstream and may differ in their last bit."""
        arch = self.config.arch
        return arch.pos_encodings == "rope" and not arch.mlp_t


class Forward(NamedTuple):
    """One segment of every puzzle."""

    embeddings: jax.Array
    state: State
    readout: Readout


class Backward(NamedTuple):
    """One training segment from the initial state; gradients by their golden name."""

    loss: jax.Array
    metrics: dict[str, jax.Array]
    halted: jax.Array
    grads: dict[str, jax.Array]


def precision(dtype: str) -> Any:
    """A context in which arrays of `dtype` can be made, float32 included."""
    return jax.enable_x64(dtype == "float64")


@functools.cache
def arrays(name: str, file: str) -> dict[str, np.ndarray]:
    """What `file`.npz of a case holds."""
    with np.load(FOLDER / name / f"{file}.npz") as archive:
        return dict(archive)


@functools.cache
def load_case(name: str, dtype: str = "float32") -> Case:
    """A case whose weights and computations have `dtype`; read as the converter reads them."""
    folder = FOLDER / name
    arch = parse_arch(yaml.safe_load((folder / "all_config.yaml").read_text())["arch"])
    sizes = json.loads((folder / "meta.json").read_text())
    config = Config(dataclasses.replace(arch, forward_dtype=dtype), **sizes)
    flat = strip_prefix(read_torch_file(folder / "weights.pt").tensors)[1]
    check_match(flat, param_shapes(config))
    with precision(dtype):
        params = unflatten({key: jnp.asarray(leaf.astype(dtype)) for key, leaf in flat.items()})
        return Case(name, config, params, batch_of(arrays(name, "golden"), ""))


def batch_of(golden: dict[str, np.ndarray], prefix: str) -> Batch:
    """The puzzles stored under a prefix."""
    keys = ("inputs", "labels", "puzzle_identifiers")
    return Batch(*(jnp.asarray(golden[prefix + key]) for key in keys))


def initial_state(case: Case) -> State:
    """The initial state of every puzzle."""
    start = cell_initial_state(case.params, case.config)
    size = len(case.batch.inputs)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (size, *leaf.shape)), start)


def golden_state(case: Case, golden: dict[str, np.ndarray], prefix: str) -> State:
    """The state stored under a prefix, field by field."""
    kind = type(cell_initial_state(case.params, case.config))
    dtype = case.config.arch.forward_dtype
    return kind(*(jnp.asarray(golden[prefix + name], dtype) for name in kind._fields))


@functools.partial(jax.jit, static_argnums=0)
def run_one(config: Config, params: Any, tokens: Any, puzzle_id: Any, state: State) -> Forward:
    """A segment of one puzzle."""
    dynamics = bind(params, config, tokens, puzzle_id)
    state = run_segment(dynamics, state)
    return Forward(dynamics.context["x"], state, dynamics.readout(dynamics.context, state))


def run_batch(case: Case, state: State) -> Forward:
    """A segment of every puzzle."""
    run = jax.vmap(functools.partial(run_one, case.config), in_axes=(None, 0, 0, 0))
    return run(case.params, case.batch.inputs, case.batch.puzzle_ids, state)


@functools.cache
def forward(name: str) -> list[Forward]:
    """Every golden segment in float32, each from the golden carry before it."""
    with precision("float32"):
        case, golden = load_case(name), arrays(name, "golden")
        carries = [golden_state(case, golden, f"eval/{t}/carry/") for t in range(SEGMENTS - 1)]
        return [run_batch(case, state) for state in (initial_state(case), *carries)]


def differentiate(case: Case) -> Backward:
    """Loss and gradients of one training segment, traced anew at every call."""
    vectors = None
    if case.config.arch.puzzle_emb_ndim:
        vectors = case.params["puzzle_emb"]["weights"][case.batch.puzzle_ids]
    loss = functools.partial(_train_loss, case.config)
    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (value, (metrics, halted)), grads = gradient(case.params, vectors, case.batch)
    named = {f"inner.{key}": leaf for key, leaf in flatten(grads[0]).items()}
    if vectors is not None:
        named["puzzle_emb.local_weights"] = grads[1]
    return Backward(value, metrics, halted, named)


def _train_loss(config: Config, params: Any, vectors: Any, batch: Batch):
    empty = empty_slots(params, config, batch)
    slots = refill(empty, batch, cell_initial_state(params, config))
    segment = run_slots(params, vectors, config, slots, jax.random.key(0))
    scores = score(
        segment.readout,
        batch.labels,
        segment.slots.halted,
        segment.slots.steps,
        segment.target_q_continue,
        config.arch.loss_type,
    )
    return scores.loss, (scores.metrics, segment.slots.halted)


@functools.cache
def backward(name: str) -> Backward:
    """The golden training segment in float32."""
    with precision("float32"):
        return differentiate(load_case(name))


def frames(case: Case) -> State:
    """The golden initial frames, (batch, k, tokens, width) for every field."""
    stored = golden_state(case, arrays(case.name, "tangent_f64"), "frame0/")
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 1, 0), stored)


@functools.partial(jax.jit, static_argnums=(0, 1))
def spectra(config: Config, num_segments: int, params: Any, batch: Batch, frame: State) -> Spectrum:
    """The spectrum of every puzzle, from its own frame."""

    def one(tokens: Any, puzzle_id: Any, frame: State) -> Spectrum:
        dynamics = bind(params, config, tokens, puzzle_id)
        return spectrum(dynamics, num_segments=num_segments, frame=frame)

    return jax.vmap(one)(batch.inputs, batch.puzzle_ids, frame)


@functools.cache
def tangents(name: str, dtype: str) -> Spectrum:
    """The golden spectra in `dtype`."""
    with precision(dtype):
        case = load_case(name, dtype)
        segments = int(arrays(name, "tangent_f64")["segments"])
        return spectra(case.config, segments, case.params, case.batch, frames(case))


def max_error(found: Any, golden: np.ndarray) -> float:
    """max |difference| in units of the golden array's largest entry."""
    found = np.asarray(found)
    assert found.shape == golden.shape
    return float(np.abs(found - golden).max() / np.abs(golden).max())
