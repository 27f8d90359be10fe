"""Agreement with programs that are not ours: lyapax, and SciPy's dense QR and SVD."""

import jax
import jax.numpy as jnp
import lyapax
import numpy as np
import pytest
import scipy.linalg

import rrjax
from rrjax.contract import Dynamics
from rrjax.systems import SYSTEMS


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def one_fast(first: str, *others: str):
    """Parametrises a test by names of systems, all but the first of them slow."""
    slow = (pytest.param(name, marks=pytest.mark.slow) for name in others)
    return pytest.mark.parametrize("name", [first, *slow])


def initial_frame(state: jax.Array, seed: int) -> jax.Array:
    """The frame that lyapax draws, (k, n): its Gaussian columns, orthonormalised."""
    draws = jax.random.normal(jax.random.PRNGKey(seed), (state.size, state.size), state.dtype)
    return jnp.linalg.qr(draws)[0].T


@one_fast("henon", "non-normal", "standard", "lorenz63")
def test_lyapax_measures_the_same(name):
    system, steps = SYSTEMS[name], 300
    start = jnp.asarray(system.initial, jnp.float64)
    theirs = lyapax.lyapunov_spectrum(system.step, start, system.time_step, steps, seed=3)
    dynamics = Dynamics.from_map(system.step, start)
    ours = rrjax.spectrum(dynamics, num_segments=steps, frame=initial_frame(start, 3))
    # its exponents are sorted and per unit of time
    expected = np.sort(np.asarray(ours.exponents))[::-1] / system.time_step
    np.testing.assert_allclose(theirs.exponents, expected, rtol=0, atol=1e-7)


@pytest.mark.slow
def test_lyapax_measures_the_same_running_history():
    system, steps = SYSTEMS["henon"], 100
    start = jnp.asarray(system.initial, jnp.float64)
    theirs = lyapax.lyapunov_spectrum(system.step, start, 1.0, steps, seed=5)
    ours = rrjax.spectrum(
        Dynamics.from_map(system.step, start), num_segments=steps, frame=initial_frame(start, 5)
    )
    means = np.cumsum(ours.log_growth, axis=0) / np.arange(1, steps + 1)[:, None]
    np.testing.assert_allclose(theirs.history, means, atol=1e-8)


def dense_product(step, start: jax.Array, num_updates: int) -> np.ndarray:
    """The product of the updates' Jacobians, newest to the left."""
    linearised = jax.jit(lambda z: (step(z), jax.jacfwd(step)(z)))
    product, z = np.eye(start.size), start
    for _ in range(num_updates):
        z, jacobian = linearised(z)
        product = np.asarray(jacobian) @ product
    return product


@one_fast("henon", "non-normal", "standard", "rossler")
def test_scipys_qr_of_the_product_is_that_of_the_updates(name):
    system, num_updates = SYSTEMS[name], 8
    start = jnp.asarray(system.initial, jnp.float64)
    frame = initial_frame(start, 0)
    result = rrjax.spectrum(
        Dynamics.from_map(system.step, start), num_segments=num_updates, frame=frame
    )
    q, r = scipy.linalg.qr(dense_product(system.step, start, num_updates) @ np.asarray(frame).T)
    expected = np.log(np.abs(np.diag(r)))
    np.testing.assert_allclose(result.log_growth.sum(0), expected, rtol=0, atol=1e-7)
    turned = q * np.sign(np.diag(r))
    np.testing.assert_allclose(np.asarray(result.frame).T, turned, rtol=0, atol=1e-7)


@one_fast("lorenz63", "cat", "henon", "standard")
def test_singular_values_of_the_product_bound_the_growth_and_have_its_volume(name):
    system, updates = SYSTEMS[name], 6
    start = jnp.asarray(system.initial, jnp.float64)
    frame = initial_frame(start, 1)
    growth = np.asarray(
        rrjax.spectrum(
            Dynamics.from_map(system.step, start), num_segments=updates, frame=frame
        ).log_growth.sum(0)
    )
    logs = np.log(scipy.linalg.svdvals(dense_product(system.step, start, updates)))
    # |det| is both; before that, no frame's volume grows more than the leading singular values
    assert growth.sum() == pytest.approx(logs.sum(), abs=1e-7)
    assert (np.cumsum(growth) <= np.cumsum(logs) + 1e-7).all()
    assert growth[0] >= logs[-1] - 1e-7


@one_fast("non-normal", "symmetric")
def test_singular_values_of_a_long_product_tend_to_the_exponents(name):
    system, updates = SYSTEMS[name], 20
    start = jnp.asarray(system.initial, jnp.float64)
    logs = np.log(scipy.linalg.svdvals(dense_product(system.step, start, updates)))
    result = rrjax.spectrum(
        system.dynamics("float64"), num_segments=2, frame=initial_frame(start, 0)
    )
    exponents = np.asarray(result.log_growth)[100:].mean(0)
    gap = np.abs(logs / updates - exponents)
    # of a normal matrix at once; else as 1/T, by the condition of the eigenvectors
    assert (gap < (1e-7 if name == "symmetric" else 5 / updates)).all()


@one_fast("henon", "lorenz63")
def test_the_right_singular_vectors_as_frame_attain_the_bound(name):
    system, updates = SYSTEMS[name], 5
    start = jnp.asarray(system.initial, jnp.float64)
    _, singular, right = scipy.linalg.svd(dense_product(system.step, start, updates))
    result = rrjax.spectrum(
        Dynamics.from_map(system.step, start), num_segments=updates, frame=jnp.asarray(right)
    )
    np.testing.assert_allclose(result.log_growth.sum(0), np.log(singular), rtol=0, atol=1e-7)
