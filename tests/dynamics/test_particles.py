"""Particles: copies by weight, equal weights that change nothing, and a planted good one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax import Dynamics
from rrjax.contract import run_segment
from rrjax.dynamics.noise import with_noise
from rrjax.dynamics.particles import resample, run_particles
from rrjax.dynamics.starts import random_start

KEY = jax.random.key(0)


def keep_state(dynamics, before, after, frame):
    return after


def walk() -> Dynamics:
    return Dynamics.from_map(lambda z: 0.5 * z + 1.0, jnp.zeros(3))


def test_copies_are_as_many_as_the_weights_say():
    weights = jnp.array([0.5, 0.25, 0.125, 0.0625, 0.0625])
    keys = jax.random.split(KEY, 2000)
    sources = np.asarray(jax.vmap(lambda key: resample(key, jnp.log(weights)))(keys))
    counts = np.stack([(sources == particle).sum(axis=1) for particle in range(5)], axis=1)
    expected = 5 * np.asarray(weights)
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.ceil(expected)).all()
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=0.04)


def test_without_a_usable_weight_nothing_is_replaced():
    for weights in (jnp.full(4, jnp.nan), jnp.full(4, -jnp.inf), jnp.full(4, 7.0)):
        assert resample(KEY, weights).tolist() == [0, 1, 2, 3]
    assert resample(KEY, jnp.array([jnp.nan, 0.0, jnp.nan])).tolist() == [1, 1, 1]


def test_equal_weights_are_independent_noisy_runs():
    states = run_particles(
        walk(), 4, 3, key=KEY, sigma=0.1, weigh=lambda state: 0.0 * state[0], observe=keep_state
    )
    assert states.shape == (3, 4, 3)
    noisy = with_noise(walk(), 3, key=KEY, sigma=0.1)
    for particle in range(4):
        state = jnp.zeros(3)
        for segment in range(3):
            key = jax.random.split(jax.random.fold_in(KEY, segment))[0]
            drive = noisy.drive._replace(key=jax.random.split(key, 4)[particle], scale=0.1)
            state = run_segment(noisy, state, drive)
            np.testing.assert_allclose(states[segment, particle], state, rtol=1e-6)


def test_the_best_particle_is_what_all_go_on_from():
    quiet = run_particles(
        walk(), 5, 1, key=KEY, sigma=0.0, weigh=lambda state: state[0], observe=keep_state
    )
    assert (quiet == quiet[:, :1]).all()
    states = run_particles(
        walk(), 64, 12, key=KEY, sigma=0.3, weigh=lambda state: 40 * state[0], observe=keep_state
    )
    free = run_particles(
        walk(), 64, 12, key=KEY, sigma=0.3, weigh=lambda state: 0 * state[0], observe=keep_state
    )
    assert states[-1, :, 0].mean() > free[-1, :, 0].mean() + 0.3
    assert abs(float(states[-1, :, 1].mean() - free[-1, :, 1].mean())) < 0.3


def test_random_starts_are_truncated_and_of_unit_size():
    start = random_start(KEY, {"z": jnp.zeros((400, 400))})["z"]
    assert float(start.std()) == pytest.approx(1, abs=0.005)
    assert float(jnp.abs(start).max()) <= 2 / 0.8796256610342398
    assert float(jnp.abs(start).max()) > 2.2
