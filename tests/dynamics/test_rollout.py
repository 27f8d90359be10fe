"""Trajectories against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import rrjax
from rrjax.contract import Dynamics
from rrjax.dynamics.rollout import drift, observe_and_take, observe_segments, residual


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


def scaled_sum(scale, dynamics, before, after, frame):
    return {"sum": scale * (before["x"] + after["x"]), "residual": residual(before, after)}


def test_only_what_is_observed_is_kept():
    dynamics = Dynamics.from_map(halve, START)
    observe = Partial(scaled_sum, jnp.array(10.0))
    state, seen = observe_segments(dynamics, observe, num_segments=3)
    np.testing.assert_array_equal(seen["sum"], [[60, 0], [30, 0], [15, 0]])
    np.testing.assert_array_equal(state["x"], rrjax.rollout(dynamics, 3).state["x"])
    # after one segment x is (2, 0), y is (4, 0): it moved by 2 and by 4, to a norm of √20
    np.testing.assert_allclose(seen["residual"][0], 1.0)
    assert seen.keys() == {"sum", "residual"}


def test_observing_gives_the_numbers_of_a_whole_trajectory():
    dynamics = Dynamics.from_map(halve, START)
    elsewhere = {"x": jnp.ones(2), "y": jnp.zeros(2)}
    seen = observe_segments(dynamics, observe_drift, 4, initial=elsewhere)[1]
    whole = rrjax.rollout(dynamics, 4, initial=elsewhere)
    for name in ("x", "y"):
        np.testing.assert_array_equal(seen[name], whole.drift[name])


def observe_drift(dynamics, before, after, frame):
    return drift(before, after)


def test_other_arrays_to_observe_with_compile_nothing_anew():
    dynamics, traces = Dynamics.from_map(halve, START), []

    def observe(scale, dynamics, before, after, frame):
        traces.append(scale)
        return scale * after["x"]

    for scale in (1.0, 2.0):
        seen = observe_segments(dynamics, Partial(observe, jnp.array(scale)), 2)[1]
        np.testing.assert_array_equal(seen, scale * np.array([[2, 0], [1, 0]]))
    assert len(traces) == 1


def total(dynamics, before, after, frame):
    return after.sum()


def test_memory_does_not_grow_with_the_segments_but_for_what_is_kept():
    dynamics = Dynamics.from_map(jnp.sin, jnp.ones(10_000))

    def bytes_needed(num_segments):
        run = jax.jit(lambda dynamics: observe_segments(dynamics, total, num_segments))
        found = run.lower(dynamics).compile().memory_analysis()
        return found.temp_size_in_bytes + found.output_size_in_bytes

    extra = bytes_needed(5000) - bytes_needed(5)
    assert extra <= 2 * 4 * 5000  # a number a segment, twice at most; a state has 40,000 bytes


def test_the_residual_is_relative_and_of_the_whole_state():
    before = {"x": jnp.array([3.0, 0.0]), "y": jnp.zeros(2)}
    after = {"x": jnp.array([0.0, 0.0]), "y": jnp.array([4.0, 0.0])}
    np.testing.assert_allclose(residual(before, after), 5 / 4)
    tenfold = (jax.tree.map(lambda leaf: 10 * leaf, state) for state in (before, after))
    np.testing.assert_allclose(residual(*tenfold), 5 / 4)
    assert residual(after, after) == 0
    nothing = jax.tree.map(jnp.zeros_like, after)
    assert np.isnan(residual(nothing, nothing))


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


def take_scaled(scale, dynamics, state):
    return {"x": scale * state["x"]}


def test_what_is_taken_after_some_segments_is_of_these_segments():
    dynamics, observe = Dynamics.from_map(halve, START), Partial(scaled_sum, 2.0)
    take = Partial(take_scaled, jnp.array(3.0))
    end, observed, taken = observe_and_take(dynamics, observe, take, [1, 2, 5, 9])
    expected = observe_segments(dynamics, observe, 9)
    for one, other in zip(jax.tree.leaves((end, observed)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    steps = np.array([1, 2, 5, 9])
    np.testing.assert_allclose(taken["x"], 3 * 4.0 * 0.5 ** steps[:, None] * [1, 0])
