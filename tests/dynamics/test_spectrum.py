"""Spectra of systems with known exponents, against brute force, and what must not matter."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rrjax
from rrjax.contract import Dynamics, Repeat, Update
from rrjax.frames import orthonormalize

DIAGONAL = np.array([1.5, 0.8, 0.3, 0.05])


def henon(z):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def mixing(z):
    """A smooth map on a state of two fields, expanding and contracting."""
    return {
        "a": jnp.sin(1.7 * z["a"] + 0.3 * z["b"].sum()) + 0.1 * z["a"] ** 2,
        "b": 0.9 * jnp.cos(z["b"]) + 0.2 * z["a"][:2],
    }


MIXING_START = {"a": jnp.array([0.3, -0.2, 0.9]), "b": jnp.array([0.1, 0.7])}


def test_diagonal_map_has_the_logarithms_of_its_entries():
    dynamics = Dynamics.from_map(lambda z: DIAGONAL.astype(np.float32) * z, jnp.ones(4))
    result = rrjax.spectrum(dynamics, 4, 400, key=jax.random.key(0))
    # the first steps turn the random frame into the axes: an offset of order 1/T
    np.testing.assert_allclose(result.log_growth[50:].mean(0), np.log(DIAGONAL), atol=1e-5)
    np.testing.assert_allclose(result.exponents, np.log(DIAGONAL), atol=1e-2)


def test_equals_the_qr_of_the_dense_jacobian_product():
    with jax.enable_x64(True):
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), MIXING_START)
        flat, unravel = ravel_pytree(start)
        steps = 6
        frame = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0].T
        result = rrjax.spectrum(
            Dynamics.from_map(mixing, start),
            num_segments=steps,
            frame=jax.vmap(unravel)(jnp.asarray(frame)),
        )
        product, z = frame.T, flat
        for _ in range(steps):
            jacobian = jax.jacfwd(lambda v: ravel_pytree(mixing(unravel(v)))[0])
            product = np.asarray(jacobian(z)) @ product
            z = ravel_pytree(mixing(unravel(z)))[0]
        r = np.linalg.qr(product)[1]
        np.testing.assert_allclose(
            result.log_growth.sum(0), np.log(np.abs(np.diag(r))), rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(ravel_pytree(result.state)[0], z, atol=1e-12)


@pytest.mark.slow
def test_leading_exponents_are_the_first_of_the_full_spectrum():
    dynamics = Dynamics.from_map(mixing, MIXING_START)
    frame, _ = orthonormalize(
        jax.tree.map(
            lambda leaf: jax.random.normal(jax.random.key(3), (5, *leaf.shape)), MIXING_START
        )
    )
    full = rrjax.spectrum(dynamics, num_segments=20, frame=frame)
    for k in (1, 3):
        part = jax.tree.map(lambda leaf, k=k: leaf[:k], frame)
        leading = rrjax.spectrum(dynamics, num_segments=20, frame=part)
        np.testing.assert_allclose(leading.log_growth, full.log_growth[:, :k], atol=1e-4)


def test_how_often_frames_are_orthonormalised_does_not_matter():
    with jax.enable_x64(True):
        start, frame = jnp.zeros(2, jnp.float64), jnp.eye(2, dtype=jnp.float64)
        each = rrjax.spectrum(Dynamics.from_map(henon, start), num_segments=40, frame=frame)
        paired = Dynamics.from_map(lambda z: henon(henon(z)), start)
        other = rrjax.spectrum(paired, num_segments=20, frame=frame)
        np.testing.assert_allclose(other.log_growth.sum(0), each.log_growth.sum(0), atol=1e-7)


def test_vmap_equals_a_loop():
    starts = jax.random.normal(jax.random.key(1), (4, 2)) * 0.1
    keys = jax.random.split(jax.random.key(2), 4)

    def one(start, key):
        return rrjax.spectrum(Dynamics.from_map(henon, start), 2, 8, key=key)

    together = jax.vmap(one)(starts, keys)
    for index in range(4):
        single = one(starts[index], keys[index])
        np.testing.assert_allclose(single.exponents, together.exponents[index], atol=1e-4)


def test_one_compiled_program_serves_every_start():
    @chex.assert_max_traces(n=1)
    def traced(context, z, drive):
        return henon(z)

    schedule, readout = (Update("henon", traced),), lambda context, z: z
    for start in (0.0, 0.1, 0.2):
        dynamics = Dynamics(jnp.full(2, start, jnp.float32), schedule, readout)
        result = rrjax.spectrum(dynamics, 1, 2, key=jax.random.key(0))
        assert bool(result.finite)


def test_clock_is_the_update_whatever_the_nesting():
    def twice(context, z, drive):
        return 2 * z

    def half(context, z, drive):
        return 0.25 * z

    inner = Repeat(3, (Update("twice", twice),))
    schedule = (Repeat(2, (inner, Update("half", half))),)
    dynamics = Dynamics(jnp.ones(3), schedule, lambda context, z: z)
    result = rrjax.spectrum(dynamics, 1, 2, key=jax.random.key(0))
    expected = np.log([2, 2, 2, 0.25] * 4)
    np.testing.assert_allclose(result.log_growth[:, 0], expected, atol=1e-6)
    assert (result.clock, result.unit) == ("update", "nats per update")
    np.testing.assert_allclose(result.drift, np.sqrt(3) * np.array([3.0, 12.0]), rtol=1e-6)


def test_a_drive_is_seen_by_state_and_tangent():
    update = Update("scale", lambda context, z, drive: drive * z)
    drive = jnp.array([2.0, 0.5, 3.0, 7.0])
    dynamics = Dynamics(jnp.ones(2), (update,), lambda context, z: z, drive=drive)
    result = rrjax.spectrum(dynamics, 2, 3, key=jax.random.key(0))
    np.testing.assert_allclose(result.log_growth, np.log(drive[:3])[:, None] * [1, 1], atol=1e-6)
    np.testing.assert_allclose(result.state, [3.0, 3.0], rtol=1e-6)
    with pytest.raises(ValueError, match="the drive has 4 segments, but 5 were asked for"):
        rrjax.spectrum(dynamics, 1, 5, key=jax.random.key(0))


def test_overflow_is_flagged_and_harms_no_other_run():
    def grow(z):
        return z * z * z + 0.5 * z

    def measure(start):
        return rrjax.spectrum(Dynamics.from_map(grow, start), 1, 6, key=jax.random.key(0))

    starts = jnp.array([[10.0], [0.1]])
    result = jax.vmap(measure)(starts)
    assert result.finite.tolist() == [False, True]
    np.testing.assert_allclose(result.log_growth[1], measure(starts[1]).log_growth, rtol=1e-6)


def test_the_update_at_which_a_run_fails_is_named():
    def step(context, z, drive):
        return jnp.where(drive > 0, jnp.inf, 0.5) * z

    def measure(drive):
        update = Update("step", step)
        dynamics = Dynamics(jnp.ones(2), (update, update), lambda context, z: z, drive=drive)
        return rrjax.spectrum(dynamics, 2, 4, key=jax.random.key(0))

    drives = jnp.array([[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]])
    result = jax.vmap(measure)(drives)
    assert result.failed_at.tolist() == [-1, 4, 0]
    assert result.finite.tolist() == [True, False, False]
    np.testing.assert_allclose(result.exponents[0], np.log(0.5), rtol=1e-6)


def test_transients_are_segments_of_the_same_run_left_out():
    with jax.enable_x64(True):
        dynamics = Dynamics.from_map(henon, jnp.zeros(2, jnp.float64))
        key = jax.random.key(0)
        late = rrjax.spectrum(dynamics, 2, 6, key=key, state_transient=3, frame_transient=4)
        settled = rrjax.rollout(dynamics, 3).state
        whole = rrjax.spectrum(dynamics, 2, 10, key=key, initial=settled)
        np.testing.assert_allclose(late.log_growth, whole.log_growth[4:], atol=1e-12)
        np.testing.assert_allclose(late.drift, whole.drift[4:], atol=1e-12)
        np.testing.assert_allclose(late.state, whole.state, atol=1e-12)


def test_transients_take_their_slices_of_the_drive():
    update = Update("scale", lambda context, z, drive: drive * z)
    drive = jnp.array([2.0, 0.5, 3.0, 7.0, 11.0])
    dynamics = Dynamics(jnp.ones(2), (update,), lambda context, z: z, drive=drive)
    key = jax.random.key(0)
    result = rrjax.spectrum(dynamics, 1, 2, key=key, state_transient=1, frame_transient=2)
    np.testing.assert_allclose(result.log_growth[:, 0], np.log([7.0, 11.0]), atol=1e-6)
    np.testing.assert_allclose(result.state, np.full(2, 231.0), rtol=1e-6)
    with pytest.raises(ValueError, match="the drive has 5 segments, but 6 were asked for"):
        rrjax.spectrum(dynamics, 1, 3, key=key, state_transient=1, frame_transient=2)


def test_round_off_is_flagged_and_no_number():
    # a non-normal contraction onto a plane: in exact arithmetic the last growth is ln 0
    basis = np.random.default_rng(0).normal(size=(3, 3))
    matrix = (basis @ np.diag([1.2, 0.7, 0.0]) @ np.linalg.inv(basis)).astype(np.float32)
    dynamics = Dynamics.from_map(lambda z: matrix @ z, jnp.ones(3))
    result = rrjax.spectrum(dynamics, 3, 30, key=jax.random.key(0))
    assert result.resolved.tolist() == [True, True, False]
    assert np.isfinite(result.exponents[:2]).all()
    assert not np.isfinite(
        result.exponents[2]
    )  # −inf where a compiler happens to make a zero of it
    assert bool(result.finite)


def test_directions_above_the_floor_are_resolved_in_both_precisions():
    for enabled, smallest in ((False, 1e-4), (True, 1e-12)):
        with jax.enable_x64(enabled):
            scale = jnp.array([1.0, smallest])
            dynamics = Dynamics.from_map(lambda z, scale=scale: scale * z, jnp.ones_like(scale))
            result = rrjax.spectrum(dynamics, num_segments=3, frame=jnp.eye(2))
            assert result.resolved.all()
            np.testing.assert_allclose(result.exponents[1], np.log(smallest), rtol=1e-5)


def end_of(dynamics, before, after, frame):
    return {"before": before, "state": after, "gram": frame @ frame.T}


def test_what_is_observed_is_stacked_over_the_measured_segments():
    dynamics = Dynamics.from_map(henon, jnp.array([0.1, 0.1]))
    settings = {"key": jax.random.key(0), "state_transient": 1, "frame_transient": 1}
    result = rrjax.spectrum(dynamics, 2, 3, **settings, observe=end_of)
    orbit = rrjax.rollout(dynamics, 5).readout
    np.testing.assert_allclose(result.observed["before"], orbit[1:-1], rtol=1e-4)
    np.testing.assert_allclose(result.observed["state"], orbit[2:], rtol=1e-4)
    np.testing.assert_allclose(result.observed["gram"], np.eye(2)[None].repeat(3, 0), atol=1e-5)
    assert rrjax.spectrum(dynamics, 2, 3, **settings).observed is None


def test_a_map_that_changes_the_dtype_of_its_state_is_named():
    update = Update("halve", lambda context, z, drive: z.astype(jnp.bfloat16))
    dynamics = Dynamics(jnp.ones(2), (update,), lambda context, z: z)
    with pytest.raises(ValueError, match="update 'halve' must return a state with the structure"):
        rrjax.spectrum(dynamics, 1, 1, key=jax.random.key(0))


def test_an_annihilated_direction_is_minus_infinity():
    dynamics = Dynamics.from_map(lambda z: jnp.array([2.0, 0.0]) * z, jnp.ones(2))
    result = rrjax.spectrum(dynamics, num_segments=3, frame=jnp.eye(2))
    np.testing.assert_allclose(result.exponents[0], np.log(2.0), rtol=1e-6)
    assert result.exponents[1] == -np.inf
    assert bool(result.finite)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_exponents": 3, "key": jax.random.key(0)}, "must lie in 1..2, the dimension"),
        ({"num_exponents": 0, "key": jax.random.key(0)}, "must lie in 1..2, the dimension"),
        ({"num_segments": 0, "key": jax.random.key(0)}, "num_segments must be at least 1, got 0"),
        ({"state_transient": -1, "key": jax.random.key(0)}, "state_transient must be at least 0"),
        ({"frame_transient": -2, "key": jax.random.key(0)}, "frame_transient must be at least 0"),
        ({}, "exactly one of key and frame"),
        ({"key": jax.random.key(0), "frame": jnp.eye(2)}, "exactly one of key and frame"),
        ({"frame": jnp.ones((2, 2))}, "must be orthonormal"),
        ({"frame": jnp.eye(3)}, "a state with a leading axis k"),
        ({"initial": jnp.zeros(3), "key": jax.random.key(0)}, r"initial must have the shapes \(2,"),
    ],
)
def test_bad_requests_are_refused_before_tracing(arguments, message):
    dynamics = Dynamics.from_map(henon, jnp.zeros(2))
    settings = {"num_exponents": 2, "num_segments": 2} | arguments
    with pytest.raises(ValueError, match=message):
        rrjax.spectrum(dynamics, **settings)


def test_float32_stays_float32_where_float64_is_enabled():
    plain = rrjax.spectrum(Dynamics.from_map(henon, jnp.zeros(2)), 2, 8, key=jax.random.key(0))
    with jax.enable_x64(True):
        frame, start = jnp.eye(2, dtype=jnp.float32), jnp.zeros(2, jnp.float32)
        result = rrjax.spectrum(Dynamics.from_map(henon, start), num_segments=8, frame=frame)
        kinds = {leaf.dtype.name for leaf in (result.exponents, result.state, result.frame)}
    assert kinds == {"float32"}
    np.testing.assert_array_equal(result.state, plain.state)


def test_half_precision_states_are_refused():
    dynamics = Dynamics.from_map(lambda z: z, jnp.zeros(2, jnp.bfloat16))
    with pytest.raises(ValueError, match="float32 or float64, got bfloat16"):
        rrjax.spectrum(dynamics, 1, 1, key=jax.random.key(0))
