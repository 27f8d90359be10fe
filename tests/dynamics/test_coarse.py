"""A QR after a group of segments: the same exponents, or a word that the vectors came too close."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import Dynamics
from rrjax.contract import Repeat, Update
from rrjax.dynamics.certificate import certify
from tests.tools import tiny

KEY = jax.random.key(0)
TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
FACTORS = np.array([1.25, 0.9, 0.8, 0.7, 0.6, 0.5])


def multiply(context, z, drive):
    return z @ context


def linear(matrix, number: int) -> Dynamics:
    """Returns a linear map with some updates a segment."""
    start = jnp.ones(len(matrix), jnp.float32)
    schedule = (Repeat(number, (Update("multiply", multiply),)),)
    return Dynamics.from_updates(start, schedule, lambda _, z: z, jnp.asarray(matrix, jnp.float32))


def diagonals(*factors) -> Dynamics:
    """Returns a map that multiplies by these diagonals in turn, each an update of the segment."""

    def update(context, z, drive, scale):
        return jnp.asarray(scale, z.dtype) * z

    updates = [lambda c, z, d, scale=scale: update(c, z, d, scale) for scale in factors]
    return Dynamics.from_updates(jnp.ones(len(factors[0])), updates, lambda _, z: z)


@pytest.mark.parametrize("segments_per_qr", [1, 3])
def test_known_exponents_at_any_cadence(segments_per_qr):
    dynamics = linear(TURN * FACTORS @ TURN.T, 5)
    frame = jnp.asarray(TURN.T[:3], jnp.float32)
    result = rrjax.spectrum(dynamics, num_segments=8, frame=frame, segments_per_qr=segments_per_qr)
    np.testing.assert_allclose(result.exponents, np.log(FACTORS[:3]), atol=1e-6)
    rows = [5 * min(segments_per_qr, 8 - at) for at in range(0, 8, segments_per_qr)]
    np.testing.assert_allclose(result.log_growth, np.outer(rows, np.log(FACTORS[:3])), atol=1e-5)
    assert result.resolved.all()
    assert result.clock == ("segment" if segments_per_qr == 1 else "3 segments")


def test_a_network_has_the_same_exponents_frame_and_drift_after_a_transient():
    def observe(dynamics, before, after, frame):
        return jax.tree.leaves(frame)[0][:, 0, 0]

    with jax.enable_x64(True):
        dynamics = tiny.dynamics64()
        settings = {"key": KEY, "state_transient": 1, "frame_transient": 1, "observe": observe}
        fine, coarse = (
            rrjax.spectrum(dynamics, 3, 4, segments_per_qr=per_qr, **settings)
            for per_qr in (None, 1)
        )
        np.testing.assert_allclose(coarse.exponents, fine.exponents, atol=1e-12)
        by_segment = fine.log_growth.reshape(4, tiny.UPDATES, 3).sum(1)
        np.testing.assert_allclose(coarse.log_growth, by_segment, atol=1e-10)
        for name in ("drift", "state", "frame", "observed"):
            ours, theirs = (jax.tree.leaves(getattr(run, name)) for run in (coarse, fine))
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-9)
        assert 0 < coarse.least_sine < 1
        assert fine.least_sine is None


def test_directions_that_are_lost_between_two_qrs_are_told():
    frame = jnp.asarray(np.linalg.qr([[1.0, 1.0], [1.0, -1.0]])[0], jnp.float32)
    contracting = diagonals(*5 * [[1.0, 0.01]])
    returning = diagonals([1.0, 1e-5], [1.0, 1e-5], [1e-5, 1.0], [1e-5, 1.0])
    for dynamics in (contracting, returning):
        fine = rrjax.spectrum(dynamics, num_segments=3, frame=frame)
        assert fine.resolved.all()
        assert np.isfinite(fine.exponents).all()
        coarse = rrjax.spectrum(dynamics, num_segments=3, frame=frame, segments_per_qr=1)
        assert coarse.resolved.tolist() == [True, False]
        assert np.isnan(coarse.exponents[1])
        assert float(coarse.least_sine) < 0.002


def test_no_growth_leaves_the_range_of_float32():
    dynamics = linear(1e-3 * TURN, 30)  # 1e-90 a segment
    result = rrjax.spectrum(dynamics, 3, 2, key=KEY, segments_per_qr=2)
    np.testing.assert_allclose(result.exponents, np.log(1e-3), rtol=1e-6)
    assert result.resolved.all()
    np.testing.assert_allclose(result.least_sine, 1, atol=1e-5)


def test_float16_tangents_keep_their_accuracy_through_a_long_contraction():
    dynamics = linear(0.3 * TURN, 30)  # 2e-16 a segment
    result = rrjax.spectrum(dynamics, 3, 2, key=KEY, precision="f16", segments_per_qr=1)
    np.testing.assert_allclose(result.exponents, np.log(0.3), atol=6e-4)


def test_annihilation_and_failure():
    gone = rrjax.spectrum(
        diagonals([1.0, 0.0], [1.0, 1.0]), num_segments=2, frame=jnp.eye(2), segments_per_qr=1
    )
    assert gone.exponents.tolist() == [0, -np.inf]
    assert gone.resolved.tolist() == [True, False]
    lost = rrjax.spectrum(linear(1e30 * np.eye(2), 1), 1, 5, key=KEY, segments_per_qr=1)
    assert int(lost.failed_at) == 1
    later = rrjax.spectrum(linear(1e30 * np.eye(2), 1), 1, 5, key=KEY, segments_per_qr=4)
    assert int(later.failed_at) == 3
    assert not later.finite


def test_the_certificate_holds_the_cadence_against_a_qr_at_each_update():
    dynamics = linear(TURN * FACTORS @ TURN.T, 4)
    fine, coarse = (
        certify(dynamics, 3, 6, key=KEY, segments_per_qr=per_qr) for per_qr in (None, 2)
    )
    np.testing.assert_allclose(coarse.reference, fine.reference, atol=1e-7)
    same = rrjax.spectrum(dynamics, 3, 6, key=KEY, segments_per_qr=2)
    np.testing.assert_allclose(coarse.exponents, same.exponents, atol=1e-7)
    assert 0 < coarse.error.max() < 1e-6
    lost = certify(dynamics, 3, 6, key=KEY, segments_per_qr=6)  # over 24 updates
    assert np.isnan(lost.error).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="must divide the 6 segments of a certificate; got 4"):
        certify(dynamics, 3, 6, key=KEY, segments_per_qr=4)


def test_no_segments_between_two_qrs_are_refused():
    for function in (rrjax.spectrum, certify):
        with pytest.raises(ValueError, match="segments_per_qr must be at least 1, got 0"):
            function(linear(TURN, 2), 3, 2, key=KEY, segments_per_qr=0)
