"""Planes of initial states, and when the runs from them come to rest."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from rrjax.contract import Dynamics
from rrjax.dynamics.rollout import rollout
from rrjax.dynamics.slices import on_plane, settling_time
from rrjax.frames import random_frame
from tests.tools.tiny import dynamics64

KEY = jax.random.key(0)


def halve(x):
    return x / 2


def turn(x):
    """Four states in a circle, for ever."""
    return jnp.stack([-x[1], x[0]])


def shear(x):
    """Non-normal and nonlinear, with singular values far from eigenvalues."""
    return jnp.stack([0.9 * x[0] + 3 * jnp.sin(x[1]), 0.5 * x[1] + 0.1 * x[0] ** 2, 0.3 * x[2]])


def signs(x):
    return (x > 0).astype(jnp.int32)


def above_half(x):
    return (x > 0.5).astype(jnp.int32)


def first_cell(readout):
    return readout.logits[:1].argmax(-1)


def test_a_point_on_the_plane_is_the_origin_moved_along_both_directions():
    origin = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}
    u, v = random_frame(KEY, origin, 2)["a"]
    directions = random_frame(KEY, origin, 2)
    point = on_plane(origin, directions, jnp.array([2.0, -3.0]))
    np.testing.assert_allclose(point["a"], origin["a"] + 2 * u - 3 * v, rtol=1e-6)
    moved = ravel_pytree(jax.tree.map(jnp.subtract, point, origin))[0]
    assert jnp.linalg.norm(moved) == pytest.approx(13**0.5, rel=1e-5)
    chex.assert_trees_all_equal(on_plane(origin, directions, jnp.zeros(2)), origin)


@given(start=st.floats(0.26, 200.0), num_segments=st.sampled_from([3, 8]))
def test_a_halving_settles_when_it_has_passed_the_threshold(start, num_segments):
    dynamics = Dynamics.from_map(halve, jnp.array([start], jnp.float32))
    found = settling_time(dynamics, num_segments, threshold=2.0, read_answer=above_half)
    values = np.float32(start) / 2 ** np.arange(1, num_segments + 1)
    above = values > 0.5
    expected = 1 if above.all() or not above.any() else int(above.sum()) + 1
    assert found.answer_at == expected
    assert found.residual == pytest.approx(1)  # |x/2 − x| / |x/2|
    assert found.residual_at == 1
    never = settling_time(dynamics, num_segments, threshold=0.5, read_answer=above_half)
    assert never.residual_at == num_segments + 1


def test_a_run_that_goes_round_settles_never():
    dynamics = Dynamics.from_map(turn, jnp.array([1.0, 0.5]))
    found = settling_time(dynamics, 7, threshold=1e-3, read_answer=signs)
    assert (found.answer_at, found.residual_at) == (7, 8)


def test_a_fixed_point_is_settled_from_the_first_segment_on():
    found = settling_time(
        Dynamics.from_map(shear, jnp.zeros(3)), 5, threshold=1e-3, read_answer=signs
    )
    assert found.answer_at == 1
    assert jnp.isnan(found.residual)  # of 0, which has no relative change
    one = Dynamics.from_map(jnp.sign, jnp.array([1.0, -1.0]))
    assert settling_time(one, 5, threshold=1e-3, read_answer=signs).residual_at == 1


def test_a_run_that_is_not_finite_has_no_residual_below_the_threshold():
    found = settling_time(
        Dynamics.from_map(halve, jnp.array([jnp.nan])), 5, threshold=1e-3, read_answer=signs
    )
    assert jnp.isnan(found.residual)
    assert found.residual_at == 6


def test_of_a_cell_it_is_what_the_whole_rollout_shows():
    with jax.enable_x64(True):  # chaos magnifies what two programs round differently
        cell = dynamics64()
        directions = random_frame(KEY, cell.initial, 2)
        starts = [on_plane(cell.initial, directions, jnp.array([a, 3.0])) for a in np.arange(6.0)]
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
        settings = {"threshold": 0.3, "read_answer": first_cell}
        found = jax.vmap(lambda start: settling_time(cell, 9, initial=start, **settings))(batch)
        for row, start in enumerate(starts):
            whole = rollout(cell, 9, initial=start)
            answers = np.asarray(whole.answers[:, :1])
            same = (answers == answers[-1]).all(axis=1)
            expected = 1 if same.all() else 9 - same[::-1].argmin() + 1
            assert found.answer_at[row] == expected
            np.testing.assert_array_equal(found.answer[row], answers[-1])
            moved = np.hypot(*whole.drift)
            size = np.linalg.norm(ravel_pytree(whole.state)[0])
            assert found.residual[row] == pytest.approx(moved[-1] / size, rel=1e-6)
    assert len(set(found.answer_at.tolist())) > 1


def test_settling_is_compiled_once():
    traces = []

    def traced(x):
        traces.append(x)
        return x / 2

    dynamics = Dynamics.from_map(traced, jnp.ones(1))
    settling_time(dynamics, 3, threshold=1e-3, read_answer=signs)
    number = len(traces)
    settling_time(replace(dynamics, initial=jnp.zeros(1)), 3, threshold=1e-3, read_answer=signs)
    assert len(traces) == number


def test_bad_requests_are_refused():
    cell = Dynamics.from_map(halve, jnp.ones(1))
    with pytest.raises(ValueError, match=r"threshold must be positive, got 0\.0"):
        settling_time(cell, 3, threshold=0.0)
    with pytest.raises(ValueError, match="threshold must be positive, got nan"):
        settling_time(cell, 3, threshold=float("nan"))
    with pytest.raises(ValueError, match="num_segments must be at least 1"):
        settling_time(cell, 0, threshold=1e-3)
