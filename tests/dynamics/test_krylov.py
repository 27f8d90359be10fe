"""Ritz values against dense eigenvalues, and matrices that have none or few."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.dynamics.krylov import arnoldi, ritz_values


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def test_ritz_values_are_the_leading_eigenvalues_with_their_residuals():
    rng = np.random.default_rng(0)
    blocks = [
        1.3 * np.array([[0.6, -0.8], [0.8, 0.6]]),
        np.array([[-1.1]]),
        np.diag(0.6 ** np.arange(1, 30)),
    ]
    A = np.zeros((32, 32))
    at = 0
    for block in blocks:
        A[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    basis = rng.normal(size=(32, 32))
    A = basis @ A @ np.linalg.inv(basis)
    H = np.asarray(arnoldi(lambda v: jnp.asarray(A) @ v, jnp.asarray(rng.normal(size=32)), 20))
    values, residuals = ritz_values(H, 3)
    np.testing.assert_allclose(np.abs(values), [1.3, 1.3, 1.1], rtol=1e-6)
    np.testing.assert_allclose(sorted(values[:2].imag), [-1.04, 1.04], rtol=1e-6)
    np.testing.assert_allclose(values[2], -1.1, rtol=1e-6)
    assert (residuals < 1e-5).all()
    few = ritz_values(np.asarray(arnoldi(lambda v: jnp.asarray(A) @ v, jnp.ones(32), 4)), 4)
    assert few[1].max() > 1e-3  # four vectors do not hold them, and say so


def test_a_space_that_the_map_does_not_leave_has_as_many_values_as_dimensions():
    A = jnp.diag(jnp.array([2.0, -0.5, 0.25, 0.0, 0.0, 0.0]))
    H = np.asarray(arnoldi(lambda v: A @ v, jnp.array([1.0, 1, 1, 0, 0, 0]), 5))
    values, residuals = ritz_values(H, 5)
    np.testing.assert_allclose(values[:3], [2, -0.5, 0.25], atol=1e-12)
    assert np.isnan(values[3:]).all()
    assert np.isnan(residuals[3:]).all()
    assert np.isnan(ritz_values(np.full_like(H, np.inf), 2)[0]).all()
