"""The Krylov space against dense least squares, and steps within a radius by their equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg

from rrjax.dynamics.hookstep import hook, krylov_space

SIZE, LARGEST = 40, 20


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(SIZE, SIZE)) / 12 - np.eye(SIZE), rng.normal(size=SIZE)


def residual(A: np.ndarray, V: np.ndarray, b: np.ndarray) -> float:
    """Returns the least ‖A x − b‖ / ‖b‖ for x in the span of the rows of V."""
    images = A @ V.T
    left = images @ np.linalg.lstsq(images, b)[0] - b
    return float(np.linalg.norm(left) / np.linalg.norm(b))


def test_the_space_is_the_smallest_that_holds_a_solution():
    A, b = problem()
    V, H = map(
        np.asarray, krylov_space(lambda v: jnp.asarray(A) @ v, jnp.asarray(b), LARGEST, 1e-3)
    )
    size = int((np.abs(H).sum(0) > 0).sum())
    assert 3 < size < LARGEST
    np.testing.assert_allclose(A @ V[:size].T, V.T @ H[:, :size], atol=1e-12)
    assert residual(A, V[:size], b) <= 1e-3 < residual(A, V[: size - 1], b)
    y = np.asarray(hook(jnp.asarray(H), jnp.linalg.norm(b)).step(jnp.inf))
    other, _ = scipy.sparse.linalg.gmres(A, b, rtol=1e-16, restart=size, maxiter=1)
    np.testing.assert_allclose(y @ V[:-1], other, atol=1e-10)


def test_a_step_within_a_radius_fulfils_its_equations():
    A, b = problem()
    _, H = krylov_space(lambda v: jnp.asarray(A) @ v, jnp.asarray(b), LARGEST, 1e-3)
    length = jnp.linalg.norm(b)
    y = np.asarray(hook(H, length).step(0.5))
    np.testing.assert_allclose(np.linalg.norm(y), 0.5, rtol=1e-10)
    descent = np.asarray(H).T @ (length * np.eye(len(H))[0] - np.asarray(H) @ y)  # = λ y
    damping = descent @ y / (y @ y)
    assert damping > 0
    np.testing.assert_allclose(descent, damping * y, atol=1e-9)


def test_a_space_that_the_map_does_not_leave_ends():
    A = jnp.diag(jnp.array([1.0, 2.0, 0.0]))
    V, H = krylov_space(lambda v: A @ v, jnp.array([1.0, 1.0, 0.0]), 3, 1e-12)
    np.testing.assert_allclose(hook(H, jnp.sqrt(2.0)).step(jnp.inf) @ V[:-1], [1, 0.5, 0])
    _, H = krylov_space(lambda v: A @ v, jnp.array([0.0, 0.0, 1.0]), 3, 1e-12)
    np.testing.assert_array_equal(hook(H, jnp.ones(())).step(jnp.inf), np.zeros(3))  # singular
