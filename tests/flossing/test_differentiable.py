"""Gradients of exponents: closed form, differences in float64, windows, batches, losses."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax import spectrum
from rrjax.contract import Dynamics, Repeat, Update
from rrjax.flossing.differentiable import EVERYTHING, FRAMES, Exponents, exponents
from rrjax.flossing.losses import (
    answer_kl,
    mean_over,
    one_sided,
    one_sided_leading,
    one_sided_volume,
    two_sided,
)
from rrjax.frames import random_frame
from tests.tools import tiny

SLOW = pytest.mark.slow


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def _linear(context, x, drive):
    return context @ x


def _network(context, x, drive):
    return context["J"] @ jnp.tanh(x) + context["b"] + drive


def read(context, x):
    return x


def linear(matrix) -> Dynamics:
    schedule = (Repeat(3, (Update("linear", _linear),)),)
    return Dynamics(jnp.ones(len(matrix)), schedule, read, jnp.asarray(matrix))


def network(seed=0, n=6, length=12) -> Dynamics:
    rng = np.random.default_rng(seed)
    context = {"J": jnp.asarray(rng.normal(size=(n, n)) / n**0.5), "b": jnp.asarray(rng.random(n))}
    drive = jnp.asarray(rng.normal(size=(length, n)))
    initial = jnp.asarray(rng.normal(size=n))
    return Dynamics(initial, (Update("step", _network),), read, context, drive)


WINDOW = range(3, 12)
"""The segments that most tests count, so that they share one compiled program."""


def frame_of(dynamics, k=4, seed=0):
    return random_frame(jax.random.key(seed), dynamics.initial, k)


def over(dynamics, frame, window, **options) -> Exponents:
    """The exponents of the segments in a range."""
    first, end, stride = window.start, window.stop, window.step
    sizes = {"num_segments": end - first, "frame_transient": first, "stride": stride}
    return exponents(dynamics, frame=frame, **sizes, **options)


def weighted(dynamics, frame, window=WINDOW, **options):
    """A function of all exponents without symmetry."""
    found = over(dynamics, frame, window, **options).values
    return jnp.sum(jnp.sin(found) * jnp.arange(1, len(found) + 1))


def at_point(dynamics, frame, **options):
    """The same as a function of context, initial state and drive, and a point to take it at."""

    def loss(moved):
        context, initial, drive = moved
        changed = replace(dynamics, context=context, initial=initial, drive=drive)
        return weighted(changed, frame, **options)

    return loss, (dynamics.context, dynamics.initial, dynamics.drive)


def difference(loss, tree, direction, step=1e-6):
    moved = [jax.tree.map(lambda x, d, s=s: x + s * d, tree, direction) for s in (step, -step)]
    return (loss(moved[0]) - loss(moved[1])) / (2 * step)


def along(gradient, direction):
    return sum(
        jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True)
    )


def random_like(tree, seed=7):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), tree)


def test_the_values_are_those_of_the_spectrum():
    dynamics = network()
    frame = frame_of(dynamics)
    judge = spectrum(dynamics, frame=frame, num_segments=9, frame_transient=3)
    found = over(dynamics, frame, WINDOW)
    np.testing.assert_allclose(found.values, judge.exponents, atol=1e-13)
    np.testing.assert_allclose(found.state, judge.state, atol=1e-14)
    assert found.resolved.all()
    every_third = over(dynamics, frame, WINDOW[::3])
    np.testing.assert_allclose(every_third.values, judge.log_growth[::3].mean(0), atol=1e-12)


def test_a_key_draws_the_frame():
    dynamics = network()
    drawn = exponents(dynamics, 4, 9, key=jax.random.key(0), frame_transient=3)
    given = over(dynamics, frame_of(dynamics), WINDOW)
    np.testing.assert_allclose(drawn.values, given.values, rtol=1e-12)


def test_a_diagonal_map_in_closed_form():
    # λᵢ = ln |dᵢ|, so its gradient by the matrix is diag(1/dᵢ) for a frame of the axes
    sizes = np.array([1.5, -0.8, 0.3, 0.2])
    gradient = jax.jacrev(lambda matrix: over(linear(matrix), jnp.eye(4), range(2)).values)(
        jnp.diag(sizes)
    )
    np.testing.assert_allclose(
        jnp.diagonal(gradient, axis1=1, axis2=2), np.diag(1 / sizes), atol=1e-12
    )


def test_the_sum_of_all_exponents_in_closed_form():
    # Σλ = ln |det A| from any frame: its gradient is A⁻ᵀ
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4)))
    frame = random_frame(jax.random.key(1), jnp.ones(4), 4)
    gradient = jax.grad(lambda A: over(linear(A), frame, range(2)).values.sum())(matrix)
    np.testing.assert_allclose(gradient, jnp.linalg.inv(matrix).T, rtol=1e-9)


@pytest.mark.parametrize("k", [pytest.param(1, marks=SLOW), 4, pytest.param(6, marks=SLOW)])
def test_a_network_by_differences(k):
    dynamics = network()
    loss, point = at_point(dynamics, frame_of(dynamics, k))
    gradient = jax.grad(loss)(point)
    for seed in range(3):
        direction = random_like(point, seed)
        np.testing.assert_allclose(
            along(gradient, direction), difference(loss, point, direction), rtol=1e-5
        )


@pytest.mark.slow
def test_a_tiny_trm_by_differences():
    dynamics = tiny.dynamics64()
    frame = frame_of(dynamics, 3)

    def loss(context):
        return weighted(replace(dynamics, context=context), frame, range(1, 3))

    gradient = jax.jit(jax.grad(loss))(dynamics.context)
    direction = random_like(dynamics.context)
    numeric = difference(jax.jit(loss), dynamics.context, direction, 1e-7)
    np.testing.assert_allclose(along(gradient, direction), numeric, rtol=1e-4)


@pytest.mark.slow
def test_the_spectrum_itself_can_be_differentiated():
    dynamics = network()
    frame = frame_of(dynamics)
    lengths = {"num_segments": 9, "frame_transient": 3}

    def by_spectrum(context):
        found = spectrum(replace(dynamics, context=context), frame=frame, **lengths)
        return jnp.sum(jnp.sin(found.exponents) * jnp.arange(1, 5))

    found = jax.grad(by_spectrum)(dynamics.context)
    judge = jax.grad(lambda c: weighted(replace(dynamics, context=c), frame))(dynamics.context)
    chex.assert_trees_all_close(found, judge, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"segments_per_qr": 4},
        pytest.param({"policy": EVERYTHING}, marks=SLOW),
    ],
)
def test_neither_cadence_nor_storage_changes_values_or_gradients(options):
    dynamics = network()
    frame = frame_of(dynamics)
    (plain, point), (changed, _) = (at_point(dynamics, frame, **o) for o in ({}, options))
    one, other = (jax.value_and_grad(loss)(point) for loss in (plain, changed))
    chex.assert_trees_all_close(one, other, rtol=1e-7, atol=1e-10)


@pytest.mark.slow
def test_a_batch_equals_a_loop():
    batch = [network(seed) for seed in range(3)]
    frame = frame_of(batch[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batch)
    gradient = jax.grad(lambda dynamics: weighted(dynamics, frame))
    loop = [gradient(dynamics) for dynamics in batch]
    for index, one in enumerate(loop):
        found = jax.tree.map(lambda leaf, i=index: leaf[i], jax.vmap(gradient)(stacked))
        chex.assert_trees_all_close(found, one, rtol=1e-7, atol=1e-10)


@pytest.mark.slow
def test_many_vectors_of_a_small_state():
    # the other QR
    dynamics = network(n=20)
    frame = frame_of(dynamics, 18)
    judge = spectrum(dynamics, frame=frame, num_segments=9, frame_transient=3)
    found = over(dynamics, frame, WINDOW)
    np.testing.assert_allclose(found.values, judge.exponents, atol=1e-10)

    def loss(context):
        return weighted(replace(dynamics, context=context), frame)

    direction = random_like(dynamics.context)
    np.testing.assert_allclose(
        along(jax.grad(loss)(dynamics.context), direction),
        difference(loss, dynamics.context, direction),
        rtol=1e-4,
    )


def test_a_direction_without_growth_is_left_out_and_counted():
    # rank 2 of 4: two directions are annihilated
    matrix = jnp.asarray(np.diag([1.5, 0.5, 0.0, 0.0]))

    def loss(matrix):
        found = over(linear(matrix), jnp.eye(4), range(2))
        return two_sided(found), found

    (value, found), gradient = jax.value_and_grad(loss, has_aux=True)(matrix)
    np.testing.assert_array_equal(found.resolved, [True, True, False, False])
    assert np.isnan(found.values[2:]).all()
    logs = np.log([1.5, 0.5])
    np.testing.assert_allclose(value, np.mean(logs**2))
    np.testing.assert_allclose(jnp.diagonal(gradient)[:2], logs / [1.5, 0.5])
    assert np.isfinite(gradient).all()


def test_a_failure_does_not_look_unresolved():
    found = over(linear(jnp.full((4, 4), jnp.nan)), jnp.eye(4), range(2))
    assert found.resolved.all()
    assert found.failed_at == 0
    assert np.isnan(two_sided(found))


def test_a_state_that_overflows_has_no_exponents():
    """Its tangents may stay finite: a linear map's do not depend on it."""
    with jax.enable_x64(False):
        grown, coarse = (
            over(linear(10 * jnp.eye(2)), jnp.eye(2), range(20), segments_per_qr=every)
            for every in (None, 3)
        )
    assert not np.isfinite(grown.state).any()
    assert np.isnan(grown.values).all()
    # 10^38 fits into float32 and 10^39 does not: update 38, of segment 12, in the group that ends
    # with segment 14
    assert (grown.failed_at, coarse.failed_at) == (38, 44)
    assert not grown.finite


