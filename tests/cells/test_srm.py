"""The stable recursion model: its certificate is exact, obeyed everywhere, and attained."""

import functools
import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rrjax import spectrum
from rrjax.cells import Arch, Config, bind, flatten, init_params, param_shapes, unflatten
from rrjax.cells.srm import certificate, gain, operators, sandwich, weighted_norm
from rrjax.cells.trm import TwoStates
from rrjax.contract import run_segment, updates
from rrjax.models import load_model, save_model
from rrjax.puzzles.batch import Batch
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from tests.tools.tiny import weights
from tests.tools.tiny_training import compiled_step

ARCH = Arch(
    "srm",
    hidden_size=6,
    H_cycles=2,
    L_cycles=2,
    L_layers=2,
    pos_encodings="none",
    forward_dtype="float64",
    kappa=0.9,
)
UPDATES = 4
make_operators = jax.jit(operators, static_argnums=1)
SIZES = {"seq_len": 5, "vocab_size": 4}
TOKENS = jnp.array([1, 3, 0, 2, 1])
WEIGHTED = replace(ARCH, alpha=0.7, eta=0.04)
LEARNED = replace(ARCH, kappa_max=0.95, eta=30.0)
SCALES = [(0.3, 0.3), (1.0, 1.0), (20.0, 20.0), (0.3, 1e3)]
ISOMETRY = math.tan(math.pi / 8)


def random_params(arch: Arch, seed: int, layers: float = 1.0, rest: float = 1.0) -> dict[str, Any]:
    """Gaussian arrays in float64, which must be enabled.

    Args:
      layers: standard deviation of X and Y in sandwich layers, which contract strongly if large.
      rest: of all else: gains, rotations, biases, injections, embeddings.
    """
    rng = np.random.default_rng(seed)
    return unflatten(
        {
            name: jnp.asarray(rng.normal(size=shape) * (layers if _is_layer(name) else rest))
            for name, shape in param_shapes(Config(arch, **SIZES)).items()
        }
    )


def _is_layer(name: str) -> bool:
    return ".mlp" in name and not name.endswith(".bias")


def random_state(seed: int, scale: float = 3.0) -> TwoStates:
    rng = np.random.default_rng(seed)
    return TwoStates(*(jnp.asarray(scale * rng.normal(size=(5, 6))) for _ in range(2)))


@functools.partial(jax.jit, static_argnums=1)
def step(params: Any, config: Config, z: TwoStates) -> TwoStates:
    """One update."""
    dynamics = bind(params, config, TOKENS)
    return next(updates(dynamics.schedule))(dynamics.context, z, None)


@settings(max_examples=30)
@given(arrays(np.float64, (2, 2), elements=st.floats(-10, 10)), st.floats(1e-3, 1e3))
def test_the_gain_is_the_spectral_norm_of_the_weighted_matrix(gains, eta):
    weights = np.array([[1, eta**-0.5], [eta**0.5, 1]])
    exact = np.linalg.norm(np.abs(gains) * weights, 2)
    with jax.enable_x64(True):
        assert abs(gain(jnp.asarray(gains), eta) - exact) <= 1e-12 * exact + 1e-300


def test_row_sums_are_no_bound_of_the_gain():
    """Both rows sum to .9, and a state of norm 1 grows to 1.27."""
    gains = np.array([[0.9, 0.0], [0.9, 0.0]])
    with jax.enable_x64(True):
        assert float(gain(jnp.asarray(gains), 1.0)) == pytest.approx(0.9 * math.sqrt(2))
        params = random_params(ARCH, 0)
        params["L_level"]["coupling"]["gains"] = jnp.asarray(gains)
        config = Config(ARCH, **SIZES)
        assert float(certificate(params, config).gain) == pytest.approx(0.9)
        scaled = make_operators(params["L_level"], ARCH)["gains"]
        assert np.allclose(scaled, gains / math.sqrt(2))


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_cayley_transforms_are_orthogonal(scale):
    with jax.enable_x64(True):
        made = make_operators(random_params(ARCH, 1, scale)["L_level"], ARCH)
        for name in ("U_HL", "U_LH"):
            assert np.allclose(made[name] @ made[name].T, np.eye(6), atol=1e-11)
        for layer in made["layers"].values():
            for pair in layer.values():
                whole = pair["A"] @ pair["A"].T + pair["B"] @ pair["B"].T
                assert np.allclose(whole, 2 * np.eye(len(whole)), atol=1e-11)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50.0))
def test_a_sandwich_layer_stretches_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        made = make_operators(random_params(ARCH, seed % 1000, scale)["L_level"], ARCH)
        pair = made["layers"]["0"]["mlp"]
        jacobian = jax.jacobian(lambda x: sandwich(pair, x))(jnp.asarray(rng.normal(size=6)))
        assert np.linalg.norm(jacobian, 2) <= 1 + 1e-12


