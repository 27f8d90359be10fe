"""The fast Lyapunov indicator against a vector that is left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.contract import Dynamics
from rrjax.dynamics.fli import fast_lyapunov_indicator


def henon(z):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def test_is_the_running_maximum_of_the_length():
    growth = np.array([[0.5, 9], [-1.0, 9], [0.75, 9], [0.5, 9]], np.float32)
    np.testing.assert_allclose(fast_lyapunov_indicator(growth), [0.5, 0.5, 0.5, 0.75])
    np.testing.assert_allclose(fast_lyapunov_indicator(-growth[:1]), [-0.5])


def test_is_that_of_a_freely_evolved_vector():
    with jax.enable_x64(True):
        start, frame = jnp.array([0.1, 0.1]), jnp.array([[0.6, 0.8], [-0.8, 0.6]])
        result = rrjax.spectrum(Dynamics.from_map(henon, start), num_segments=30, frame=frame)
        z, w, lengths = start, frame[0], []
        for _ in range(30):
            z, w = jax.jvp(henon, (z,), (w,))
            lengths.append(np.log(np.linalg.norm(w)))
        expected = np.maximum.accumulate(lengths)
        np.testing.assert_allclose(fast_lyapunov_indicator(result.log_growth), expected, atol=1e-6)


def test_after_failure_and_annihilation():
    growth = jnp.array([1.0, jnp.nan, 1.0])[:, None]
    np.testing.assert_array_equal(fast_lyapunov_indicator(growth), [1, np.nan, np.nan])
    growth = jnp.array([1.0, -jnp.inf, -jnp.inf])[:, None]
    np.testing.assert_array_equal(fast_lyapunov_indicator(growth), [1, 1, 1])


@pytest.mark.parametrize("shape", [(3,), (0, 1), (3, 0), (2, 3, 1)])
def test_growth_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"log_growth must have the shape \(updates, k\)"):
        fast_lyapunov_indicator(jnp.zeros(shape))