def growth_of(values, resolved=None) -> Exponents:
    values = jnp.asarray(values, float)
    kept = jnp.asarray([True] * len(values) if resolved is None else resolved)
    return Exponents(jnp.where(kept, values, jnp.nan), kept, None, jnp.array(-1))


def test_losses_in_numbers():
    found = growth_of([0.3, -0.1, -0.5])
    np.testing.assert_allclose(two_sided(found, 0.1), (0.04 + 0.04 + 0.36) / 3)
    np.testing.assert_allclose(two_sided(found, jnp.array([0.3, -0.1, 0.0])), 0.25 / 3)
    np.testing.assert_allclose(one_sided(found, -0.2), (0.25 + 0.01) / 3)
    np.testing.assert_allclose(one_sided_leading(found, 0.1), 0.04)
    assert one_sided_leading(found, 0.4) == 0
    np.testing.assert_allclose(one_sided_volume(found, -0.2), 0.3**2)
    assert one_sided_volume(found, 0.0) == 0


def test_losses_leave_out_what_is_not_resolved():
    found = growth_of([0.3, 0.1, 9.0], [True, True, False])
    np.testing.assert_allclose(two_sided(found), 0.05)
    np.testing.assert_allclose(one_sided(found), 0.05)
    np.testing.assert_allclose(one_sided_volume(found), 0.16)
    nothing = growth_of([0.3, 0.1], [False, False])
    for loss in (two_sided, one_sided, one_sided_leading, one_sided_volume):
        assert np.isnan(loss(nothing))


