"""Matrix products run at the highest precision, and tangents' products at a lower one if asked."""

import contextlib
import re
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, init_params
from rrjax.contract import Dynamics, run_segment
from rrjax.dynamics.precision import (
    check_precision,
    default_precision,
    in_precision,
    linearize,
    transpose,
)
from rrjax.puzzles.batch import Batch
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from tests.tools import tiny
from tests.tools.tiny_training import compiled_step

CONFIG = replace(tiny.CONFIG, arch=replace(tiny.CONFIG.arch, H_cycles=1, L_cycles=1))
PARAMS = jax.eval_shape(lambda: init_params(jax.random.key(0), CONFIG))
TOKENS = jax.ShapeDtypeStruct((CONFIG.seq_len,), jnp.int32)
KEY = jax.eval_shape(lambda: jax.random.key(0))


def growth(params, tokens, key):
    return rrjax.spectrum(bind(params, CONFIG, tokens), 3, 2, key=key).log_growth


def many(leaf):
    return jax.ShapeDtypeStruct((4, *leaf.shape), leaf.dtype)


def precisions(lowered) -> list[str]:
    """What every matrix product of a lowered program asks for, '' where it leaves the choice."""
    products = re.findall(r"stablehlo\.dot_general .*", lowered.as_text())
    assert products
    return [
        found[1] if (found := re.search(r"precision = \[(.*?)\]", line)) else ""
        for line in products
    ]


def callers_choice(precision):
    return jax.default_matmul_precision(precision) if precision else contextlib.nullcontext()


@pytest.mark.parametrize("choice", [None, "bfloat16"])
def test_spectrum_of_one_puzzle(choice):
    with callers_choice(choice):
        lowered = jax.jit(growth).lower(PARAMS, TOKENS, KEY)
    assert set(precisions(lowered)) == {"HIGHEST, HIGHEST"}


@pytest.mark.parametrize("choice", [None, "bfloat16"])
def test_rollout_of_one_puzzle(choice):
    # as in the spectrum, so that both compute the same trajectory
    with callers_choice(choice):
        lowered = jax.jit(
            lambda params, tokens: rrjax.rollout(bind(params, CONFIG, tokens), 2).logits
        ).lower(PARAMS, TOKENS)
    assert set(precisions(lowered)) == {"HIGHEST, HIGHEST"}


@pytest.mark.parametrize("choice", [None, "bfloat16"])
def test_spectra_of_many_puzzles(choice):
    # under vmap the QR is traced anew, outside of what surrounded it
    with callers_choice(choice):
        run = jax.jit(jax.vmap(growth, in_axes=(None, 0, 0)))
        lowered = run.lower(PARAMS, many(TOKENS), many(KEY))
    assert set(precisions(lowered)) == {"HIGHEST, HIGHEST"}


@pytest.mark.parametrize(
    ("choice", "expected"), [(None, ""), ("bfloat16", ""), ("highest", "HIGHEST, HIGHEST")]
)
def test_forward_is_the_callers_choice(choice, expected):
    def forward(params, tokens):
        dynamics = bind(params, CONFIG, tokens)
        return run_segment(dynamics, dynamics.initial)

    with callers_choice(choice):
        lowered = jax.jit(forward).lower(PARAMS, TOKENS)
    assert {asked.replace("DEFAULT, DEFAULT", "") for asked in precisions(lowered)} == {expected}


def test_training_leaves_the_choice_to_the_device():
    recipe = Recipe(global_batch_size=4)
    state = jax.eval_shape(lambda: init_train_state(CONFIG, recipe))
    rows = many(TOKENS)
    batch = Batch(rows, rows, jax.ShapeDtypeStruct((4,), jnp.int32))
    asked = precisions(compiled_step.lower(CONFIG, recipe, state, batch))
    # the gradient of the embedding is a sum of rows, which a product takes
    assert asked.count("HIGHEST, HIGHEST") == 1
    assert set(asked) <= {"", "DEFAULT, DEFAULT", "HIGHEST, HIGHEST"}


WEIGHTS = jnp.asarray(np.random.default_rng(0).normal(0, 1.5 / 8, (64, 64)), jnp.float32)


def network(z):
    return jnp.tanh(z @ WEIGHTS) + 0.1 * jax.nn.silu(z)


START = jnp.linspace(-1, 1, 64, dtype=jnp.float32)[None]


def derivative(precision):
    return linearize(network, START, precision)[1]


def split_by_hand(a, b):
    def rounded(x):
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=10)

    (a0, a1), (b0, b1) = ((rounded(x), rounded(x - rounded(x))) for x in (a, b))
    return a0 @ b0 + (a0 @ b1 + a1 @ b0)