@pytest.mark.parametrize("arch", [ARCH, WEIGHTED, LEARNED], ids=["plain", "weighted", "learned"])
@pytest.mark.parametrize("scales", SCALES)
def test_two_trajectories_approach_at_the_certified_rate_at_every_step(arch, scales):
    config = Config(arch, **SIZES)
    with jax.enable_x64(True):
        for seed in range(4):
            params = random_params(arch, seed, *scales)
            factor = certificate(params, config).factor
            near, far = random_state(seed), random_state(100 + seed, 10.0)
            for _ in range(6):
                before = weighted_norm(jax.tree.map(jnp.subtract, far, near), arch.eta)
                near, far = step(params, config, near), step(params, config, far)
                after = weighted_norm(jax.tree.map(jnp.subtract, far, near), arch.eta)
                size = weighted_norm(near, arch.eta) + weighted_norm(far, arch.eta)
                # of numbers as large as the states the difference carries their rounding
                assert after <= factor * before + 1e-12 * (before + 1e-2 * size)


@pytest.mark.parametrize("arch", [ARCH, WEIGHTED, LEARNED], ids=["plain", "weighted", "learned"])
def test_measured_exponents_obey_the_certificate(arch):
    config = Config(arch, **SIZES)
    with jax.enable_x64(True):
        for seed in range(8):
            params = random_params(arch, seed, *SCALES[seed % 4])
            bound = certificate(params, config)
            dynamics, z = bind(params, config, TOKENS), random_state(seed)
            measured = spectrum(dynamics, 3, 2, key=jax.random.key(seed), initial=z)
            assert measured.finite
            most = bound.exponent + bound.excess / (2 * UPDATES)
            assert np.nanmax(measured.exponents) <= most + 1e-12


def isometric(arch: Arch, gains: Any) -> dict[str, Any]:
    """Layers that permute and add a bias, so that every unit is on from large states on; U = I."""
    rng = np.random.default_rng(5)
    flat = flatten(random_params(arch, 0))
    for name, leaf in flat.items():
        if name.endswith(".Y"):
            flat[name] = jnp.asarray(ISOMETRY * np.eye(len(leaf))[rng.permutation(len(leaf))])
        elif name.endswith(".X") or ".inject" in name:
            flat[name] = jnp.zeros_like(leaf)
        elif ".mlp" in name:
            flat[name] = jnp.full(leaf.shape, 100.0)
    return unflatten(flat | {"L_level.coupling.gains": jnp.asarray(gains, float)})


def test_the_certificate_is_attained():
    """Isometric layers and symmetric gains: exponents ln κ, and ln κ/3 of the other eigenvalue."""
    config = Config(ARCH, **SIZES)
    with jax.enable_x64(True):
        params = isometric(ARCH, [[1, 0.5], [0.5, 1]])
        z = random_state(0)
        measured = spectrum(bind(params, config, TOKENS), 60, 20, key=jax.random.key(0), initial=z)
        bound = certificate(params, config)
        assert float(bound.exponent) == pytest.approx(math.log(0.9))
        assert np.all(measured.exponents <= bound.exponent + 1e-12)
        assert np.allclose(measured.exponents[:30], bound.exponent, atol=0.05)
        assert measured.exponents[0] == pytest.approx(math.log(0.9), abs=1e-2)
        # their sum is ln |det| of the constant Jacobian
        total = 30 * (math.log(0.9) + math.log(0.3))
        assert float(measured.exponents.sum()) == pytest.approx(total)


def test_the_excess_of_a_finite_time_is_needed_and_enough():
    """A flow from z_L into z_H alone grows in the plain norm at first where η is large."""
    arch = replace(ARCH, eta=400.0)
    config = Config(arch, **SIZES)
    with jax.enable_x64(True):
        params = isometric(arch, [[0.0, 1.0], [0.0, 0.0]])
        frame = TwoStates(jnp.zeros((1, 5, 6)), jnp.zeros((1, 5, 6)).at[0, 0, 0].set(1.0))
        bound = certificate(params, config)
        tangent = jax.tree.map(lambda leaf: leaf[0], frame)
        moved = jax.jvp(lambda z: step(params, config, z), (random_state(1),), (tangent,))[1]
        growth = jnp.log(weighted_norm(moved, 1.0))
        assert float(growth) == pytest.approx(float(bound.exponent + bound.excess))
        assert growth > bound.exponent + 1


