"""NNX modules: the pure cells' numbers bit for bit, their names, and NNX's own machinery."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from rrjax.cells import (
    Arch,
    Config,
    bind,
    flatten,
    initial_state,
    is_trained,
    param_shapes,
    unflatten,
)
from rrjax.cells.nnx import Cell, Fixed
from rrjax.contract import run_segment

# without all passes the modules' programs and the pure ones differ in last bits
pytestmark = pytest.mark.optimized

SIZES = {"seq_len": 6, "vocab_size": 5, "num_puzzle_identifiers": 3}
SMALL: dict[str, Any] = {"hidden_size": 8, "num_heads": 2, "H_cycles": 1, "L_cycles": 2}
TRM = Arch("trm", **SMALL, L_layers=1, mlp_t=True, puzzle_emb_ndim=8, puzzle_emb_len=2)
HRM = Arch("hrm", **SMALL, H_layers=1, L_layers=1, puzzle_emb_ndim=12, pos_encodings="learned")
TRANSFORMER = Arch("transformer", **SMALL, H_layers=2)
SRM = Arch("srm", **SMALL, L_layers=1, eta=2.0, kappa_max=0.95)
LSTM = Arch("lstm", **SMALL, H_layers=2)
MIXER = Arch("mixer", **SMALL, H_layers=1)
CELLS = (TRM, HRM, TRANSFORMER, SRM, LSTM, MIXER)
CONFIGS = {arch.name: Config(arch, **SIZES) for arch in CELLS}
TOKENS = jnp.array([1, 4, 0, 2, 3, 1])


EACH = [pytest.param(n, marks=() if n == "trm" else pytest.mark.slow) for n in CONFIGS]


@pytest.fixture(params=EACH)
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


@pytest.fixture
def params(config: Config) -> dict:
    """Random everywhere: upstream's zeros would hide the q head and the puzzle embeddings."""
    return random_arrays(0, config)


@pytest.fixture
def cell(config: Config, params: dict) -> Cell:
    return Cell(config, params)


def random_arrays(seed: int, config: Config) -> dict:
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(rng.normal(size=shape) / 4, jnp.float32)
        for name, shape in param_shapes(config).items()
    }


def pure_segment(flat: dict, config: Config, puzzle_id: int = 0, state=None):
    dynamics = bind(unflatten(flat), config, TOKENS, puzzle_id)
    state = run_segment(dynamics, dynamics.start(state))
    return state, dynamics.readout(dynamics.context, state)


def loss(outputs) -> jax.Array:
    state, readout = outputs
    return jnp.sum(jnp.sin(readout.logits)) + readout.q_halt * readout.q_continue + state.z_H[0, 0]


def assert_bit_equal(found, expected) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert jnp.array_equal(a, b)


def flat_values(state: nnx.State) -> dict:
    return {".".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(state)}


def test_a_segment_is_bit_equal_to_the_pure_cell(cell, config, params):
    puzzle_id = 2 if config.arch.puzzle_emb_ndim else 0
    expected = jax.jit(lambda p: pure_segment(p, config, puzzle_id))(params)
    found = nnx.jit(lambda cell: cell(TOKENS, puzzle_id=puzzle_id))(cell)
    assert_bit_equal(found, expected)


def test_a_segment_starts_from_the_state_it_is_given():
    config = CONFIGS["trm"]
    params = random_arrays(0, config)
    initial, cell = initial_state(unflatten(params), config), Cell(config, params)
    state = initial._replace(z_L=jnp.ones((8, 8)))
    run = nnx.jit(lambda cell, state: cell(TOKENS, state))
    pure = jax.jit(lambda p, state: pure_segment(p, config, state=state))
    outputs = run(cell, state)
    assert_bit_equal(outputs, pure(params, state))
    assert not jnp.array_equal(outputs[0].z_H, run(cell, initial)[0].z_H)


