"""Matrix products run at the highest precision, and tangents' products at a lower one if asked."""

import contextlib
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, init_params
from rrjax.contract import Dynamics, run_segment
from rrjax.dynamics.precision import with_precision
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
    asked = set(precisions(compiled_step.lower(CONFIG, recipe, state, batch)))
    assert asked <= {"", "DEFAULT, DEFAULT"}


WEIGHTS = jnp.asarray(np.random.default_rng(0).normal(0, 1.5 / 8, (64, 64)), jnp.float32)


def network(z):
    return jnp.tanh(z @ WEIGHTS) + 0.1 * jax.nn.silu(z)


START = jnp.linspace(-1, 1, 64, dtype=jnp.float32)[None]


def linear_map():
    return jax.linearize(network, START)[1]


@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bf16", 7)])
def test_operands_are_rounded_to_their_bits_and_nothing_else_is(precision, bits):
    def rounded(x):
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)

    tangent = jax.random.normal(jax.random.key(0), START.shape)
    found = with_precision(linear_map(), START, precision)(tangent)
    slope = 1 - jnp.tanh(START @ WEIGHTS) ** 2
    silu = jax.jvp(jax.nn.silu, (START,), (tangent,))[1]
    expected = slope * (rounded(tangent) @ rounded(WEIGHTS)) + 0.1 * silu
    np.testing.assert_allclose(found, expected, atol=2e-6)
    exact = linear_map()(tangent)
    difference = float(jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact))
    assert 2.0 ** -(bits + 4) < difference < 2.0**-bits


def test_exact_products_leave_the_map_alone():
    linear = linear_map()
    assert with_precision(linear, START, "exact") is linear


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 3e-4), ("bf16", 3e-3)])
def test_the_state_stays_exact_and_exponents_move_little(precision, tolerance):
    dynamics = Dynamics.from_map(network, START)
    exact = rrjax.spectrum(dynamics, 4, 50, key=jax.random.key(1))
    short = rrjax.spectrum(dynamics, 4, 50, key=jax.random.key(1), precision=precision)
    np.testing.assert_array_equal(short.state, exact.state)
    np.testing.assert_allclose(short.exponents, exact.exponents, atol=tolerance)
    assert not np.array_equal(short.exponents, exact.exponents)


def test_the_lowered_program_has_bfloat16_products_for_tangents_alone():
    dynamics = Dynamics.from_map(network, START)
    program = jax.jit(
        lambda key: rrjax.spectrum(dynamics, 2, 1, key=key, precision="bf16").exponents
    ).lower(jax.random.key(0))
    products = [line for line in program.as_text().splitlines() if "dot_general" in line]
    short = [line for line in products if "bf16" in line]
    assert len(short) == 1
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products if line not in short)


def test_bad_precisions_are_refused():
    dynamics = Dynamics.from_map(network, START)
    with pytest.raises(ValueError, match="precision must be one of exact, tf32, bf16; got fp8"):
        rrjax.spectrum(dynamics, 1, 1, key=jax.random.key(0), precision="fp8")
    with jax.enable_x64(True):
        wide = Dynamics.from_map(jnp.sin, jnp.zeros(3, jnp.float64))
        with pytest.raises(ValueError, match="precision bf16 is for float32"):
            rrjax.spectrum(wide, 1, 1, key=jax.random.key(0), precision="bf16")
