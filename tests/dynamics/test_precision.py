"""Matrix products of the spectrum run at the highest precision, read in the lowered program."""

import contextlib
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

import rrjax
from rrjax.cells import bind, init_params
from rrjax.contract import run_segment
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


def test_shortened_products_are_those_of_the_tangents_alone():
    def shortened(params, tokens, key):
        dynamics = bind(params, CONFIG, tokens)
        return rrjax.spectrum(dynamics, 3, 2, key=key, products="bf16").log_growth

    text = jax.jit(shortened).lower(PARAMS, TOKENS, KEY).as_text()
    products = re.findall(r"stablehlo\.dot_general .*", text)
    exact = [line for line in products if "bf16" not in line]
    assert len(exact) < len(products)
    assert all("HIGHEST, HIGHEST" in line for line in exact)
