"""Forward Lyapunov vectors against the singular vectors of dense Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rrjax.contract import Dynamics, run_segment
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.frames import gram
from tests.tools.tiny import dynamics64

KEY = jax.random.key(0)


def shear(x):
    """Non-normal and nonlinear, with singular values far from eigenvalues."""
    return jnp.stack([0.9 * x[0] + 3 * jnp.sin(x[1]), 0.5 * x[1] + 0.1 * x[0] ** 2, 0.3 * x[2]])


def dense(dynamics, num_segments):
    """The Jacobian of some segments at the initial state."""
    flat, unravel = ravel_pytree(dynamics.initial)

    def run(flat):
        state = unravel(flat)
        for _ in range(num_segments):
            state = run_segment(dynamics, state)
        return ravel_pytree(state)[0]

    return np.asarray(jax.jacfwd(run)(flat))


def rows(frame):
    return np.asarray(jax.vmap(lambda vector: ravel_pytree(vector)[0])(frame))


@pytest.mark.parametrize("num_segments", [1, 5])
def test_forward_vectors_are_right_singular_vectors(num_segments):
    with jax.enable_x64(True):
        dynamics = Dynamics.from_map(shear, jnp.array([0.3, 0.2, 1.0]))
        found = forward_vectors(dynamics, 2, num_segments, key=KEY, tolerance=1e-9)
        _, sizes, right = np.linalg.svd(dense(dynamics, num_segments))
        assert found.converged
        np.testing.assert_allclose(found.log_growth, np.log(sizes[:2]), atol=1e-8)
        np.testing.assert_allclose(np.abs(np.sum(rows(found.frame) * right[:2], 1)), 1, atol=1e-8)


def test_they_are_those_of_a_cell():
    with jax.enable_x64(True):
        dynamics = dynamics64()
        found = forward_vectors(dynamics, 2, 2, key=KEY, tolerance=1e-5)
        _, sizes, right = np.linalg.svd(dense(dynamics, 2))
        assert found.converged
        np.testing.assert_allclose(found.log_growth, np.log(sizes[:2]), atol=1e-4)
        np.testing.assert_allclose(np.linalg.svd(rows(found.frame) @ right[:2].T)[1], 1, atol=1e-8)
        np.testing.assert_allclose(gram(found.frame), np.eye(2), atol=1e-12)


def test_a_span_that_still_turns_is_not_converged():
    with jax.enable_x64(True):
        start = jnp.array([0.3, 0.2, 1.0])
        found = forward_vectors(Dynamics.from_map(shear, start), 2, 1, key=KEY, max_passes=1)
        assert not found.converged
        assert found.passes == 1
        assert found.residual > 1e-3


def test_they_start_where_they_are_told():
    with jax.enable_x64(True):
        start = jnp.array([0.3, 0.2, 1.0])
        here = forward_vectors(Dynamics.from_map(shear, start), key=KEY)
        there = forward_vectors(Dynamics.from_map(shear, 0 * start), key=KEY, initial=start)
        np.testing.assert_array_equal(here.log_growth, there.log_growth)


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="num_segments must be at least 1"):
        forward_vectors(Dynamics.from_map(jnp.sin, jnp.ones(2)), 2, 0, key=KEY)
    with pytest.raises(ValueError, match=r"num_vectors must lie in 1\.\.1"):
        forward_vectors(Dynamics.from_map(jnp.sin, jnp.ones(1)), key=KEY)
    with pytest.raises(ValueError, match="float32 or float64"):
        forward_vectors(Dynamics.from_map(jnp.sin, jnp.ones(2, jnp.bfloat16)), key=KEY)
