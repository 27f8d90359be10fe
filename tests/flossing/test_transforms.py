"""Exponents in ordinary training, on a linear map x ↦ a x of which λ = ln |a|."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rrjax.contract import Dynamics, Update
from rrjax.flossing import (
    clip_exponent,
    exponents,
    log_exponents,
    penalized,
    penalized_loss,
    two_sided,
)

SCHEDULE = (Update("scale", lambda context, x, drive: context * x),)


def measure(a, batch):
    dynamics = Dynamics(jnp.ones(1), SCHEDULE, lambda context, x: x, a)
    return exponents(dynamics, num_segments=3, frame=jnp.ones((1, 1)))


def square(a, batch):
    return batch * a**2


def test_the_penalty_comes_at_every_other_step_with_its_gradient():
    total = penalized_loss(square, measure, partial(two_sided, target=0.1), weight=0.5, every=2)
    gradient = jax.jit(jax.value_and_grad(total, has_aux=True))
    a, lam = 2.0, np.log(2)
    (value, seen), slope = gradient(a, 3.0, 4)
    np.testing.assert_allclose(value, 12 + 0.5 * (lam - 0.1) ** 2, rtol=1e-6)
    np.testing.assert_allclose(slope, 12 + (lam - 0.1) / a, rtol=1e-6)
    np.testing.assert_allclose(seen.exponents, [lam], rtol=1e-6)
    np.testing.assert_allclose(seen.penalty, (lam - 0.1) ** 2, rtol=1e-6)
    (value, seen), slope = gradient(a, 3.0, 5)
    assert (value, slope, seen.loss) == (12, 12, 12)
    assert np.isnan(seen.exponents).all()
    assert np.isnan(seen.penalty)


def test_a_penalized_optimizer_takes_the_steps_of_the_penalized_loss():
    penalty = partial(two_sided, target=0.1)
    loss = penalized_loss(square, measure, penalty, weight=0.5, every=2)
    plain = optax.adam(0.1)
    optimizer = penalized(optax.adam(0.1), measure, penalty, weight=0.5, every=2)
    a, state, b, judged = jnp.asarray(2.0), optimizer.init(jnp.asarray(2.0)), 2.0, plain.init(2.0)
    update, gradient = jax.jit(optimizer.update), jax.jit(jax.grad(loss, has_aux=True))
    for step in range(3):
        moved, state = update(jax.grad(square)(a, 3.0), state, a, batch=3.0)
        slope = gradient(b, 3.0, step)[0]
        expected, judged = plain.update(slope, judged, b)
        np.testing.assert_allclose(moved, expected, rtol=1e-5)
        if step == 1:  # between measured steps the penalty stays what it was
            np.testing.assert_allclose(state.penalty, (np.log(2.0) - 0.1) ** 2, rtol=1e-5)
        a, b = optax.apply_updates(a, moved), optax.apply_updates(b, expected)
    assert state.step == 3


def test_a_penalty_that_is_not_finite_leaves_the_optimizer_alone():
    optimizer = penalized(optax.sgd(1.0), measure, weight=1.0)
    moved, state = optimizer.update(jnp.asarray(0.5), optimizer.init(0.0), 0.0, batch=None)
    assert moved == -0.5
    assert np.isnan(state.penalty)


def test_exponents_are_logged_and_updates_left_alone():
    logger = log_exponents(measure, num_exponents=1, every=2)
    state = logger.init(2.0)
    assert np.isnan(state.exponents).all()
    update = jax.jit(logger.update)
    for a, expected in ((2.0, 2.0), (3.0, 2.0), (4.0, 4.0)):
        moved, state = update(jnp.asarray(7.0), state, a, batch=None)
        assert moved == 7
        np.testing.assert_allclose(state.exponents, [np.log(expected)], rtol=1e-6)


def test_an_update_is_clipped_to_the_limit_of_its_first_order():
    optimizer = optax.chain(optax.sgd(1.0), clip_exponent(measure, limit=np.log(2.1), every=1))
    state = optimizer.init(2.0)
    up, state = optimizer.update(jnp.asarray(-1.0), state, 2.0, batch=None)
    np.testing.assert_allclose(np.log(2.0) + up / 2.0, np.log(2.1), rtol=1e-6)
    down, state = optimizer.update(jnp.asarray(1.0), state, 2.0, batch=None)
    assert down == -1
    assert state[1].num_clipped == 1
    np.testing.assert_allclose(state[1].exponent, np.log(2.0), rtol=1e-6)


def test_a_float32_exponent_is_clipped_where_float64_is_on():
    def measure32(params, batch):
        found = measure(params, batch)
        return dataclasses.replace(found, values=found.values.astype(jnp.float32))

    with jax.enable_x64(True):
        clip = clip_exponent(measure32, limit=1.0)
        _, state = clip.update(jnp.asarray(0.5), clip.init(2.0), 2.0, batch=None)
    np.testing.assert_allclose(state.exponent, np.log(2.0), rtol=1e-6)


def test_an_update_without_a_resolved_exponent_stays():
    clip = clip_exponent(measure, limit=-1.0)
    moved, state = clip.update(jnp.asarray(0.5), clip.init(0.0), 0.0, batch=None)
    assert moved == 0.5
    assert state.num_clipped == 0


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="every must be at least 1"):
        penalized_loss(square, measure, weight=1.0, every=0)
    for wrapped in (square, optax.sgd(1.0)):
        make = penalized if wrapped is not square else penalized_loss
        with pytest.raises(ValueError, match="weight must be finite and at least 0"):
            make(wrapped, measure, weight=-1.0)
    with pytest.raises(ValueError, match="limit must be finite"):
        clip_exponent(measure, limit=float("nan"))
    logger = log_exponents(measure, 1)
    with pytest.raises(ValueError, match="update needs params"):
        logger.update(0.0, logger.init(0.0), batch=None)
