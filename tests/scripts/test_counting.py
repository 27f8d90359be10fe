"""Counting a program's matrix products, and what the spectrum costs beside the forward."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType

from rrjax.cells import bind, init_params, initial_state
from rrjax.contract import Update, run_segment
from rrjax.dynamics.spectrum import spectrum
from rrjax.jobs.devices import AXIS
from scripts.accelerators import programs
from scripts.benchmarks import counting, sizes

SQUARE = jax.ShapeDtypeStruct((4, 4), jnp.float32)
PRODUCT = 2 * 4**3
OFFICIAL = sizes.official_mlp()
# a block: SwiGLUs of three products each, over 97 tokens (inner 512) and 512 channels (1536);
# two blocks an update, 21 updates a segment
SEGMENT = 21 * 2 * 2 * 3 * (512 * 97 * 512 + 97 * 512 * 1536)


def count(function, *arguments):
    return dict(counting.flops(jax.make_jaxpr(function)(*arguments)))


def test_products_inside_loops_count_with_every_trip():
    def nested(x):
        def inner(x, _):
            return x @ x, None

        def outer(x, _):
            return jax.lax.scan(inner, x, length=3)[0] @ x, None

        return jax.lax.scan(outer, x, length=5)[0]

    assert count(nested, SQUARE) == {"default": 5 * (3 + 1) * PRODUCT}
    assert count(jax.jit(jax.vmap(nested)), jax.ShapeDtypeStruct((7, 4, 4), jnp.float32)) == {
        "default": 7 * 20 * PRODUCT
    }


def test_of_a_choice_the_dearer_branch_counts():
    def choose(flag, x):
        return jax.lax.cond(flag, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert count(choose, True, SQUARE) == {"default": 2 * PRODUCT}


@pytest.mark.parametrize(("platform", "times"), [("cpu", 3), ("cuda", 1), ("tpu", 2)])
def test_of_a_choice_between_platforms_the_branch_of_the_platform_counts(platform, times):
    def choose(x):
        branches = {"cpu": lambda x: x @ x @ x @ x, "cuda": lambda x: x @ x}
        return jax.lax.platform_dependent(x, **branches, default=lambda x: x @ x @ x)

    work = counting.flops(jax.make_jaxpr(choose)(SQUARE), platform)
    assert work == {"default": times * PRODUCT}


def test_a_loop_of_unknown_length_is_refused():
    def endless(x):
        return jax.lax.while_loop(lambda x: x.sum() < 1, lambda x: x @ x, x)

    with pytest.raises(ValueError, match="while"):
        count(endless, SQUARE)


@pytest.mark.parametrize(
    ("dtype", "precision", "kind"),
    [
        ("float32", None, "default"),
        ("float32", "highest", "float32"),
        ("float32", "bfloat16", "default"),
        ("float32", "TF32_TF32_F32", "tf32"),
        ("float32", "TF32_TF32_F32_X3", "tf32 x 3"),
        ("bfloat16", None, "bf16"),
        ("float16", None, "float16"),
    ],
)
def test_kinds_of_products(dtype, precision, kind):
    x = jax.ShapeDtypeStruct((4, 4), dtype)
    assert count(lambda x: jnp.matmul(x, x, precision=precision), x) == {kind: PRODUCT}


def test_traffic_of_a_product():
    a, b = jnp.zeros((2, 3)), jnp.zeros((3, 5), jnp.bfloat16)
    jaxpr = jax.make_jaxpr(lambda a, b: a.astype("bfloat16") @ b)(a, b)
    assert counting.traffic(jaxpr) == 2 * (2 * 3 + 3 * 5 + 2 * 5)


@pytest.mark.parametrize(("k", "precision"), [(8, "exact"), (32, "exact"), (8, "bf16")])
def test_spectrum_of_the_official_size_costs_little_more_than_its_tangents(k, precision):
    mesh = jax.make_mesh((1,), (AXIS,), (AxisType.Auto,), devices=jax.devices()[:1])
    load = programs.Load(num_exponents=k, num_segments=1, puzzles_per_chip=2)
    traced = programs.trace_spectrum(precision, OFFICIAL, mesh, load)
    assert traced.number == 2
    work = counting.flops(traced.program.jaxpr, "cuda")
    forward = 2 * SEGMENT
    assert (1 + k) * forward < work.total() <= 1.05 * (1 + k) * forward
    assert work["bf16"] == (k * forward if precision == "bf16" else 0)
    assert work["tf32 x 3"] == (forward if precision == "bf16" else 0)
    assert work.total() == work["bf16"] + work["tf32 x 3"] + work["float32"]


def test_compiled_spectrum_costs_little_more_than_its_tangents():
    # one update, hence no loop whose body XLA would count once; width of the official size,
    # where the tangents' products outweigh their QR
    k = 4
    params = jax.eval_shape(functools.partial(init_params, config=OFFICIAL), jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((OFFICIAL.seq_len,), jnp.int32)
    state = jax.eval_shape(functools.partial(initial_state, config=OFFICIAL), params)
    frame = jax.tree.map(lambda x: jax.ShapeDtypeStruct((k, *x.shape), x.dtype), state)

    def one_update(params, tokens):
        dynamics = bind(params, OFFICIAL, tokens)
        (latent,) = dynamics.schedule[0].body[0].body
        assert isinstance(latent, Update)
        return replace(dynamics, schedule=(latent,))

    def forward(params, tokens):
        dynamics = one_update(params, tokens)
        return run_segment(dynamics, dynamics.initial)

    def tangents(params, tokens, frame):
        return spectrum(one_update(params, tokens), num_segments=1, frame=frame).log_growth

    plain = jax.jit(forward).lower(params, tokens).compile()
    full = jax.jit(tangents).lower(params, tokens, frame).compile()
    cost = full.cost_analysis()["flops"] / plain.cost_analysis()["flops"]
    assert 0.95 * (1 + k) < cost <= 1.05 * (1 + k)
