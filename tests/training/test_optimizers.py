"""AdamATan2, the schedule and SignSGD against plain loops of their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rrjax.training.optimizers import adam_atan2, sign_sgd_rows, warmup_cosine

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
