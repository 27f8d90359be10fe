"""Two trajectories against the tangent dynamics, which they are a check of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import Dynamics, Update
from rrjax.dynamics.divergence import divergence
from tests.tools.tiny import CONFIG, UPDATES, weights

KEY = jax.random.key(0)


def henon(z):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def logistic(z):
    return 4 * z * (1 - z)


def tiny_trm():
    tokens = jnp.asarray(np.random.default_rng(0).integers(1, 6, 16))
    return bind(jax.tree.map(jnp.asarray, unflatten(weights())), CONFIG, tokens)


@pytest.mark.parametrize(
    ("rule", "start"), [(logistic, [0.3]), (henon, [0.1, 0.1])], ids=["logistic", "henon"]
)
def test_agrees_with_the_spectrum_segment_by_segment(rule, start):
    with jax.enable_x64(True):
        # 25 steps: round-off of 1e-16 has then grown to 1e-8 at most, and the orbits still agree
        dynamics = Dynamics.from_map(rule, jnp.array(start))
        pair = divergence(dynamics, 25, key=KEY, distance=1e-8)
        tangent = rrjax.spectrum(dynamics, 1, 25, key=KEY)
        # δ times a curvature of 8 over a slope of .1 at least, and round-off of 1e-16/1e-8
        np.testing.assert_allclose(pair.log_growth, tangent.log_growth[:, 0], atol=2e-6)
        np.testing.assert_allclose(pair.exponent, tangent.exponents[0], atol=1e-6)
        assert bool(pair.finite & pair.resolved)
        assert (pair.clock, pair.unit) == ("segment", "nats per update")


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [(logistic, [0.3], np.log(2)), (henon, [0.1, 0.1], 0.41922)],
    ids=["logistic", "henon"],
)
def test_known_exponents(rule, start, expected):
    with jax.enable_x64(True):
        dynamics = Dynamics.from_map(rule, jnp.array(start))
        found = divergence(dynamics, 20_000, key=KEY, distance=1e-8)
        # the finite-time fluctuation of 20,000 steps, as for the spectrum of Hénon
        np.testing.assert_allclose(found.exponent, expected, atol=0.01)


@pytest.mark.slow
def test_agrees_with_the_spectrum_of_a_tiny_trm():
    with jax.enable_x64(True):
        dynamics = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tiny_trm())
        pair = divergence(dynamics, 4, key=KEY, distance=1e-7)
        tangent = rrjax.spectrum(dynamics, 1, 4, key=KEY)
        expected = tangent.log_growth.reshape(4, UPDATES).sum(1)
        # the error is of first order in δ: 1e-7 times a relative curvature of order one
        np.testing.assert_allclose(pair.log_growth, expected, atol=2e-6)
        np.testing.assert_allclose(pair.exponent, tangent.exponents[0], atol=1e-6)
        assert bool(pair.resolved)


def test_float32_needs_a_greater_distance_and_says_so():
    dynamics = tiny_trm()
    lost, fine = (divergence(dynamics, 2, key=KEY, distance=d) for d in (1e-6, 1e-2))
    assert (bool(lost.resolved), bool(fine.resolved)) == (False, True)
    tangent = rrjax.spectrum(dynamics, 1, 2, key=KEY)
    np.testing.assert_allclose(fine.exponent, tangent.exponents[0], atol=0.01)


def test_a_linear_map_diverges_exactly_at_every_distance():
    dynamics = Dynamics.from_map(lambda z: {"a": 2 * z["a"]}, {"a": jnp.zeros((2, 2))})
    for distance in (1e-9, 1.0, 1e9):
        found = divergence(dynamics, 5, key=KEY, distance=distance)
        np.testing.assert_allclose(found.log_growth, np.log(2), rtol=1e-6)
        assert bool(found.resolved)


def test_starts_where_it_is_told_and_follows_its_drive():
    update = Update("scale", lambda context, z, drive: drive * z)
    drive = jnp.array([2.0, 0.5, 3.0])
    dynamics = Dynamics(jnp.ones(2), (update,), lambda context, z: z, drive=drive)
    found = divergence(dynamics, 2, key=KEY, distance=0.1, initial=np.array([3.0, 5.0]))
    np.testing.assert_allclose(found.state, [3, 5], rtol=1e-6)
    np.testing.assert_allclose(found.log_growth, np.log(drive[:2]), atol=1e-5)
    with pytest.raises(ValueError, match="the drive has 3 segments, but 4 were asked for"):
        divergence(dynamics, 4, key=KEY)


def test_trajectories_that_merge_are_minus_infinity_and_not_resolved():
    dynamics = Dynamics.from_map(lambda z: 0 * z + 1, jnp.ones(2))
    found = divergence(dynamics, 3, key=KEY, distance=0.1)
    assert found.log_growth.tolist() == [-np.inf] * 3
    assert found.exponent == -np.inf
    assert (bool(found.finite), bool(found.resolved)) == (True, False)


def test_vmap_equals_a_loop_and_overflow_harms_no_other():
    def measure(start):
        grow = Dynamics.from_map(lambda z: z * z * z + 0.5 * z, start)
        return divergence(grow, 6, key=KEY, distance=1e-3)

    starts = jnp.array([[10.0], [0.3], [0.1]])
    together = jax.vmap(measure)(starts)
    assert together.finite.tolist() == [False, True, True]
    for index in (1, 2):
        single = measure(starts[index])
        np.testing.assert_allclose(together.log_growth[index], single.log_growth, rtol=1e-3)


def test_takes_no_derivative():
    @jax.custom_jvp
    def step(z):
        return 3 * z

    @step.defjvp
    def refuse(primals, tangents):
        raise AssertionError("differentiated")

    dynamics = Dynamics.from_map(step, jnp.zeros(2))
    np.testing.assert_allclose(divergence(dynamics, 2, key=KEY).exponent, np.log(3), rtol=1e-6)
    with pytest.raises(AssertionError, match="differentiated"):
        rrjax.spectrum(dynamics, 1, 1, key=KEY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": 0.0}, "distance must be positive and finite, got 0.0"),
        ({"distance": -1e-6}, "distance must be positive and finite"),
        ({"distance": float("nan")}, "distance must be positive and finite"),
        ({"distance": float("inf")}, "distance must be positive and finite"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"initial": jnp.zeros(3)}, r"initial must have the shapes \(2,\)"),
        ({"initial": {"z": jnp.zeros(2)}}, "initial must have the shapes"),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        divergence(Dynamics.from_map(henon, jnp.zeros(2)), key=KEY, **arguments)