def test_the_mean_over_chosen_puzzles_ignores_the_others_even_broken():
    losses = jnp.array([1.0, jnp.nan, 3.0])
    assert mean_over(losses, jnp.array([True, False, True])) == 2
    assert mean_over(losses, jnp.array([3.0, 0.0, 1.0])) == 1.5
    assert mean_over(losses, jnp.zeros(3)) == 0
    gradient = jax.grad(mean_over)(losses, jnp.array([True, False, True]))
    np.testing.assert_array_equal(gradient, [0.5, 0, 0.5])


def test_the_divergence_of_answers():
    old = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]]))
    new = jnp.log(jnp.array([[0.25, 0.75], [0.9, 0.1]]))
    np.testing.assert_allclose(answer_kl(old, new), 0.5 * np.log(0.5 / np.sqrt(0.25 * 0.75)))
    assert answer_kl(old, old) == 0
    assert not jax.grad(answer_kl)(old, new).any()


def temporary_bytes(num_segments, policy):
    with jax.enable_x64(False):
        dynamics = Dynamics(jnp.zeros((32, 16)), (Update("x", _wide),), read, ())
        frame = random_frame(jax.random.key(0), dynamics.initial, 4)

        def loss(initial):
            return two_sided(
                over(dynamics, frame, range(num_segments), initial=initial, policy=policy)
            )

        lowered = jax.jit(jax.grad(loss)).lower(dynamics.initial)
        analysis = lowered.compile().memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes


def _wide(context, x, drive):
    return jnp.tanh(x @ jnp.ones((16, 128))) @ jnp.ones((128, 16))


@pytest.mark.slow
def test_memory_grows_by_the_frames_alone():
    # the state and the frame of every update
    stored = 4 * (1 + 4) * 32 * 16
    growth, everything = (
        (temporary_bytes(24, policy) - temporary_bytes(8, policy)) / 16
        for policy in (FRAMES, EVERYTHING)
    )
    assert growth < 2 * stored
    assert growth < everything / 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_segments": 0}, "num_segments must be at least 1"),
        ({"frame_transient": -1}, "frame_transient must be at least 0"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"num_segments": 13}, "the drive has 12 segments, but 13"),
        ({"segments_per_qr": 0}, "segments_per_qr must be at least 1"),
        ({"stride": 3, "segments_per_qr": 2}, "must be 1 or None"),
        ({"frame": jnp.zeros((7, 6))}, r"must lie in 1\.\.6"),
        ({"frame": jnp.ones((2, 6))}, "orthonormal"),
        ({"frame": None}, "exactly one of key and frame"),
    ],
)
def test_bad_requests_are_refused(options, message):
    dynamics = network()
    with pytest.raises(ValueError, match=message):
        exponents(dynamics, **({"num_segments": 12, "frame": frame_of(dynamics, 2)} | options))


def test_bad_targets_are_refused():
    for loss in (two_sided, one_sided, one_sided_leading, one_sided_volume):
        with pytest.raises(ValueError, match="target must be finite"):
            loss(growth_of([0.1, 0.2]), float("inf"))
    with pytest.raises(ValueError, match="one for each of the 2 exponents"):
        two_sided(growth_of([0.1, 0.2]), jnp.zeros(3))