@pytest.mark.parametrize(
    ("precision", "bits"), [("split", 21), ("tf32", 10), ("f16", 10), ("bf16", 7)]
)
def test_operands_are_rounded_to_their_bits_and_nothing_else_is(precision, bits):
    def rounded(x):
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)

    tangent = jax.random.normal(jax.random.key(0), START.shape)
    slope = 1 - jnp.tanh(START @ WEIGHTS) ** 2
    silu = jax.jvp(jax.nn.silu, (START,), (tangent,))[1]
    if precision == "split":
        expected = slope * split_by_hand(tangent, WEIGHTS) + 0.1 * silu
    elif precision == "tf32":
        expected = slope * (rounded(tangent) @ rounded(WEIGHTS)) + 0.1 * silu
    else:  # the product's result is stored, and what else reads the tangent reads the stored one
        silu = jax.jvp(jax.nn.silu, (START,), (rounded(tangent),))[1]
        expected = slope * rounded(rounded(tangent) @ rounded(WEIGHTS)) + 0.1 * silu
    computed = derivative(precision)(tangent)
    # where the sum rounds to the neighbour, half a unit of the stored result
    np.testing.assert_allclose(computed, expected, atol=2e-6, rtol=2.0**-bits)
    with jax.enable_x64(True):
        wide, at = (np.asarray(x, np.float64) for x in (tangent, START))
        exact = np.asarray(jax.jvp(wide_network, (at,), (wide,))[1])
    difference = np.linalg.norm(computed - exact) / np.linalg.norm(exact)
    assert 2.0 ** -(bits + 4) < difference < 2.0**-bits


def wide_network(z):
    return jnp.tanh(z @ np.asarray(WEIGHTS, np.float64)) + 0.1 * jax.nn.silu(z)


def nested(z):
    """Products inside of a loop, a branch, a checkpoint, and functions with their own rules."""

    @jax.custom_vjp
    def own_gradient(z):
        return z @ WEIGHTS

    own_gradient.defvjp(lambda z: (own_gradient(z), None), lambda _, g: (g @ WEIGHTS.T,))
    scanned = jax.lax.scan(lambda z, _: (jnp.tanh(z @ WEIGHTS), None), z, length=2)[0]
    branch = jax.lax.cond(z[0, 0] < 0, lambda z: z @ WEIGHTS, lambda z: z, scanned)
    checkpointed = jax.checkpoint(lambda z: jnp.tanh(z @ WEIGHTS), prevent_cse=False)(branch)
    return jax.nn.relu(own_gradient(checkpointed))


@pytest.mark.parametrize("precision", ["split", "tf32", "f16", "bf16"])
def test_no_product_of_a_running_state_is_left_out(precision):
    # each of the 4 products, of which one is in a loop, stands once; split makes 3 of it on a CPU
    dynamics = in_precision(Dynamics.from_map(nested, START), precision)
    text = jax.jit(lambda z: run_segment(dynamics, z)).lower(START).as_text()
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) == {"split": 12}.get(precision, 4)
    narrow = {"f16": "xf16>", "bf16": "xbf16>"}.get(precision, "xf32>")
    assert all(narrow in line for line in products)
    assert text.count("reduce_precision") == {"split": 16, "tf32": 8}.get(precision, 0)


