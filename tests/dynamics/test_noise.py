"""Noise before every segment: against a plain loop, and invisible to tangents and clocks."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import (
    CLOCKS,
    Dynamics,
    Repeat,
    Update,
    clock_steps,
    count_updates,
    run_segment,
    updates,
)
from rrjax.dynamics.noise import with_noise, with_update_noise
from rrjax.dynamics.starts import perturb
from tests.tools.tiny import CONFIG, puzzles, weights

KEY, SEGMENTS = jax.random.key(3), 4


class Two(NamedTuple):
    """A state of two fields."""

    z_H: Any
    z_L: Any


def turn(context, z, drive):
    return Two(context @ z.z_H + 0.1 * z.z_L, z.z_L)


def shrink(context, z, drive):
    return z._replace(z_L=0.7 * z.z_L + 0.2 * context @ z.z_H)


def bend(context, z, drive):
    return Two(jnp.sin(1.3 * z.z_H), jnp.cos(z.z_L))


MATRIX = jnp.array([[1.1, 0.3], [-0.2, 0.8]])
TURN, SHRINK, BEND = (Update(f.__name__, f) for f in (turn, shrink, bend))
SCHEDULES = {
    "one": (TURN,),
    "repeat": (Repeat(3, (TURN,)),),
    "nested": (Repeat(3, (Repeat(2, (TURN,)), SHRINK)), TURN),
    "repeat of one": (Repeat(1, (Repeat(1, (SHRINK, TURN)),)), TURN),
}
LINEAR = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def system(schedule) -> Dynamics:
    start = Two(jnp.array([1.0, -0.5]), jnp.array([0.3, 0.2]))
    return Dynamics(start, schedule, lambda context, state: state, MATRIX)


def model(index: int = 0) -> Dynamics:
    tokens = jnp.asarray(puzzles(2).inputs[index])
    params = unflatten({name: jnp.asarray(leaf) for name, leaf in weights().items()})
    return bind(params, CONFIG, tokens)


@LINEAR
@pytest.mark.parametrize("fields", [None, ("z_L",)])
def test_it_is_the_loop_that_adds_noise_before_each_segment(schedule, fields):
    quiet = system((*schedule, BEND))
    noisy = with_noise(quiet, SEGMENTS, key=KEY, sigma=0.3, fields=fields)
    found = rrjax.rollout(noisy, SEGMENTS)
    state = quiet.initial
    for segment in range(SEGMENTS):
        state = perturb(jax.random.fold_in(KEY, segment), state, 0.3, fields)
        state = run_segment(quiet, state)
        for name in Two._fields:
            seen = getattr(found.readout, name)[segment]
            np.testing.assert_allclose(seen, getattr(state, name), rtol=1e-5)


@LINEAR
def test_the_updates_and_clocks_are_those_without_noise(schedule):
    noisy = with_noise(system(schedule), SEGMENTS, key=KEY, sigma=0.3).schedule
    assert [u.name for u in updates(noisy)] == [u.name for u in updates(schedule)]
    for clock in CLOCKS:
        assert clock_steps(noisy, clock) == clock_steps(schedule, clock)


@pytest.mark.parametrize(
    "schedule",
    [SCHEDULES["nested"], pytest.param(SCHEDULES["repeat of one"], marks=pytest.mark.slow)],
)
def test_tangents_of_a_linear_map_do_not_see_the_noise(schedule):
    quiet = system(schedule)
    expected = rrjax.spectrum(quiet, 4, SEGMENTS, key=jax.random.key(1))
    noisy = with_noise(quiet, SEGMENTS, key=KEY, sigma=5.0)
    found = rrjax.spectrum(noisy, 4, SEGMENTS, key=jax.random.key(1))
    # not to the bit: another program; but noise of size 5 would be seen
    np.testing.assert_allclose(found.log_growth, expected.log_growth, atol=2e-6)
    assert not np.allclose(found.state.z_H, expected.state.z_H)


def test_no_noise_is_the_undisturbed_trajectory():
    quiet, still = model(), with_noise(model(), SEGMENTS, key=KEY, sigma=0.0)
    run, found = rrjax.rollout(quiet, SEGMENTS), rrjax.rollout(still, SEGMENTS)
    # other programs, which round differently
    np.testing.assert_allclose(found.logits, run.logits, atol=1e-4)
    noisy = rrjax.rollout(with_noise(quiet, SEGMENTS, key=KEY, sigma=0.1), SEGMENTS)
    assert np.abs(noisy.logits - run.logits).max() > 0.05


def test_no_noise_changes_no_bit_operation_by_operation():
    quiet = system(SCHEDULES["nested"])
    still = with_noise(quiet, 1, key=KEY, sigma=0.0)
    with jax.disable_jit():
        expected = run_segment(quiet, quiet.initial)
        found = run_segment(still, quiet.initial, jax.tree.map(lambda leaf: leaf[0], still.drive))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_spectra_of_many_noisy_runs_are_those_of_each():
    quiet = system((Repeat(2, (BEND,)), TURN, SHRINK))

    @jax.jit
    def one(key):
        noisy = with_noise(quiet, SEGMENTS, key=key, sigma=0.5, fields=("z_L",))
        return rrjax.spectrum(noisy, 2, SEGMENTS, key=jax.random.key(0))

    keys = jax.random.split(KEY, 3)
    many = jax.vmap(one)(keys)
    each = [one(key) for key in keys]
    np.testing.assert_allclose(many.exponents, [run.exponents for run in each], atol=1e-5)
    assert many.finite.all()
    # another key is other noise, the same key the same
    assert len({row.tobytes() for row in np.asarray(many.exponents)}) == 3
    np.testing.assert_array_equal(one(keys[0]).log_growth, each[0].log_growth)


def test_a_longer_run_begins_as_a_shorter_one():
    quiet = system(SCHEDULES["nested"])
    long = rrjax.rollout(with_noise(quiet, 9, key=KEY, sigma=0.5), SEGMENTS)
    short = rrjax.rollout(with_noise(quiet, SEGMENTS, key=KEY, sigma=0.5), SEGMENTS)
    np.testing.assert_array_equal(long.state.z_L, short.state.z_L)
    assert not np.array_equal(short.state.z_L, rrjax.rollout(quiet, SEGMENTS).state.z_L)


def test_one_program_serves_all_puzzles_keys_and_sizes():
    traces = []

    @jax.jit
    def run(dynamics):
        traces.append(1)
        drive = jax.tree.map(lambda leaf: leaf[0], dynamics.drives(1))
        return run_segment(dynamics, dynamics.initial, drive)

    for index, sigma in ((0, 0.1), (1, 0.1), (0, 0.5)):
        run(
            with_noise(
                model(index), SEGMENTS, key=jax.random.key(index), sigma=sigma, fields=["z_L"]
            )
        )
    assert len(traces) == 1


REWRITTEN = {"turn": ["z_H"], "shrink": ["z_L"], "bend": None}


def test_update_noise_is_the_loop_that_adds_it_to_what_each_update_rewrites():
    quiet = system((Repeat(2, (Repeat(2, (TURN,)), SHRINK)), BEND))
    noisy = with_update_noise(quiet, SEGMENTS, key=KEY, sigma=0.3)
    for clock in CLOCKS:
        assert clock_steps(noisy.schedule, clock) == clock_steps(quiet.schedule, clock)
    result, state = rrjax.rollout(noisy, SEGMENTS), quiet.initial
    for segment in range(SEGMENTS):
        key = jax.random.fold_in(KEY, segment)
        for number, update in enumerate(updates(quiet.schedule)):
            state = update(quiet.context, state, None)
            own = jax.random.fold_in(key, number)
            state = perturb(own, state, 0.3, REWRITTEN[update.name])
        for name in Two._fields:
            at_end = getattr(result.readout, name)[segment]
            np.testing.assert_allclose(at_end, getattr(state, name), rtol=1e-4)


def test_what_cannot_work_is_refused():
    quiet = model()
    with pytest.raises(ValueError, match="dynamics must have no drive"):
        with_noise(with_noise(quiet, 2, key=KEY, sigma=0.1), 2, key=KEY, sigma=0.1)
    with pytest.raises(ValueError, match="dynamics must have no drive"):
        with_update_noise(with_noise(quiet, 2, key=KEY, sigma=0.1), 2, key=KEY, sigma=0.1)
    with pytest.raises(ValueError, match="no drive"):
        with_noise(replace(quiet, drive=jnp.zeros(3)), 2, key=KEY, sigma=0.1)
    with pytest.raises(ValueError, match="num_segments must be at least 1, got 0"):
        with_noise(quiet, 0, key=KEY, sigma=0.1)
    with pytest.raises(ValueError, match=r"the state's fields \(z_H, z_L\)"):
        with_noise(quiet, 2, key=KEY, sigma=0.1, fields=["z"])
    with pytest.raises(ValueError, match="the drive has 2 segments, but 3 were asked for"):
        rrjax.rollout(with_noise(quiet, 2, key=KEY, sigma=0.1), 3)
    assert count_updates(with_noise(quiet, 2, key=KEY, sigma=0.1).schedule) == count_updates(
        quiet.schedule
    )
