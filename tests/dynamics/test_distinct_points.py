"""Many searches: each point once, with its eigenvalues, and starts that lead nowhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.contract import Dynamics
from rrjax.dynamics.distinct_points import fixed_points

RATE = 3.9


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def logistic() -> Dynamics:
    return Dynamics.from_map(lambda x: RATE * x * (1 - x), jnp.asarray(0.5))


def test_the_logistic_map_has_two_points_and_a_cycle():
    starts = jnp.linspace(-0.2, 1.2, 29)
    points = fixed_points(logistic(), starts)
    np.testing.assert_allclose(np.sort(points.states), [0, 1 - 1 / RATE], atol=1e-9)
    slopes = np.abs(RATE * (1 - 2 * points.states))
    np.testing.assert_allclose(np.abs(points.eigenvalues[:, 0]), slopes, atol=1e-8)
    np.testing.assert_array_equal(points.num_unstable, [1, 1])
    assert points.hits.sum() == np.sum(points.reached >= 0)
    assert (np.diff(points.hits) <= 0).all()
    ends = points.states[points.reached[points.reached >= 0]]
    np.testing.assert_allclose(
        np.abs(ends - starts[points.reached >= 0]), points.distance[points.reached >= 0], atol=1e-6
    )
    assert len(fixed_points(logistic(), starts, period=2).hits) == 3  # the cycle counts once


def test_points_of_a_pitchfork_by_their_stability():
    dynamics = Dynamics.from_map(lambda z: jnp.tanh(2 * z), jnp.zeros(1))
    points = fixed_points(dynamics, 24, key=jax.random.key(0))
    order = np.argsort(points.states[:, 0])
    assert len(order) == 3
    np.testing.assert_array_equal(points.num_unstable[order], [0, 1, 0])
    assert points.states[order[0], 0] == pytest.approx(-points.states[order[2], 0], abs=1e-8)


def test_where_no_search_succeeds_there_is_no_point():
    dynamics = Dynamics.from_map(lambda z: {"z": z["z"] + 1}, {"z": jnp.zeros(3)})
    points = fixed_points(dynamics, 5, key=jax.random.key(0))
    assert points.states["z"].shape == (0, 3)
    assert points.eigenvalues.shape == (0, 3)
    np.testing.assert_array_equal(points.reached, np.full(5, -1))


def test_starts_that_are_no_states_are_refused():
    for starts, message in (
        (0, "starts must"),
        (3, "starts: a number of starts needs a key"),
        (jnp.zeros((4, 2)), "starts must be states along a leading axis"),
        (jnp.zeros(0), "starts must be states along a leading axis"),
    ):
        with pytest.raises(ValueError, match=message):
            fixed_points(logistic(), starts)