def test_a_fixed_gain_does_not_depend_on_the_weights():
    config = Config(replace(ARCH, kappa=0.5, alpha=0.5), **SIZES)
    with jax.enable_x64(True):
        for seed, rest in enumerate([1e-30, 1.0, 1e30]):
            bound = certificate(random_params(config.arch, seed, 1.0, rest), config)
            assert float(bound.factor) == pytest.approx(0.75)
            assert float(bound.exponent) == pytest.approx(math.log(0.75))


@pytest.mark.parametrize(("raw", "kappa"), [(0.0, 0.9), (-100.0, 0.0), (100.0, 0.95)])
def test_a_learned_gain_starts_at_kappa_and_stays_below_its_maximum(raw, kappa):
    config = Config(LEARNED, **SIZES)
    coupling = {"gains": jnp.array([[1.0, 0.5], [0.5, 1.0]]), "kappa": jnp.array([raw])}
    bound = certificate({"L_level": {"coupling": coupling}}, config)
    assert float(bound.gain) == pytest.approx(kappa, abs=1e-6)
    assert bound.excess == pytest.approx(math.log(30) / 2)


def test_only_this_cell_is_certified():
    with pytest.raises(ValueError, match="certificate needs the cell srm, got trm"):
        certificate({}, Config())


@jax.jit
@jax.grad
def gradient(params: dict[str, Any]) -> jax.Array:
    """Of a scalar that every parameter moves."""
    dynamics = bind(params, Config(LEARNED, **SIZES), TOKENS)
    readout = dynamics.readout(dynamics.context, run_segment(dynamics, dynamics.initial))
    return jnp.sum(jnp.sin(readout.logits)) + readout.q_halt


@pytest.mark.parametrize(
    "gains", [[[1, 0.5], [0.5, 1]], [[0, 0], [0, 0]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]]
)
def test_gradients_are_finite_even_where_the_norm_has_a_corner(gains):
    with jax.enable_x64(True):
        params = random_params(LEARNED, 0)
        params["L_level"]["coupling"]["gains"] = jnp.asarray(gains, float)
        gradients = flatten(gradient(params))
        assert all(np.isfinite(leaf).all() for leaf in gradients.values())
        if gains[0][1] == 0.5:
            unused = {"H_init", "L_init"} & set(gradients)
            assert all(leaf.any() for n, leaf in gradients.items() if n not in unused)


@pytest.mark.slow
def test_the_initial_weights_contract_by_default_at_no_more_than_a_nat():
    """ln κ is −0.15; layers that halve every state would give λ₁ below −2."""
    arch = replace(ARCH, hidden_size=16, kappa=Arch.kappa, forward_dtype="float32")
    config = Config(arch, **SIZES)
    params = jax.jit(init_params, static_argnums=1)(jax.random.key(0), config)
    measured = spectrum(bind(params, config, TOKENS), 1, 8, key=jax.random.key(1))
    bound = float(certificate(params, config).exponent)
    assert bound == pytest.approx(-0.15, abs=1e-3)
    assert -1 < float(measured.exponents[0]) <= bound


def test_sizes_at_which_it_is_as_large_as_trm():
    def size(arch: Arch) -> int:
        return sum(math.prod(shape) for shape in param_shapes(Config(arch)).values())

    trm = Arch(mlp_t=True, pos_encodings="none", puzzle_emb_ndim=512, puzzle_emb_len=16)
    srm = replace(trm, name="srm", L_layers=8)
    assert abs(size(srm) / size(trm) - 1) < 0.03


@pytest.mark.slow
def test_the_trainer_takes_a_step():
    config = Config(replace(LEARNED, forward_dtype="float32"), **SIZES)
    recipe = Recipe(global_batch_size=2, steps=2, lr=1e-2, lr_warmup_steps=0)
    state = init_train_state(config, recipe)
    before = {name: np.asarray(leaf) for name, leaf in state.trained.items()}
    tokens = jnp.stack([TOKENS, TOKENS[::-1]]).astype(jnp.int32)
    batch = Batch(tokens, jnp.maximum(tokens, 1), jnp.zeros(2, jnp.int32))
    state, metrics = compiled_step(config, recipe, state, batch)
    assert np.isfinite(metrics["loss"])
    moved = {name for name, leaf in state.trained.items() if not np.array_equal(leaf, before[name])}
    assert moved == set(before)
    # of the learned gain too: its certificate holds after the step as before
    assert certificate(unflatten(state.trained), config).gain < 0.95


def test_a_saved_model_is_loaded_with_its_certificate(tmp_path):
    config = Config(replace(LEARNED, forward_dtype="float32"), **SIZES)
    flat = weights(config)
    save_model(tmp_path / "model", flat, config, {})
    model = load_model(tmp_path / "model")
    assert model.config == config
    assert certificate(model.params, model.config).gain == certificate(unflatten(flat), config).gain
