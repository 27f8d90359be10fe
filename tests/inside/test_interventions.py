"""Interventions: no bit changes where nothing is to change, and what changes is what was asked."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
import rrjax.contract
from rrjax.cells import bind, unflatten
from rrjax.dynamics.noise import with_noise
from rrjax.dynamics.rollout import run_segments
from rrjax.dynamics.starts import perturb
from rrjax.inside import kick, patch, state_at
from tests.tools.tiny import CONFIG, puzzles, weights

KEY = jax.random.key(1)
PARAMS = unflatten(weights())


def on(puzzle: int, start: float = 0.0) -> rrjax.Dynamics:
    dynamics = bind(PARAMS, CONFIG, jnp.asarray(puzzles(2).inputs[puzzle], jnp.int32))
    initial = perturb(KEY, dynamics.initial, start)
    return rrjax.Dynamics(**{**vars(dynamics), "initial": initial})


ALL = np.ones(16, bool)


def test_what_changes_nothing_changes_no_bit():
    plain, other = on(0), on(0, 1.0)
    later, *same = (
        patch(plain, other, 5, ALL),  # after the end of the run
        patch(plain, other, 1, ~ALL),
        patch(plain, plain, 1, ALL),
        patch(plain, state_at(patch(plain, other, 5, ALL), 1), 1, ALL),
        kick(plain, other.initial, 0.0, 1),
    )
    expected = rrjax.rollout(later, 3).state
    for each in same:
        jax.tree.map(np.testing.assert_array_equal, rrjax.rollout(each, 3).state, expected)
    close = partial(np.testing.assert_allclose, atol=1e-3)
    jax.tree.map(close, rrjax.rollout(plain, 3).state, expected)
    ends = [
        rrjax.rollout(patch(one, other, n, ALL), 3).state for one, n in ((plain, 1), (other, 5))
    ]
    jax.tree.map(np.testing.assert_array_equal, *ends)


def test_a_whole_state_makes_the_other_trajectory_and_has_no_tangent():
    plain, other = on(0), on(0, 1.0)
    run = rrjax.spectrum(patch(plain, other, 1, update=4), 1, 3, key=KEY)
    close = partial(np.testing.assert_allclose, atol=1e-3)
    jax.tree.map(close, run.state, rrjax.rollout(other, 3).state)
    assert run.log_growth.shape == (18, 1)
    assert run.log_growth[10] == -np.inf
    assert np.isfinite(run.log_growth[:10]).all()


def test_the_clocks_stay():
    patched = patch(on(0), on(0), 1, update=4)
    for clock in rrjax.contract.CLOCKS:
        steps = rrjax.contract.clock_steps(patched.schedule, clock)
        assert steps == rrjax.contract.clock_steps(on(0).schedule, clock)


def changed(dynamics: rrjax.Dynamics, state: rrjax.contract.State) -> rrjax.contract.State:
    first: Any = next(rrjax.contract.updates(dynamics.schedule)).apply
    return first.change(state, *dynamics.context.arguments)


def test_a_patch_keeps_to_its_fields_and_cells():
    plain, mask = on(0), np.arange(16) == 3
    source = perturb(KEY, plain.initial, 1.0)
    by_number, by_mask = (patch(plain, source, 0, cells, state=["z_L"]) for cells in ([3], mask))
    z_H, z_L = changed(by_number, plain.initial)
    np.testing.assert_array_equal(np.flatnonzero((z_L != plain.initial.z_L).any(1)), [3])
    np.testing.assert_array_equal(z_L[3], source.z_L[3])
    np.testing.assert_array_equal(z_H, plain.initial.z_H)
    for a, b in zip(*map(jax.tree.leaves, (by_number.context, by_mask.context)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_directions_and_kicks_move_along_a_line():
    plain = on(0)
    source, direction = (perturb(key, plain.initial, 1.0) for key in jax.random.split(KEY))
    flat = [
        np.concatenate([leaf.ravel() for leaf in z]) for z in (plain.initial, source, direction)
    ]
    unit = flat[2] / np.linalg.norm(flat[2])
    moved = flat[0] + unit * (unit @ (flat[1] - flat[0]))
    patched = patch(plain, source, 0, direction=direction)
    result = np.concatenate([leaf.ravel() for leaf in changed(patched, plain.initial)])
    np.testing.assert_allclose(result, moved, atol=1e-5)
    after = changed(kick(plain, direction, 2.0, 0), plain.initial)
    result = np.concatenate([leaf.ravel() for leaf in after])
    np.testing.assert_allclose(result, flat[0] + 2 * unit, atol=1e-5)


def test_vmap_runs_many_and_other_dynamics_are_taken():
    plain, source = on(0), perturb(KEY, on(0).initial, 1.0)

    def end(segment, cells):
        return rrjax.rollout(patch(plain, source, segment, cells), 3).state.z_H

    many = jax.vmap(end)(jnp.arange(2), jnp.eye(2, 16, dtype=bool))
    one = rrjax.rollout(patch(plain, source, 1, ALL & (np.arange(16) == 1)), 3).state.z_H
    np.testing.assert_allclose(many[1], one, atol=1e-3)
    noisy = with_noise(plain, 4, key=KEY, sigma=0.1)
    twice = patch(patch(noisy, source, 1, num_segments=3), source, 2, [0])
    end = jax.eval_shape(
        partial(run_segments, num_segments=3), twice, plain.initial, twice.drives(3)
    )
    assert end.z_H.shape == (16, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": {"z": jnp.ones(3)}}, r"source must have the fields and shapes .*z_H \(16, 8\)"),
        ({"source": "nan"}, "source must be finite, but its field z_H is not"),
        ({"cells": [16]}, r"cells must be a list of numbers in 0\.\.15"),
        ({"cells": np.ones(3, bool)}, "cells must be 16 truth values"),
        ({"segment": 1024}, "segment must be at most 1023, got 1024"),
        ({"segment": -1}, "segment must be at least 0"),
        ({"update": 6}, "update must be at most 5"),
        ({"state": ["z"]}, "state must be a list of the state's fields"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    plain = on(0)
    if change.get("source") == "nan":
        change = {"source": plain.initial._replace(z_H=plain.initial.z_H * jnp.nan)}
    with pytest.raises(ValueError, match=words):
        patch(**{"dynamics": plain, "source": plain.initial, "segment": 1, **change})
