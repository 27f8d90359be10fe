"""Growth under one segment's Jacobian against dense linear algebra, and its degenerate states."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from rrjax.cells import bind, unflatten
from rrjax.contract import Dynamics, Update, run_segment
from rrjax.dynamics.local import local_growth
from tests.tools.tiny import CONFIG, weights

KEY = jax.random.key(0)
SIZE = 6
RANDOM = np.random.default_rng(1).normal(size=(SIZE, SIZE)) / SIZE**0.5


def block(*parts):
    """A block-diagonal matrix, filled up with zeros."""
    whole, at = np.zeros((SIZE, SIZE)), 0
    for part in map(np.atleast_2d, parts):
        whole[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return whole


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


MATRICES = {
    "normal": RANDOM + RANDOM.T,
    "general": RANDOM,
    "non-normal": block([[0.9, 10.0], [0.0, 0.5]], 0.3, 0.2, 0.1, 0.05),
    "complex pair": block(1.1 * rotation(0.7), 0.8 * rotation(2.0), 0.9, -0.4),
    "skewed pair": block(np.diag([1, 8]) @ rotation(0.3) @ np.diag([1, 1 / 8]), 0.7, 0.5, 0.2, 0.1),
    "opposite signs": np.diag([1.2, -1.2, 0.5, 0.4, 0.3, 0.2]),
    "rank one": np.outer(np.arange(1, 7), [1.0, -1, 0.5, 2, 0, 1]),
    "repeated": 0.5 * np.eye(SIZE),
    "zero": np.zeros((SIZE, SIZE)),
    "huge": 1e15 * RANDOM,
    "minute": 1e-15 * RANDOM,
}


def multiply(matrix, state, drive):
    moved = matrix @ jnp.concatenate([state["a"], state["b"].ravel()])
    return {"a": moved[:2], "b": moved[2:].reshape(2, 2)}


def read(context, state):
    return state


def linear(matrix):
    """A linear map on a state of two fields; all of them share one compiled program."""
    initial = {"a": jnp.zeros(2), "b": jnp.zeros((2, 2))}
    return Dynamics(initial, (Update("multiply", multiply),), read, jnp.float32(matrix))


def flat(state):
    return np.asarray(ravel_pytree(state)[0])


def singular_value(dynamics, state, key=KEY, **options):
    return local_growth(dynamics, state, key=key, **options).singular_value


def spectral_radius(dynamics, state, key=KEY, **options):
    return local_growth(dynamics, state, key=key, **options).spectral_radius


def natural(dynamics, state, previous, **options):
    return local_growth(dynamics, state, key=KEY, previous=previous, **options).natural


def henon(z):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def tiny_trm():
    tokens = jnp.asarray(np.random.default_rng(0).integers(1, 6, 16))
    return bind(jax.tree.map(jnp.asarray, unflatten(weights())), CONFIG, tokens)


def doubled(dynamics):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), dynamics)


@pytest.mark.parametrize("name", MATRICES)
def test_singular_value_and_spectral_radius_of_a_matrix(name):
    matrix = MATRICES[name]
    dynamics = linear(matrix)
    growth = local_growth(dynamics, dynamics.initial, key=KEY, tolerance=1e-5)
    found, largest = growth.singular_value, np.linalg.svd(matrix)[1][0]
    np.testing.assert_allclose(found.value, largest, rtol=2e-6)
    assert bool(found.converged)
    if largest:
        vector = flat(found.vector)
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(matrix @ vector), largest, rtol=1e-5)
    radius = np.abs(np.linalg.eigvals(matrix)).max()
    np.testing.assert_allclose(growth.spectral_radius.value, radius, rtol=2e-5)
    assert bool(growth.spectral_radius.converged)


@pytest.mark.parametrize("name", ["non-normal", "normal", "rank one"])
def test_vector_of_a_real_eigenvalue_is_its_eigenvector(name):
    matrix = MATRICES[name]
    found = spectral_radius(linear(matrix), linear(matrix).initial, tolerance=1e-5)
    vector = flat(found.vector)
    image = matrix @ vector
    np.testing.assert_allclose(image, (vector @ image) * vector, atol=1e-4 * found.value)


def test_vector_of_a_complex_pair_lies_in_its_plane():
    matrix = MATRICES["complex pair"]
    found = spectral_radius(linear(matrix), linear(matrix).initial, tolerance=1e-5)
    np.testing.assert_allclose(flat(found.vector)[2:], 0, atol=1e-4)


def test_a_nilpotent_map_has_the_radius_zero_up_to_a_root_of_round_off():
    dynamics = linear(block(np.eye(2, k=1)))
    found = spectral_radius(dynamics, dynamics.initial)
    assert float(found.value) < 2e-3  # the square root of ten round-offs


def test_too_few_iterations_are_admitted_and_the_residual_is_the_true_one():
    dynamics = linear(RANDOM)
    found = singular_value(dynamics, dynamics.initial, max_iterations=3)
    assert (bool(found.converged), int(found.iterations)) == (False, 3)
    vector, sigma = flat(found.vector), float(found.value)
    assert sigma < np.linalg.svd(RANDOM)[1][0]
    residual = np.linalg.norm(RANDOM.T @ RANDOM @ vector / sigma - sigma * vector) / sigma
    np.testing.assert_allclose(found.residual, residual, rtol=1e-4)
    radius = spectral_radius(dynamics, dynamics.initial, max_iterations=3)
    assert (bool(radius.converged), int(radius.iterations)) == (False, 3)


def test_residual_of_a_real_ritz_value_is_the_true_one():
    matrix = np.diag([2.0, 1.5, 1.0, 0.5, 0.3, 0.1]) + 0.1 * np.triu(RANDOM, 1)
    found = spectral_radius(linear(matrix), linear(matrix).initial, max_iterations=3)
    vector, rho = flat(found.vector), float(found.value)
    assert not bool(found.converged)
    residual = np.linalg.norm(matrix @ vector - rho * vector) / rho
    np.testing.assert_allclose(found.residual, residual, rtol=1e-4)


@pytest.mark.slow
def test_segment_of_a_tiny_trm_against_its_dense_jacobian():
    with jax.enable_x64(True):
        dynamics = doubled(tiny_trm())
        previous, (start, unravel) = dynamics.initial, ravel_pytree(dynamics.initial)
        start = start + jax.random.normal(KEY, start.shape)
        state = unravel(start)
        segment = jax.jacfwd(lambda v: ravel_pytree(run_segment(dynamics, unravel(v)))[0])
        dense = np.asarray(jax.jit(segment)(start))
        step = flat(state) - flat(previous)

        growth = local_growth(
            dynamics, state, key=KEY, previous=previous, tolerance=1e-8, max_iterations=60
        )
        assert growth.unit == "factor per segment"
        sigma, radius = growth.singular_value, growth.spectral_radius

        assert bool(sigma.converged)
        assert bool(radius.converged)
        _, singular, right = np.linalg.svd(dense)
        np.testing.assert_allclose(sigma.value, singular[0], rtol=1e-10)
        np.testing.assert_allclose(abs(flat(sigma.vector) @ right[0]), 1, rtol=1e-9)
        np.testing.assert_allclose(radius.value, abs(np.linalg.eigvals(dense)).max(), rtol=1e-6)
        np.testing.assert_allclose(
            growth.natural, np.linalg.norm(dense @ step) / np.linalg.norm(step), rtol=1e-10
        )


def test_henon_at_its_fixed_point():
    x = (-0.7 + np.sqrt(0.49 + 5.6)) / 2.8
    point = jnp.float32([x, 0.3 * x])
    dynamics = Dynamics.from_map(henon, point)
    jacobian = np.array([[-2.8 * x, 1], [0.3, 0]])
    growth = local_growth(dynamics, point, key=KEY, previous=point - jnp.float32([1e-3, 0]))
    radius, sigma = growth.spectral_radius, growth.singular_value
    np.testing.assert_allclose(radius.value, abs(np.linalg.eigvals(jacobian)).max(), rtol=1e-5)
    np.testing.assert_allclose(sigma.value, np.linalg.svd(jacobian)[1][0], rtol=1e-5)
    np.testing.assert_allclose(growth.natural, np.linalg.norm(jacobian[:, 0]), rtol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, SIZE), st.floats(-3, 3))
def test_singular_value_bounds_every_other_growth(seed, rank, exponent):
    rng = np.random.default_rng(seed)
    matrix = 10**exponent * rng.normal(size=(SIZE, rank)) @ rng.normal(size=(rank, SIZE))
    dynamics, key = linear(matrix), jax.random.key(seed % 1000)
    step = {"a": jnp.float32(rng.normal(size=2)), "b": jnp.float32(rng.normal(size=(2, 2)))}
    growth = local_growth(dynamics, step, key=key, previous=dynamics.initial, tolerance=1e-5)
    sigma = float(growth.singular_value.value)
    assert max(float(growth.spectral_radius.value), float(growth.natural)) <= sigma * (1 + 1e-5)
    norm = np.linalg.norm(matrix)
    assert norm / SIZE**0.5 * (1 - 1e-5) <= sigma <= norm * (1 + 1e-5)


@pytest.mark.parametrize("measure", [singular_value, spectral_radius])
def test_vmap_equals_a_loop_though_puzzles_end_at_different_iterations(measure):
    several = [MATRICES[name] for name in ("general", "rank one", "complex pair")]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(linear, several))
    keys = jax.random.split(KEY, 3)
    together = jax.vmap(lambda d, key: measure(d, d.initial, key))(batch, keys)
    assert len(set(together.iterations.tolist())) > 1
    for index, matrix in enumerate(several):
        single = measure(linear(matrix), linear(matrix).initial, keys[index])
        np.testing.assert_allclose(together.value[index], single.value, rtol=1e-6)
        assert int(together.iterations[index]) == int(single.iterations)


def saturate(context, state, drive):
    return jnp.tanh(3 * state)


@pytest.mark.parametrize("measure", [singular_value, spectral_radius])
def test_a_state_that_is_not_finite_is_nan_and_harms_no_other(measure):
    # the derivative of tanh at infinity is 0: the Jacobian alone would look healthy
    states = jnp.array([[jnp.inf, 0.1], [0.0, 0.1]])
    dynamics = Dynamics(states[1], (Update("saturate", saturate),), read)
    found = jax.vmap(lambda state: measure(dynamics, state))(states)
    assert np.isnan(found.value[0])
    np.testing.assert_allclose(found.value[1], 3, rtol=1e-6)
    assert found.converged.tolist() == [False, True]
    growth = jax.vmap(lambda state: natural(dynamics, state, states[1] - 0.1))(states)
    assert np.isnan(growth).tolist() == [True, False]


def test_natural_growth_of_no_step_is_nan():
    assert np.isnan(natural(linear(RANDOM), linear(RANDOM).initial, linear(RANDOM).initial))


def test_a_driven_segment_sees_its_drive():
    update = Update("scale", lambda context, z, drive: drive * z)
    state = jnp.ones(2)
    dynamics = Dynamics(state, (update,), read, drive=jnp.array([2.0, 5.0]))
    growth = local_growth(dynamics, state, key=KEY, drive=dynamics.drive[1], previous=0 * state)
    for value in (growth.singular_value.value, growth.spectral_radius.value, growth.natural):
        np.testing.assert_allclose(value, 5, rtol=1e-6)
    with pytest.raises(ValueError, match="drive must have the shapes of one segment's slice"):
        natural(dynamics, state, 0 * state)


def test_one_compiled_program_serves_every_state():
    @chex.assert_max_traces(n=1)
    def traced(context, z, drive):
        return henon(z)

    for start in (0.1, 0.2, 0.3):
        state = jnp.full(2, start, jnp.float32)
        dynamics = Dynamics(state, (Update("henon", traced),), read)
        assert bool(singular_value(dynamics, state).converged)


def test_matrix_products_run_at_the_highest_precision():
    program = jax.jit(lambda d: local_growth(d, d.initial, key=KEY, previous=d.initial)).lower(
        linear(RANDOM)
    )
    products = [line for line in program.as_text().splitlines() if "dot_general" in line]
    assert products
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)


@pytest.mark.parametrize(
    ("state", "arguments", "message"),
    [
        (np.zeros(3, np.float32), {}, r"state must have the shapes of .* \(2,\); got \(3,\)"),
        (np.zeros(2), {"previous": np.zeros(3)}, r"previous must have the shapes .* \(2,\); got"),
        ({"a": np.zeros(2, np.float32)}, {}, "state must have the shapes"),
        (jnp.zeros(2, jnp.bfloat16), {}, "float32 or float64, got bfloat16"),
        (np.zeros(2, np.float32), {"max_iterations": 0}, "max_iterations must be at least 1"),
        (np.zeros(2, np.float32), {"tolerance": 0.0}, "tolerance must be positive, got 0.0"),
        (np.zeros(2, np.float32), {"tolerance": float("nan")}, "tolerance must be positive"),
        (np.zeros(2, np.float32), {"drive": jnp.ones(2)}, "drive must have the shapes of one"),
    ],
)
def test_bad_requests_are_refused(state, arguments, message):
    dynamics = Dynamics.from_map(henon, jnp.zeros(2))
    with pytest.raises(ValueError, match=message):
        local_growth(dynamics, state, key=KEY, **arguments)