@pytest.mark.parametrize("precision", ["exact", "split", "f16"])
def test_the_transpose_of_a_derivative(precision):
    # unit vectors of so many components that float16 would not hold them without their scale
    size = 2**16
    jacobian = linearize(lambda z: jnp.sin(z) @ WEIGHTS, jnp.ones((size // 64, 64)), precision)[1]
    v, u = jax.random.normal(jax.random.key(0), (2, size // 64, 64)) / np.sqrt(size)
    back = transpose(jacobian, v)(u)
    expected = jnp.cos(1.0) * (u @ WEIGHTS.T)
    np.testing.assert_allclose(jnp.vdot(u, jacobian(v)), jnp.vdot(back, v), atol=1e-5)
    error = jnp.linalg.norm(back - expected) / jnp.linalg.norm(expected)
    assert error < (1e-3 if precision == "f16" else 1e-6)


def test_an_exact_derivative_is_that_of_jax():
    tangent = jax.random.normal(jax.random.key(0), START.shape)
    value, linear = jax.linearize(network, START)
    np.testing.assert_array_equal(linearize(network, START, "exact")[0], value)
    np.testing.assert_array_equal(derivative("exact")(tangent), linear(tangent))
    dynamics = Dynamics.from_map(network, START)
    assert in_precision(dynamics, "exact") is dynamics


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("tf32", 3e-4), ("f16", 3e-4), ("bf16", 3e-3)]
)
def test_the_states_of_shortened_tangents_are_those_of_split(precision, tolerance):
    dynamics = Dynamics.from_map(network, START)
    split = rrjax.spectrum(dynamics, 4, 50, key=jax.random.key(1), precision="split")
    short = rrjax.spectrum(dynamics, 4, 50, key=jax.random.key(1), precision=precision)
    np.testing.assert_array_equal(short.state, split.state)
    np.testing.assert_allclose(short.exponents, split.exponents, atol=tolerance)
    assert not np.array_equal(short.exponents, split.exponents)


def test_a_rollout_in_split_is_the_trajectory_of_a_spectrum_in_split():
    dynamics = Dynamics.from_map(network, START)

    def rolled(precision):
        return rrjax.rollout(dynamics, 2, precision=precision).state

    split = rrjax.spectrum(dynamics, 2, 2, key=jax.random.key(1), precision="split").state
    np.testing.assert_allclose(rolled("split"), split, atol=1e-6)
    np.testing.assert_allclose(rolled("exact"), split, atol=1e-6)
    assert not np.array_equal(rolled("split"), rolled("exact"))
    assert 1e-5 < np.abs(rolled("tf32") - split).max() < 1e-3 < np.abs(rolled("bf16") - split).max()


READERS = {
    "full": lambda dynamics, p: rrjax.full_spectrum(dynamics, 4, precision=p).exponents[:2],
    "covariant": lambda dynamics, p: (
        rrjax.covariant_vectors(dynamics, 2, 4, key=jax.random.key(0), precision=p).exponents
    ),
    "forward": lambda dynamics, p: (
        rrjax.forward_vectors(dynamics, 2, 4, key=jax.random.key(0), precision=p).log_growth
    ),
    "local": lambda dynamics, p: (
        rrjax.local_growth(
            dynamics, dynamics.initial, key=jax.random.key(0), precision=p
        ).singular_value.value
    ),
    "divergence": lambda dynamics, p: (
        rrjax.divergence(dynamics, 4, key=jax.random.key(0), distance=0.01, precision=p).log_growth
    ),
    "settling": lambda dynamics, p: (
        rrjax.settling_time(dynamics, 4, threshold=1e-3, precision=p).residual
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_takes_the_argument(reader):
    dynamics = Dynamics.from_map(network, START)
    exact, short = (np.asarray(READERS[reader](dynamics, name)) for name in ("exact", "bf16"))
    assert (exact != short).all()
    np.testing.assert_allclose(short, exact, rtol=0.05)
    with pytest.raises(ValueError, match="precision must be one of"):
        READERS[reader](dynamics, "fp8")


def test_the_lowered_program_has_bfloat16_products_for_tangents_alone():
    dynamics = Dynamics.from_map(network, START)
    program = jax.jit(
        lambda key: rrjax.spectrum(dynamics, 2, 1, key=key, precision="bf16").exponents
    ).lower(jax.random.key(0))
    products = [line for line in program.as_text().splitlines() if "dot_general" in line]
    short = [line for line in products if "bf16" in line]
    assert len(short) == 1
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products if line not in short)


def test_a_program_for_a_card_asks_for_its_three_passes():
    dynamics = Dynamics.from_map(network, START)
    program = jax.jit(
        lambda key: rrjax.spectrum(dynamics, 2, 1, key=key, precision="split").exponents
    ).trace(jax.random.key(0))
    text = program.lower(lowering_platforms=("cuda",)).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    passes = [line for line in products if "num_primitive_operations = 3" in line]
    assert len(passes) == 2  # the state's and the tangents'
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products if line not in passes)
    assert "reduce_precision" not in text


def test_bad_precisions_are_refused(monkeypatch):
    dynamics = Dynamics.from_map(network, START)
    with pytest.raises(ValueError, match="must be one of exact, split, tf32, f16, bf16; got fp8"):
        rrjax.spectrum(dynamics, 1, 1, key=jax.random.key(0), precision="fp8")
    half = Dynamics.from_map(jnp.sin, jnp.zeros(3, jnp.bfloat16))
    with pytest.raises(ValueError, match=r"tf32 shortens float32 products, but .* are bfloat16"):
        rrjax.rollout(half, 1, precision="tf32")
    with jax.enable_x64(True):
        wide = Dynamics.from_map(jnp.sin, jnp.zeros(3, jnp.float64))
        with pytest.raises(ValueError, match=r"bf16 shortens float32 products.*are float64; use"):
            rrjax.spectrum(wide, 1, 1, key=jax.random.key(0), precision="bf16")


@pytest.mark.parametrize(
    ("platform", "capability", "expected"),
    [
        ("cpu", None, "exact"),
        ("gpu", "7.5", "exact"),
        ("gpu", "9.0", "f16"),
        ("gpu", "gfx90a", "f16"),
        ("tpu", None, "tf32"),
    ],
)
def test_the_default_of_a_device(platform, capability, expected, monkeypatch):
    device = SimpleNamespace(
        platform=platform, device_kind="Tesla T4", compute_capability=capability
    )
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert default_precision() == expected
    if capability == "7.5":
        with pytest.raises(
            ValueError, match=r"compute capability 8.0 or more, and Tesla T4 has 7.5"
        ):
            check_precision("bf16", START)
    else:
        check_precision("bf16", START)
