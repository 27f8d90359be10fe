"""Planes of initial states, when runs settle, and forward Lyapunov vectors, against dense ones."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from rrjax.cells import bind, unflatten
from rrjax.contract import Dynamics, run_segment
from rrjax.dynamics.rollout import rollout
from rrjax.dynamics.slices import forward_vectors, on_plane, settle
from rrjax.frames import gram, random_frame
from tests.tools.tiny import CONFIG, dynamics64, puzzles, weights

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
    found = settle(dynamics, 2.0, num_segments, read_answer=above_half)
    values = np.float32(start) / 2 ** np.arange(1, num_segments + 1)
    above = values > 0.5
    expected = 1 if above.all() or not above.any() else int(above.sum()) + 1
    assert found.answer_at == expected
    assert found.residual == pytest.approx(1)  # |x/2 − x| / |x/2|
    assert found.residual_at == 1
    never = settle(dynamics, 0.5, num_segments, read_answer=above_half)
    assert never.residual_at == num_segments + 1


def test_a_run_that_goes_round_settles_never():
    dynamics = Dynamics.from_map(turn, jnp.array([1.0, 0.5]))
    found = settle(dynamics, 1e-3, 7, read_answer=signs)
    assert (found.answer_at, found.residual_at) == (7, 8)


def test_a_fixed_point_is_settled_from_the_first_segment_on():
    found = settle(Dynamics.from_map(shear, jnp.zeros(3)), 1e-3, 5, read_answer=signs)
    assert found.answer_at == 1
    assert jnp.isnan(found.residual)  # of 0, which has no relative change
    one = Dynamics.from_map(jnp.sign, jnp.array([1.0, -1.0]))
    assert settle(one, 1e-3, 5, read_answer=signs).residual_at == 1


def test_a_run_that_is_not_finite_has_no_residual_below_the_threshold():
    found = settle(Dynamics.from_map(halve, jnp.array([jnp.nan])), 1e-3, 5, read_answer=signs)
    assert jnp.isnan(found.residual)
    assert found.residual_at == 6


@pytest.fixture(scope="module")
def cell():
    params = unflatten({name: jnp.asarray(leaf) for name, leaf in weights().items()})
    return bind(params, CONFIG, jnp.asarray(puzzles(1).inputs[0]))


def test_of_a_cell_it_is_what_the_whole_rollout_shows(cell):
    directions = random_frame(KEY, cell.initial, 2)
    starts = [on_plane(cell.initial, directions, jnp.array([a, 3.0])) for a in np.arange(6.0)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    found = jax.vmap(lambda start: settle(cell, 0.3, 9, start, first_cell))(batch)
    for row, start in enumerate(starts):
        with jax.default_matmul_precision("highest"):
            whole = rollout(cell, 9, start)
        answers = np.asarray(whole.logits[:, :1].argmax(-1))
        same = (answers == answers[-1]).all(axis=1)
        expected = 1 if same.all() else 9 - same[::-1].argmin() + 1
        assert found.answer_at[row] == expected
        np.testing.assert_array_equal(found.answer[row], answers[-1])
        moved = np.hypot(*whole.drift)
        size = np.linalg.norm(ravel_pytree(whole.state)[0])
        assert found.residual[row] == pytest.approx(moved[-1] / size, rel=1e-3)
    assert len(set(found.answer_at.tolist())) > 1


def test_settling_is_compiled_once():
    traces = []

    def traced(x):
        traces.append(x)
        return x / 2

    dynamics = Dynamics.from_map(traced, jnp.ones(1))
    settle(dynamics, 1e-3, 3, read_answer=signs)
    number = len(traces)
    settle(replace(dynamics, initial=jnp.zeros(1)), 1e-3, 3, read_answer=signs)
    assert len(traces) == number


def dense(dynamics, num_segments):
    """The Jacobian of some segments at the initial state."""
    flat, unravel = ravel_pytree(dynamics.initial)

    def run(flat):
        state = unravel(flat)
        for _ in range(num_segments):
            state = run_segment(dynamics, state)
        return ravel_pytree(state)[0]

    return np.asarray(jax.jacfwd(run)(flat))


def rows(frame):
    return np.asarray(jax.vmap(lambda vector: ravel_pytree(vector)[0])(frame))


@pytest.mark.parametrize("num_segments", [1, 5])
def test_forward_vectors_are_right_singular_vectors(num_segments):
    with jax.enable_x64(True):
        dynamics = Dynamics.from_map(shear, jnp.array([0.3, 0.2, 1.0]))
        found = forward_vectors(dynamics, KEY, 2, num_segments, tolerance=1e-9)
        _, sizes, right = np.linalg.svd(dense(dynamics, num_segments))
        assert found.converged
        np.testing.assert_allclose(found.log_growth, np.log(sizes[:2]), atol=1e-8)
        np.testing.assert_allclose(np.abs(np.sum(rows(found.frame) * right[:2], 1)), 1, atol=1e-8)


def test_they_are_those_of_a_cell():
    with jax.enable_x64(True):
        dynamics = dynamics64()
        found = forward_vectors(dynamics, KEY, 2, 2, tolerance=1e-5)
        _, sizes, right = np.linalg.svd(dense(dynamics, 2))
        assert found.converged
        np.testing.assert_allclose(found.log_growth, np.log(sizes[:2]), atol=1e-4)
        np.testing.assert_allclose(np.linalg.svd(rows(found.frame) @ right[:2].T)[1], 1, atol=1e-8)
        np.testing.assert_allclose(gram(found.frame), np.eye(2), atol=1e-12)


def test_a_span_that_still_turns_is_not_converged():
    with jax.enable_x64(True):
        start = jnp.array([0.3, 0.2, 1.0])
        found = forward_vectors(Dynamics.from_map(shear, start), KEY, 2, 1, max_passes=1)
        assert not found.converged
        assert found.passes == 1
        assert found.residual > 1e-3


def test_bad_requests_are_refused(cell):
    with pytest.raises(ValueError, match=r"threshold must be positive, got 0\.0"):
        settle(cell, 0.0, 3)
    with pytest.raises(ValueError, match="threshold must be positive, got nan"):
        settle(cell, float("nan"), 3)
    with pytest.raises(ValueError, match="num_segments must be at least 1"):
        settle(cell, 1e-3, 0)
    with pytest.raises(ValueError, match="num_segments must be at least 1"):
        forward_vectors(cell, KEY, 2, 0)
    with pytest.raises(ValueError, match=r"num_vectors must lie in 1\.\.1"):
        forward_vectors(Dynamics.from_map(halve, jnp.ones(1)), KEY)
    with pytest.raises(ValueError, match="float32 or float64"):
        forward_vectors(Dynamics.from_map(halve, jnp.ones(2, jnp.bfloat16)), KEY)
