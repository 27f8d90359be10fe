"""Fixed points and cycles of known maps, their eigenvalues, and searches that cannot succeed."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from rrjax.cells import Arch, Config, bind, init_params
from rrjax.contract import Dynamics, count_updates, run_segment
from rrjax.dynamics.fixed_points import fixed_point, leading_eigenvalues
from rrjax.dynamics.precision import in_type
from rrjax.dynamics.rollout import rollout
from rrjax.dynamics.spectrum import spectrum
from rrjax.keys import make_key

RATE = 3.9
PLUS, MINUS = ((RATE + 1 + s * np.sqrt((RATE - 3) * (RATE + 1))) / (2 * RATE) for s in (1, -1))


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def logistic(start: float) -> Dynamics:
    return Dynamics.from_map(lambda x: RATE * x * (1 - x), jnp.asarray(start))


def henon(z: jax.Array) -> jax.Array:
    return jnp.array([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def test_the_unstable_fixed_point_of_the_logistic_map():
    point = fixed_point(logistic(0.6))
    assert bool(point.converged)
    assert float(point.residual) <= 1e-9
    np.testing.assert_allclose(point.state, 1 - 1 / RATE, atol=1e-9)
    np.testing.assert_allclose(point.distance, 1 - 1 / RATE - 0.6, atol=1e-9)
    found = leading_eigenvalues(logistic(0.6), point.state, 1)
    np.testing.assert_allclose(found.values, [2 - RATE], atol=1e-8)
    assert found.num_unstable == 1


@pytest.mark.parametrize(("start", "expected"), [(0.9, PLUS), (0.36, MINUS)])
def test_the_two_points_of_its_cycle(start, expected):
    point = fixed_point(logistic(start), period=2)
    np.testing.assert_allclose(point.state, expected, atol=1e-9)
    once = run_segment(logistic(0.0), point.state)
    assert abs(float(once - point.state)) > 0.5  # no fixed point
    found = leading_eigenvalues(logistic(0.0), point.state, 1, period=2)
    np.testing.assert_allclose(
        found.values, [RATE**2 * (1 - 2 * PLUS) * (1 - 2 * MINUS)], atol=1e-7
    )


def test_the_saddle_of_henon_and_its_eigenvalues():
    dynamics = Dynamics.from_map(henon, jnp.array([0.5, 0.5]))
    point = fixed_point(dynamics)
    x = (-0.7 + np.sqrt(0.49 + 5.6)) / 2.8
    np.testing.assert_allclose(point.state, [x, 0.3 * x], atol=1e-9)
    found = leading_eigenvalues(dynamics, point.state, 2)
    roots = np.roots([1, 2.8 * x, -0.3])
    np.testing.assert_allclose(found.values, roots[np.argsort(-np.abs(roots))], atol=1e-8)
    assert found.num_unstable == 1


def test_many_starts_at_once_find_both_points_of_henon():
    starts = jnp.array([[0.5, 0.5], [-1.0, -0.3], [0.7, 0.1], [-1.2, 0.0]])
    points = jax.vmap(lambda z: fixed_point(Dynamics.from_map(henon, z)))(starts)
    assert points.converged.all()
    roots = (-0.7 + np.array([1, -1, 1, -1]) * np.sqrt(0.49 + 5.6)) / 2.8
    np.testing.assert_allclose(points.state[:, 0], roots, atol=1e-9)


def test_a_linear_map_takes_one_step_and_has_its_own_spectrum():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(300, 300)) / 12, rng.normal(size=300)
    dynamics = Dynamics.from_map(lambda z: jnp.asarray(a) @ z + b, jnp.zeros(300))
    point = fixed_point(dynamics, krylov=300)
    assert int(point.iterations) <= 9  # each is as exact as GMRES was asked to be
    np.testing.assert_allclose(point.state, np.linalg.solve(np.eye(300) - a, b), atol=1e-8)
    found = leading_eigenvalues(dynamics, point.state, 6)  # by Arnoldi
    values = np.linalg.eigvals(a)
    values = values[np.argsort(-np.abs(values))][:6]
    np.testing.assert_allclose(np.abs(found.values), np.abs(values), rtol=1e-8)
    assert found.num_unstable == np.sum(np.abs(values) > 1) > 0


def test_a_small_network_has_the_fixed_points_of_another_solver():
    weights = 1.5 * jax.random.normal(jax.random.key(3), (8, 8)) / np.sqrt(8)

    def step(z: jax.Array) -> jax.Array:
        return jnp.tanh(weights @ z)

    starts = jax.random.normal(jax.random.key(4), (16, 8))
    points = jax.vmap(lambda z: fixed_point(Dynamics.from_map(step, z)))(starts)
    assert points.converged.any()
    for state in np.asarray(points.state)[np.asarray(points.converged)]:
        near = state + 1e-3
        other = scipy.optimize.newton_krylov(lambda z: np.asarray(step(z)) - z, near, f_tol=1e-10)
        np.testing.assert_allclose(state, other, atol=1e-7)


def test_linear_solves_in_float32_reach_the_same_point_and_residual():
    weights = 1.5 * jax.random.normal(jax.random.key(3), (8, 8), jnp.float32) / np.float32(8) ** 0.5
    narrow = Dynamics.from_updates(
        jnp.ones(8, jnp.float32), lambda w, z, _: jnp.tanh(w @ z + 1), lambda w, z: z, weights
    )
    wide = in_type(narrow, jnp.float64)
    point, mixed = fixed_point(wide), fixed_point(wide, linear=narrow)
    assert bool(mixed.converged)
    assert mixed.state.dtype == jnp.float64
    np.testing.assert_allclose(mixed.state, point.state, atol=1e-8)
    with pytest.raises(ValueError, match="initial must have the shapes"):
        fixed_point(wide, linear=Dynamics.from_map(jnp.tanh, jnp.ones(3)))


def test_a_stable_cell_comes_to_rest_at_its_point_as_fast_as_its_eigenvalue_says():
    config = Config(Arch("srm", hidden_size=8, L_cycles=2, forward_dtype="float64"), 4, 5)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), init_params(make_key(0), config))
    dynamics = bind(params, config, jnp.arange(4))
    point = jax.jit(fixed_point)(dynamics)
    assert bool(point.converged)
    end = rollout(dynamics, 400).state
    chex.assert_trees_all_close(end, point.state, atol=1e-8)
    found = leading_eigenvalues(dynamics, point.state, 4)
    assert found.num_unstable == 0
    measured = spectrum(dynamics, 1, 400, initial=end, key=make_key(1)).exponents[0]
    by_update = np.log(abs(found.values[0])) / count_updates(dynamics.schedule)
    np.testing.assert_allclose(by_update, measured, atol=2e-3)


def test_every_point_of_the_identity_is_fixed_where_it_is():
    point = fixed_point(Dynamics.from_map(lambda z: z, jnp.arange(3.0)))
    np.testing.assert_array_equal(point.state, jnp.arange(3.0))
    assert bool(point.converged)
    assert int(point.iterations) == 0


@pytest.mark.parametrize("shift", [lambda z: z + 1, lambda z: z + 1 + z**2])
def test_a_map_without_a_fixed_point_says_so(shift):
    point = fixed_point(Dynamics.from_map(shift, jnp.array([0.3, -0.2])))
    assert not bool(point.converged)
    assert np.isfinite(point.state).all()
    assert float(point.residual) > 0.5


def test_a_start_that_is_not_finite_is_flagged():
    point = fixed_point(logistic(np.nan))
    assert np.isnan(point.residual)
    assert not bool(point.converged)
    with pytest.raises(ValueError, match="the Jacobian at this state is not finite"):
        leading_eigenvalues(logistic(np.nan), point.state, 1)


def test_what_has_no_fixed_points_is_refused():
    driven = Dynamics.from_updates(
        jnp.zeros(2),
        lambda context, z, drive: z + drive,
        lambda context, z: z,
        drive=jnp.ones((3, 2)),
    )
    with pytest.raises(ValueError, match="dynamics must be autonomous"):
        fixed_point(driven)
    for options, message in (({"period": 0}, "period must"), ({"krylov": 0}, "krylov must")):
        with pytest.raises(ValueError, match=message):
            fixed_point(logistic(0.5), **options)
    with pytest.raises(ValueError, match="number must"):
        leading_eigenvalues(logistic(0.5), jnp.asarray(0.5), 2)
