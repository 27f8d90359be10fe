"""Covariant Lyapunov vectors: eigenvectors, covariance, brute force, and what must not matter."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import rrjax
from rrjax.contract import Dynamics, Repeat, Update, run_segment
from rrjax.dynamics.covariant import CovariantVectors, covariant_vectors
from tests.tools import tiny

KEY = jax.random.key(0)
SKEW = np.array([[1.0, 0.8, -0.3], [0.1, 1.0, 0.9], [0.4, -0.2, 1.0]])
AXES = np.linalg.qr(SKEW)[0]
VALUES = np.array([1.6, -0.8, 0.3])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def read(context, z):
    return z


def henon(context, z, drive):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


HENON_SCHEDULE = (Update("henon", henon),)
CONSTANT = (Update("linear", lambda context, z, drive: context @ z),)
DRIVEN = (Update("linear", lambda context, z, drive: drive @ z),)
INVARIANCE = {"num_segments": 40, "forward_transient": 9, "backward_transient": 5}


def henon_map():
    return Dynamics(jnp.array([0.1, 0.1]), HENON_SCHEDULE, read)


def linear_map(matrix):
    return Dynamics(jnp.zeros(3), CONSTANT, read, context=jnp.asarray(matrix))


def linear_vectors(matrix, frame=None, initial=None):
    """Columns after every segment of the window, and the whole result; one program for all."""
    if frame is None:
        frame = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    result = covariant_vectors(
        linear_map(matrix),
        num_segments=90,
        frame=jnp.asarray(frame),
        initial=initial,
        forward_transient=40,
        backward_transient=40,
    )
    return np.asarray(result.vectors).swapaxes(1, 2), result


def off_line(a, b):
    """Sine of the angle between vectors along the last axis."""
    a, b = (np.asarray(x) / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return np.linalg.norm(a - np.sum(a * b, -1, keepdims=True) * b, axis=-1)


@pytest.mark.parametrize("basis", [np.eye(3), AXES, SKEW], ids=["diagonal", "symmetric", "skew"])
def test_vectors_of_a_constant_map_are_its_eigenvectors(basis):
    vectors, result = linear_vectors(basis @ np.diag(VALUES) @ np.linalg.inv(basis))
    assert vectors.shape == (10, 3, 3)
    np.testing.assert_allclose(
        off_line(vectors.swapaxes(1, 2), np.tile(basis.T, (10, 1, 1))), 0, atol=1e-10
    )
    np.testing.assert_allclose(result.log_growth, np.log(np.abs([VALUES] * 10)), atol=1e-10)
    np.testing.assert_allclose(result.exponents, np.log(np.abs(VALUES)), atol=1e-10)
    unit = basis / np.linalg.norm(basis, axis=0)
    expected = np.arccos(np.minimum(1, np.abs(unit.T @ unit)))
    np.testing.assert_allclose(result.angles, np.tile(expected, (10, 1, 1)), atol=1e-7)
    assert float(result.backward_error.max()) < 1e-10
    assert bool(result.finite)
    assert result.resolved.all()


def test_equal_exponents_leave_only_the_subspace_defined():
    turn = np.array([[np.cos(0.7), -np.sin(0.7), 0], [np.sin(0.7), np.cos(0.7), 0], [0, 0, 0.4]])
    vectors, result = linear_vectors(SKEW @ turn @ np.linalg.inv(SKEW))
    assert bool(result.finite)
    plane = np.linalg.inv(SKEW) @ vectors  # in the basis where the first two axes turn
    np.testing.assert_allclose(plane[:, 2, :2], 0, atol=1e-10)
    np.testing.assert_allclose(plane[:, :2, 2], 0, atol=1e-10)
    # the pair is not a property of the system, and says so; what is single has converged
    assert float(result.backward_error[:, 1].min()) > 0.1
    assert float(result.backward_error[:, [0, 2]].max()) < 1e-10


def test_an_annihilated_direction_is_the_kernel():
    matrix = np.array([[2.0, 1.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]])
    vectors, result = linear_vectors(matrix, np.eye(3))
    assert bool(result.finite)
    np.testing.assert_allclose(result.exponents[:2], np.log([2.0, 0.5]), atol=1e-12)
    assert result.exponents[2] == -np.inf
    np.testing.assert_allclose(matrix @ vectors[..., 2].T, 0, atol=1e-12)


def run_henon(key):
    return covariant_vectors(
        henon_map(), 2, 20_100, key=key, forward_transient=50, backward_transient=50
    )


@pytest.fixture(scope="module")
def henon_run():
    with jax.enable_x64(True):
        return run_henon(KEY)


def henon_jacobians(states):
    """By hand: [[-2.8 x, 1], [0.3, 0]]."""
    jacobians = np.zeros((len(states), 2, 2))
    jacobians[:, 0, 0], jacobians[:, 0, 1], jacobians[:, 1, 0] = -2.8 * states[:, 0], 1, 0.3
    return jacobians


def test_henon_vectors_are_covariant_and_their_growth_is_the_spectrum(henon_run):
    vectors, jacobians = np.asarray(henon_run.vectors), henon_jacobians(henon_run.states)
    moved = np.einsum("tij,tvj->tvi", jacobians, vectors)[:-1]
    growth = np.exp(henon_run.log_growth[1:])[..., None]
    np.testing.assert_allclose(moved, growth * vectors[1:], atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(henon_run.exponents, [0.41922, -1.62319], atol=0.01)
    assert bool(henon_run.finite)


def test_henon_directions_are_those_of_the_map_and_its_inverse(henon_run):
    part = slice(1000, 1100)
    vectors, states = (
        np.asarray(henon_run.vectors[part]),
        np.asarray(henon_run.states[part]),
    )
    unstable = stable = np.array([0.6, -0.8])
    for jacobian in henon_jacobians(states)[:50]:
        unstable = jacobian @ unstable / np.linalg.norm(jacobian @ unstable)
    for jacobian in henon_jacobians(states)[:49:-1]:
        stable = np.linalg.solve(jacobian, stable)
        stable /= np.linalg.norm(stable)
    assert off_line(unstable, vectors[50, 0]) < 1e-8
    assert off_line(stable, vectors[50, 1]) < 1e-8


def test_henon_angles_are_those_between_the_vectors(henon_run):
    angles = np.asarray(henon_run.angles)[:, 0, 1]
    direct = off_line(henon_run.vectors[:, 0], henon_run.vectors[:, 1])
    np.testing.assert_allclose(np.sin(angles), direct, atol=1e-12)
    np.testing.assert_allclose(henon_run.subspace_angles(1), angles, atol=1e-12)
    # tangencies come arbitrarily close on this attractor, but are never hit
    assert 0 < angles.min() < 0.02
    assert np.median(angles) > 0.3


def test_vectors_do_not_depend_on_the_initial_frame(henon_run):
    other = run_henon(jax.random.key(1))
    np.testing.assert_array_equal(other.states, henon_run.states)
    np.testing.assert_allclose(off_line(other.vectors, henon_run.vectors), 0, atol=1e-8)
    assert (np.sum(other.vectors * henon_run.vectors, -1) < 0).any()  # only lines are defined


@pytest.mark.parametrize(
    "every", [4, *(pytest.param(every, marks=pytest.mark.slow) for every in (1, 1000))]
)
def test_checkpoint_spacing_does_not_change_the_vectors(every):
    default = covariant_vectors(henon_map(), 2, key=KEY, **INVARIANCE)
    spaced = covariant_vectors(henon_map(), 2, key=KEY, segments_per_checkpoint=every, **INVARIANCE)
    # two programs may round differently, which 40 steps of chaos magnify 10⁷ times
    for a, b in zip(jax.tree.leaves(default), jax.tree.leaves(spaced), strict=True):
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), atol=1e-7)
    assert spaced.vectors.shape == (26, 2, 2)


def test_a_quarter_of_the_run_is_the_default_of_each_transient():
    default = covariant_vectors(henon_map(), 2, 12, key=KEY)
    stated = covariant_vectors(
        henon_map(), 2, 12, key=KEY, forward_transient=3, backward_transient=3
    )
    for one, other in zip(*map(jax.tree.leaves, (default, stated)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_periodic_drive_has_the_eigenvectors_of_its_period():
    rng = np.random.default_rng(1)
    even, odd = (
        SKEW @ np.diag([2.0, 0.7, 0.2]) @ np.linalg.inv(SKEW) + 0.1 * rng.normal(size=(3, 3))
        for _ in range(2)
    )
    drive = jnp.asarray(np.stack([even, odd] * 40))
    dynamics = Dynamics(jnp.zeros(3), DRIVEN, read, drive=drive)
    result = covariant_vectors(
        dynamics, 3, 80, key=KEY, forward_transient=30, backward_transient=40
    )
    assert np.abs(even @ odd - odd @ even).max() > 0.05
    for first, product in ((0, even @ odd), (1, odd @ even)):
        values, vectors = np.linalg.eig(product)
        order = np.argsort(-np.abs(values))
        found = np.asarray(result.vectors[first::2])
        np.testing.assert_allclose(off_line(found, vectors.real[:, order].T), 0, atol=1e-8)
        period = np.asarray(result.log_growth).reshape(5, 2, 3).sum(1)
        np.testing.assert_allclose(period, [np.log(np.abs(values[order]))] * 5, atol=1e-8)
    # D = R diag(C before) / diag(C after): growth and spectrum differ by what the ends hold
    spectrum = rrjax.spectrum(dynamics, 3, 9, key=KEY, frame_transient=31)
    ends = np.log(np.diagonal(result.coefficients[0]) / np.diagonal(result.coefficients[-1]))
    total = np.asarray(result.log_growth[1:]).sum(0)
    np.testing.assert_allclose(total, spectrum.log_growth.sum(0) + ends, atol=1e-10)
    with pytest.raises(ValueError, match="the drive has 80 segments, but 81 were asked for"):
        covariant_vectors(dynamics, 3, 81, key=KEY, forward_transient=0, backward_transient=0)


def test_vectors_of_a_recursive_reasoner_are_covariant():
    dynamics = tiny.dynamics64()
    assert any(isinstance(item, Repeat) for item in dynamics.schedule)
    result = covariant_vectors(
        dynamics, 4, 8, key=KEY, forward_transient=2, backward_transient=2,
        segments_per_checkpoint=3,
    )  # fmt: skip
    assert result.log_growth.shape == (4 * tiny.UPDATES, 4)
    growth = result.log_growth.reshape(4, tiny.UPDATES, 4).sum(1)
    for now in range(3):
        state, before, following, target = (
            jax.tree.map(lambda leaf, at=at: leaf[at], tree)
            for tree, at in (
                (result.states, now),
                (result.vectors, now),
                (result.states, now + 1),
                (result.vectors, now + 1),
            )
        )
        after, jacobian = jax.linearize(lambda z: run_segment(dynamics, z), state)
        stretch = np.exp(growth[now + 1])[:, None, None]
        for found, expected in zip(after, following, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-10)
        for found, expected in zip(jax.vmap(jacobian)(before), target, strict=True):
            np.testing.assert_allclose(found, stretch * expected, atol=1e-10)
    assert bool(result.finite)


def test_memory_is_far_below_that_of_stored_frames():
    size, segments, k = 2048, 1024, 4
    dynamics = Dynamics.from_map(lambda z: jnp.tanh(1.3 * jnp.roll(z, 1)), jnp.ones(size))
    # a window of one segment: frames and R factors of the whole backward transient are needed
    lengths = {"forward_transient": segments - 1, "backward_transient": segments}
    program = jax.jit(lambda key: covariant_vectors(dynamics, k, 2 * segments, key=key, **lengths))
    used = program.lower(KEY).compile().memory_analysis()
    frames = segments * k * size * 8  # bytes
    assert used.temp_size_in_bytes + used.output_size_in_bytes < 0.1 * frames


def cubic(start):
    return Dynamics.from_map(lambda z: z * z * z + 0.5 * z, start)


def test_overflow_is_flagged_and_harms_no_other_run():
    def measure(start):
        return covariant_vectors(cubic(start), 2, 8, key=KEY)

    starts = jnp.array([[10.0, 0.2], [0.1, 0.3]])
    result = jax.vmap(measure)(starts)
    judge = jax.vmap(lambda start: rrjax.spectrum(cubic(start), 2, 8, key=KEY).failed_at)(starts)
    assert result.failed_at.tolist() == judge.tolist()
    assert result.finite.tolist() == [False, True]
    single = measure(starts[1])
    np.testing.assert_allclose(result.log_growth[1], single.log_growth, rtol=1e-10)
    np.testing.assert_allclose(result.angles[1], single.angles, atol=1e-10)


def test_a_state_that_overflows_is_flagged_though_its_tangents_do_not():
    matrix = 1e10 * np.diag(VALUES)
    assert bool(linear_vectors(matrix)[1].finite)
    assert not bool(linear_vectors(matrix, initial=np.ones(3))[1].finite)


def handmade(coefficients):
    other = jnp.zeros(())
    rest = [other] * 5
    return CovariantVectors(other, other, jnp.asarray(coefficients)[None], *rest)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 0.3, np.pi / 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_small_and_obtuse_angles_are_exact(angle, sign):
    result = handmade([[1.0, sign * np.cos(angle)], [0.0, np.sin(angle)]])
    expected = np.array([[0, angle], [angle, 0]])
    np.testing.assert_allclose(result.angles[0], expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(result.subspace_angles(1)[0], angle, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_subspace_angles_against_scipy(dimension):
    matrix = np.triu(np.random.default_rng(2).normal(size=(5, 5)))
    coefficients = matrix / np.linalg.norm(matrix, axis=0)
    expected = scipy.linalg.subspace_angles(
        coefficients[:, :dimension], coefficients[:, dimension:]
    )
    found = handmade(coefficients).subspace_angles(dimension)
    np.testing.assert_allclose(found, [expected.min()], atol=1e-12)


@pytest.mark.parametrize("dimension", [0, 2])
def test_a_subspace_must_leave_something_over(dimension):
    with pytest.raises(ValueError, match=r"dimension must lie in 1\.\.1"):
        handmade(np.eye(2)).subspace_angles(dimension)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_vectors": 3}, r"num_vectors must lie in 1\.\.2, the dimension of the state; got 3"),
        ({"num_vectors": 0}, r"num_vectors must lie in 1\.\.2"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"forward_transient": -1}, "forward_transient must be at least 0, got -1"),
        ({"backward_transient": -2}, "backward_transient must be at least 0, got -2"),
        ({"forward_transient": 6}, "= 10 must leave at least one segment of num_segments = 10"),
        ({"backward_transient": 60}, "= 65 must leave at least one segment of num_segments = 10"),
        ({"segments_per_checkpoint": 0}, "segments_per_checkpoint must be at least 1, got 0"),
        ({"key": None}, "exactly one of key and frame"),
        ({"frame": np.eye(2)}, "exactly one of key and frame"),
        ({"key": None, "frame": np.ones((2, 2))}, "must be orthonormal"),
        ({"initial": np.zeros(3)}, "initial must have the shapes"),
    ],
)
def test_bad_requests_are_refused_before_tracing(arguments, message):
    settings = {"num_vectors": 2, "num_segments": 10, "key": KEY}
    settings |= {"forward_transient": 5, "backward_transient": 4} | arguments
    with pytest.raises(ValueError, match=message):
        covariant_vectors(henon_map(), **settings)


@pytest.mark.parametrize("start", [{"key": KEY}, {"frame": np.eye(2)}], ids=["key", "frame"])
def test_float32_stays_float32_where_float64_is_enabled(start):
    dynamics = dataclasses.replace(henon_map(), initial=jnp.zeros(2, jnp.float32))
    lengths = {"forward_transient": 2, "backward_transient": 2}
    run = partial(covariant_vectors, dynamics, 2, 6, **start, **lengths)
    leaves = jax.eval_shape(lambda: jax.tree.leaves(run()))
    assert {leaf.dtype.name for leaf in leaves} == {"float32", "bool", "int32"}


def test_half_precision_states_are_refused():
    dynamics = Dynamics.from_map(lambda z: z, jnp.zeros(2, jnp.bfloat16))
    with pytest.raises(ValueError, match="float32 or float64, got bfloat16"):
        covariant_vectors(dynamics, 1, 3, key=KEY, forward_transient=0, backward_transient=0)
