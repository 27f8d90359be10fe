"""Trajectories against a plain loop."""

import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.contract import Dynamics


def halve(z):
    return {"x": z["x"] / 2, "y": z["y"] + z["x"]}


START = {"x": jnp.array([4.0, 0.0]), "y": jnp.array(0.0) + jnp.zeros(2)}


def test_equals_a_plain_loop():
    trajectory = rrjax.rollout(Dynamics.from_map(halve, START), num_segments=5)
    z, seen = START, []
    for _ in range(5):
        z = halve(z)
        seen.append(z)
    np.testing.assert_array_equal(trajectory.readout["x"], [s["x"] for s in seen])
    np.testing.assert_array_equal(trajectory.state["y"], seen[-1]["y"])
    np.testing.assert_allclose(trajectory.drift["x"], [2, 1, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(trajectory.drift["y"], [4, 2, 1, 0.5, 0.25])


def test_starts_where_it_is_told():
    elsewhere = {"x": np.ones(2), "y": np.zeros(2)}
    trajectory = rrjax.rollout(Dynamics.from_map(halve, START), 1, initial=elsewhere)
    np.testing.assert_array_equal(trajectory.state["x"], [0.5, 0.5])


@pytest.mark.parametrize(
    ("segments", "initial", "message"),
    [
        (0, None, "num_segments must be at least 1, got 0"),
        (1, {"x": np.ones(3), "y": np.zeros(2)}, "initial must have the shapes"),
        (1, {"x": np.ones(2)}, "initial must have the shapes"),
    ],
)
def test_bad_requests_are_refused(segments, initial, message):
    with pytest.raises(ValueError, match=message):
        rrjax.rollout(Dynamics.from_map(halve, START), segments, initial=initial)
