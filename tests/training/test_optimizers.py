"""AdamATan2, Muon, the schedule and SignSGD against plain loops of their formulas."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rrjax.training.optimizers import (
    adam_atan2,
    main_optimizer,
    muon_of_matrices,
    sign_sgd_rows,
    warmup_cosine,
)
from rrjax.training.settings import Recipe

B1, B2, DECAY, STEPS = 0.9, 0.95, 0.1, 50
START = {"weight": np.linspace(-1, 1, 6).reshape(2, 3), "bias": np.array([0.5, -2.0])}


def rate(step: int) -> float:
    """The reference's schedule of ten warm-up steps; `step` counts from 1."""
    return reference_rate(step, 0.01, 10, STEPS, 0.1)


def reference_rate(step: int, peak: float, warmup: int, total: int, min_ratio: float) -> float:
    if step < warmup:
        return peak * step / max(1, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    return peak * (min_ratio + max(0.0, (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * progress))))


def gradients() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        {
            name: rng.normal(scale=10.0 ** rng.integers(-4, 3), size=p.shape)
            for name, p in START.items()
        }
        for _ in range(STEPS)
    ]


def plain_loop(p: np.ndarray, grads: list[np.ndarray], correct_outside: bool) -> np.ndarray:
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, start=1):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        c1, root = 1 - B1**t, np.sqrt(v) / np.sqrt(1 - B2**t)
        u = np.arctan2(m, root) / c1 if correct_outside else np.arctan2(m / c1, root)
        p = p * (1 - rate(t) * DECAY) - rate(t) * u
    return p


def optimised(grads: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    with jax.enable_x64(True):
        schedule = warmup_cosine(0.01, 10, STEPS, 0.1)
        optimizer = adam_atan2(schedule, B1, B2, DECAY)

        @jax.jit
        def step(p, state, g):
            updates, state = optimizer.update(g, state, p)
            return optax.apply_updates(p, updates), state

        params = jax.tree.map(jnp.asarray, START)
        state = optimizer.init(params)
        for g in grads:
            params, state = step(params, state, g)
        return jax.tree.map(np.asarray, params)


def test_adam_atan2_is_the_plain_loop():
    grads = gradients()
    found = optimised(grads)
    for name, start in START.items():
        assert found[name].dtype == np.float64
        series = [g[name] for g in grads]
        # the bias corrections are float32
        np.testing.assert_allclose(found[name], plain_loop(start, series, True), rtol=2e-6)
        inside = plain_loop(start, series, False)
        assert np.abs(found[name] - inside).max() > 1e-4, "blind to where the correction stands"


def test_decay_reaches_every_weight_where_no_gradient_does():
    zeros = [jax.tree.map(np.zeros_like, START)] * STEPS
    shrink = np.prod([1 - rate(t) * DECAY for t in range(1, STEPS + 1)])
    assert shrink < 0.98
    for name, found in optimised(zeros).items():
        np.testing.assert_allclose(found, START[name] * shrink, rtol=1e-6)


@pytest.mark.parametrize(
    ("warmup", "total", "min_ratio"),
    [
        (0, 20, 0.1),
        (5, 20, 0.0),
        (5, 20, 1.0),
        (20, 20, 0.1),
        (30, 20, 0.1),
        (0, 1, 0.5),
        (1, 1, 0.0),
    ],
)
def test_schedule_follows_the_reference(warmup, total, min_ratio):
    schedule = warmup_cosine(0.3, warmup, total, min_ratio)
    found = jax.vmap(schedule)(jnp.arange(total))
    expected = [reference_rate(t, 0.3, warmup, total, min_ratio) for t in range(1, total + 1)]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


def orthogonal(x: np.ndarray) -> np.ndarray:
    """Five Newton-Schulz steps with Jordan's coefficients, for a matrix with no more rows."""
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def muon_loop(p: np.ndarray, grads: list[np.ndarray], rate: float, decay: float) -> np.ndarray:
    """Nesterov momentum with bias corrections, made orthogonal; p is (out, in)."""
    m = np.zeros_like(p)
    for t, g in enumerate(grads, start=1):
        m = 0.95 * m + 0.05 * g
        ahead = 0.95 * m / (1 - 0.95 ** (t + 1)) + 0.05 * g / (1 - 0.95**t)
        u = orthogonal(ahead) if p.shape[0] <= p.shape[1] else orthogonal(ahead.T).T
        scale = math.sqrt(max(1, p.shape[0] / p.shape[1]))
        p = p * (1 - rate * decay) - rate * scale * u
    return p


@pytest.mark.parametrize("shape", [(6, 2), (2, 6), (3, 3)])
def test_muon_is_the_plain_loop_for_matrices_out_in(shape):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=shape), rng.normal(size=(3, *shape))
    with jax.enable_x64(True):
        optimizer = muon_of_matrices(lambda count: 0.02, 0.5)
        params = {"w": jnp.asarray(start)}
        state = optimizer.init(params)
        for g in grads:
            updates, state = optimizer.update({"w": jnp.asarray(g)}, state, params)
            params = optax.apply_updates(params, updates)
    expected = muon_loop(start, list(grads), 0.02, 0.5)
    # optax rounds the coefficients to float32
    found: Any = params
    np.testing.assert_allclose(found["w"], expected, atol=1e-6)
    assert np.abs(expected - start).min() > 1e-4