def test_gradients_are_bit_equal_and_for_trained_parameters_only(cell, config, params):
    trained = {name: leaf for name, leaf in params.items() if is_trained(name)}
    fixed = {name: leaf for name, leaf in params.items() if not is_trained(name)}
    pure = jax.jit(jax.grad(lambda t: loss(pure_segment(t | fixed, config))))(trained)
    found = nnx.jit(nnx.grad(lambda cell: loss(cell(TOKENS))))(cell)
    assert_bit_equal(flat_values(found), pure)
    assert all(jnp.any(gradient != 0) for gradient in pure.values())


def test_tangents_are_bit_equal(cell, config, params):
    tangents = random_arrays(1, config)
    graph, variables = nnx.split(cell)

    def module(flat: dict):
        state = nnx.from_flat_state([(p, v.replace(flat[".".join(map(str, p))])) for p, v in path])
        return nnx.merge(graph, state)(TOKENS)

    path = list(nnx.to_flat_state(variables))
    found = jax.jit(lambda p, t: jax.jvp(module, (p,), (t,)))(params, tangents)
    pure = jax.jit(lambda p, t: jax.jvp(lambda p: pure_segment(p, config), (p,), (t,)))
    assert_bit_equal(found, pure(params, tangents))


def test_names_and_values_go_round(cell, config, params):
    assert set(flat_values(nnx.state(cell))) == set(param_shapes(config))
    assert_bit_equal(flatten(cell.params()), params)
    assert_bit_equal(flatten(Cell(config, cell.params()).params()), params)


def test_paths_are_attributes():
    params = random_arrays(0, CONFIGS["transformer"])
    cell: Any = Cell(CONFIGS["transformer"], params)
    weight = cell.H_level.layers[1].mlp.down_proj.weight
    assert jnp.array_equal(weight[...], params["H_level.layers.1.mlp.down_proj.weight"])


def test_trained_and_fixed_parameters_split_and_merge(cell, config):
    graph, trained, fixed = nnx.split(cell, nnx.Param, Fixed)
    names = set(param_shapes(config))
    assert set(flat_values(trained)) == {name for name in names if is_trained(name)}
    assert set(flat_values(fixed)) == {name for name in names if not is_trained(name)}
    assert_bit_equal(nnx.merge(graph, trained, fixed).params(), cell.params())


def test_create_draws_by_init_params_from_the_stream_of_parameters(monkeypatch):
    calls, arrays = [], random_arrays(0, CONFIGS["trm"])
    monkeypatch.setattr(
        "rrjax.cells.nnx.init_params", lambda *call: calls.append(call) or unflatten(arrays)
    )
    assert_bit_equal(flatten(Cell.create(CONFIGS["trm"], nnx.Rngs(7)).params()), arrays)
    ((key, config),) = calls
    assert (key, config) == (nnx.Rngs(7).params(), CONFIGS["trm"])


def test_an_optimizer_step_moves_trained_parameters_only():
    config = CONFIGS["trm"]
    params = random_arrays(0, config)
    cell = Cell(config, params)
    optimizer = nnx.Optimizer(cell, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(cell: Cell, optimizer: nnx.Optimizer) -> None:
        optimizer.update(cell, nnx.grad(lambda cell: loss(cell(TOKENS)))(cell))

    step(cell, optimizer)
    for name, leaf in flatten(cell.params()).items():
        assert is_trained(name) == bool(jnp.any(leaf != params[name])), name


def test_misfitting_parameters_are_named(config, params):
    spoilt = {name: leaf for name, leaf in params.items() if name != "q_head.bias"}
    spoilt |= {"lm_head.weight": jnp.zeros((1, 8)), "extra": jnp.zeros(1)}
    with pytest.raises(ValueError, match="unknown: extra") as caught:
        Cell(config, spoilt)
    assert "missing: q_head.bias (2,)" in str(caught.value)
    assert r"lm_head.weight: expected shape (5, 8), found (1, 8)" in str(caught.value)
