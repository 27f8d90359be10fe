"""The full spectrum from dense Jacobians: against the tangent frames and the sum rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rrjax
from rrjax.contract import Dynamics, Repeat, Update
from rrjax.dynamics.full import MAX_DIMENSION, full_spectrum
from tests.tools import tiny


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def read(context, z):
    return z


def mixing(context, z, drive):
    """A driven smooth map on a state of two fields, expanding and contracting."""
    return {
        "a": jnp.sin(1.7 * z["a"] + drive * z["b"].sum()) + 0.1 * z["a"] ** 2,
        "b": 0.9 * jnp.cos(z["b"]) + 0.2 * z["a"][:2],
    }


def mixing_dynamics():
    """Three updates a segment, in a repeat."""
    start = {"a": jnp.array([0.3, -0.2, 0.9]), "b": jnp.array([0.1, 0.7])}
    halve = Update("halve", lambda context, z, drive: {"a": z["a"], "b": 0.5 * z["b"]})
    schedule = (Repeat(2, (Update("mixing", mixing),)), halve)
    return Dynamics(start, schedule, read, drive=jnp.linspace(0.1, 0.5, 8))


def random_frame(dynamics):
    flat, unravel = ravel_pytree(dynamics.initial)
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(flat.size, flat.size)))[0]
    return jax.vmap(unravel)(jnp.asarray(vectors))


def test_equals_the_tangent_frames_and_obeys_the_sum_rule():
    dynamics = mixing_dynamics()
    frame = random_frame(dynamics)
    full = full_spectrum(dynamics, 8, frame=frame)
    frames = rrjax.spectrum(dynamics, num_segments=8, frame=frame)
    np.testing.assert_allclose(full.log_growth, frames.log_growth, atol=1e-9)
    np.testing.assert_allclose(full.exponents, frames.exponents, atol=1e-10)
    for field in ("a", "b"):
        np.testing.assert_allclose(full.state[field], frames.state[field], atol=1e-12)
        np.testing.assert_allclose(full.frame[field], frames.frame[field], atol=1e-8)
    np.testing.assert_allclose(full.log_growth.sum(1), full.log_volume, atol=1e-10)
    np.testing.assert_allclose(full.log_volume[2::3], 2 * np.log(0.5), atol=1e-12)
    assert float(full.sum_rule_error) < 1e-10
    assert bool(full.finite)
    assert full.resolved.all()


def test_henon_contracts_areas_by_its_determinant():
    def henon(z):
        return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])

    result = full_spectrum(Dynamics.from_map(henon, jnp.array([0.1, 0.1])), 20_000)
    np.testing.assert_allclose(result.exponents, [0.41922, -1.62319], atol=0.01)
    np.testing.assert_allclose(result.log_volume, np.log(0.3), atol=1e-12)
    assert float(result.sum_rule_error) < 1e-12


def test_a_singular_jacobian_has_an_exponent_and_a_volume_of_minus_infinity():
    dynamics = Dynamics.from_map(lambda z: jnp.array([2.0, 0.0]) * z, jnp.ones(2))
    result = full_spectrum(dynamics, 3)
    np.testing.assert_allclose(result.exponents[0], np.log(2.0), rtol=1e-12)
    assert result.exponents[1] == -np.inf
    assert (result.log_volume == -np.inf).all()
    assert bool(result.finite)


def test_a_recursive_reasoner_has_its_leading_exponents_and_obeys_the_sum_rule():
    dynamics = tiny.dynamics64()
    frame = random_frame(dynamics)
    full = full_spectrum(dynamics, 3, frame=frame)
    leading = jax.tree.map(lambda leaf: leaf[:4], frame)
    part = rrjax.spectrum(dynamics, num_segments=3, frame=leading)
    np.testing.assert_allclose(full.log_growth[:, :4], part.log_growth, atol=1e-8)
    # RMS norms all but remove a direction per token: ln R down to −32, known to a few digits
    assert full.resolved.all()
    assert float(full.log_growth.min()) < -25
    assert float(full.sum_rule_error) < 1e-4 * float(-full.log_volume.mean())


@pytest.mark.parametrize(("size", "resolved"), [(2.0**-45, True), (2.0**-47, False)])
def test_below_the_round_off_floor_growth_is_flagged_and_no_exponent(size, resolved):
    # the floor is 32 units in the last place, 2⁻⁵², of the largest growth, 2; the numbers of a
    # diagonal map with powers of 2 are exact on every processor
    sizes = jnp.array([2.0, 0.5, size])
    result = full_spectrum(Dynamics.from_map(lambda z: sizes * z, jnp.zeros(3)), 4)
    assert result.resolved.tolist() == [True, True, resolved]
    np.testing.assert_allclose(result.log_growth, [np.log(sizes)] * 4, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(result.exponents), [False, False, not resolved])
    assert np.isnan(result.sum_rule_error) == (not resolved)


def test_overflow_is_flagged_and_harms_no_other_run():
    def measure(start):
        return full_spectrum(Dynamics.from_map(lambda z: z * z * z + 0.5 * z, start), 8)

    result = jax.vmap(measure)(jnp.array([[10.0, 0.2], [0.1, 0.3]]))
    assert result.finite.tolist() == [False, True]
    assert result.sum_rule_error.shape == (2,)
    assert float(result.sum_rule_error[1]) < 1e-12


def test_an_overflow_that_passes_is_flagged():
    grow = Update("grow", lambda context, z, drive: 10 * z)
    forget = Update("forget", lambda context, z, drive: jnp.where(z > 1e300, 1e307, z))
    dynamics = Dynamics(jnp.full(2, 1e308), (grow, forget), read)
    result = full_spectrum(dynamics, 1)
    assert np.isfinite(result.state).all()
    assert not result.finite


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"num_segments": 9}, "the drive has 8 segments, but 9 were asked for"),
        ({"frame": {"a": np.eye(5, 3)[:3], "b": np.zeros((3, 2))}}, "frame must have 5 vectors"),
        ({"frame": {"a": np.ones((5, 3)), "b": np.ones((5, 2))}}, "must be orthonormal"),
        ({"initial": {"a": np.zeros(3), "b": np.zeros(3)}}, "initial must have the shapes"),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        full_spectrum(mixing_dynamics(), **({"num_segments": 2} | arguments))


def test_float32_stays_float32_where_float64_is_enabled():
    dynamics = Dynamics.from_map(jnp.sin, jnp.zeros(3, jnp.float32))
    leaves = jax.eval_shape(lambda: jax.tree.leaves(full_spectrum(dynamics, 2, frame=np.eye(3))))
    assert {leaf.dtype.name for leaf in leaves} == {"float32", "bool", "int32"}


def test_large_and_half_precision_states_are_refused():
    large = Dynamics.from_map(lambda z: z, jnp.zeros(MAX_DIMENSION + 1))
    with pytest.raises(ValueError, match="dimension 4097, but dense Jacobians are for at most"):
        full_spectrum(large, 1)
    half = Dynamics.from_map(lambda z: z, jnp.zeros(2, jnp.bfloat16))
    with pytest.raises(ValueError, match="float32 or float64, got bfloat16"):
        full_spectrum(half, 1)