def test_muon_trains_the_matrices_of_blocks_and_adamw_the_rest():
    recipe = Recipe(optimizer="muon", lr=0.01, muon_lr=0.5, lr_warmup_steps=0, weight_decay=0.0)
    matrix, rest = "L_level.layers.0.mlp.down_proj.weight", ("lm_head.weight", "q_head.bias")
    params = {name: jnp.ones((2, 2)) for name in (matrix, *rest)}
    optimizer = main_optimizer(recipe)
    updates: Any = optimizer.update(params, optimizer.init(params), params)[0]
    assert 0.3 < np.linalg.norm(updates[matrix], 2) < 0.7  # lr times a matrix of norm about 1
    for name in rest:
        np.testing.assert_allclose(updates[name], -0.01, rtol=1e-5)


def test_a_long_gradient_is_scaled_down_to_the_limit():
    params = {"a": jnp.zeros(2), "b": jnp.zeros(())}
    long = {"a": jnp.array([6.0, 0.0]), "b": jnp.array(8.0)}  # of norm 10
    for clip, scale in ((0.0, 1.0), (2.0, 0.2), (20.0, 1.0)):
        optimizer = main_optimizer(Recipe(gradient_clip=clip))
        _, state = optimizer.update(long, optimizer.init(params), params)
        mean = optax.tree.get(state, "mu")
        np.testing.assert_allclose(mean["a"], 0.1 * scale * long["a"], rtol=1e-6)
        np.testing.assert_allclose(mean["b"], 0.1 * scale * long["b"], rtol=1e-6)


def sign_sgd_loop(table, ids, grads, learning_rate, decay):
    table = table.copy()
    for row in set(ids.tolist()):
        summed = grads[ids == row].sum(0)
        table[row] = table[row] * (1 - learning_rate * decay) - learning_rate * np.sign(summed)
    return table


jitted_rows = jax.jit(sign_sgd_rows, static_argnums=4)


@limits(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=5, max_size=5), st.integers(0, 2**32 - 1))
def test_sign_sgd_touches_the_rows_present_alone(ids, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(6, 3)).astype(np.float32)
    grads = rng.integers(-2, 3, (5, 3)).astype(np.float32)  # sums that cancel are frequent
    ids = np.array(ids, np.int32)
    found = np.asarray(jitted_rows(table, ids, grads, 0.125, 0.25))
    absent = np.setdiff1d(np.arange(6), ids)
    np.testing.assert_array_equal(found[absent], table[absent])
    expected = sign_sgd_loop(table, ids, grads, 0.125, 0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_gradients_of_one_row_are_summed_before_the_sign():
    table, ids = np.full((6, 3), 8, np.float32), np.array([4, 1, 4, 1, 2], np.int32)
    grads = np.zeros((5, 3), np.float32)
    grads[0], grads[2] = 3, -1  # row 4: the sum is positive, the sum of signs is zero
    grads[1], grads[3] = 2, -2  # row 1: decay alone
    found = np.asarray(jitted_rows(table, ids, grads, 0.125, 0.25))[:, 0]
    decayed = 8 * (1 - 0.125 * 0.25)
    np.testing.assert_array_equal(found, [8, decayed, decayed, 8, decayed - 0.125, 8])
