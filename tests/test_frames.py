"""Frames and their QR: brute force against dense NumPy, and the ill-conditioned end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from rrjax.frames import (
    dimension,
    gram,
    norms,
    orthonormalize,
    orthonormalize_dense,
    orthonormalize_once,
    random_frame,
)

pytestmark = pytest.mark.optimized


def dense(frame):
    """The frame as a (n, k) matrix of columns."""
    return np.concatenate(
        [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(frame)], axis=1
    ).T


def gaussian(seed, k, shapes=((3, 4), (5,))):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    draws = [jax.random.normal(key, (k, *s)) for key, s in zip(keys, shapes, strict=True)]
    return dict(enumerate(draws))


COMPILED = jax.jit(orthonormalize)


# few sizes, since each is compiled
@given(seed=st.integers(0, 2**31), k=st.sampled_from([1, 2, 8, 17]))
def test_equals_dense_qr_with_positive_diagonal(seed, k):
    frame = gaussian(seed, k)
    q, r = COMPILED(frame)
    q_dense, r_dense = np.linalg.qr(dense(frame).astype(np.float64))
    signs = np.sign(np.diag(r_dense))
    condition = np.linalg.cond(dense(frame))
    np.testing.assert_allclose(r, signs[:, None] * r_dense, atol=1e-5 * condition)
    np.testing.assert_allclose(dense(q), q_dense * signs, atol=1e-5 * condition)
    np.testing.assert_allclose(gram(q), np.eye(k), atol=3e-6)


def test_one_pass_serves_a_frame_that_is_nearly_orthonormal_and_others_are_mended():
    k, rng = 6, np.random.default_rng(0)
    near = random_frame(jax.random.key(0), jnp.zeros(40), k) * jnp.linspace(1, 0.3, k)[:, None]
    flat = near.at[5].set(near[4] + 1e-5 * jnp.asarray(rng.normal(size=40), jnp.float32))
    frames = jnp.stack([near, flat])
    q, r = jax.vmap(orthonormalize_once)(frames)
    expected, exact_r = jax.vmap(orthonormalize)(frames)
    np.testing.assert_array_equal(q[1], expected[1])
    np.testing.assert_array_equal(r[1], exact_r[1])
    np.testing.assert_allclose(q[0], expected[0], atol=3e-6)
    np.testing.assert_allclose(r[0], exact_r[0], atol=3e-6)
    assert not np.array_equal(q[0], expected[0])
    np.testing.assert_allclose(orthonormalize_once(near)[0], q[0], atol=1e-6)


@pytest.mark.parametrize("smallest", [1e-2, 1e-4, 1e-6, 1e-12])
def test_householder_takes_over_where_cholesky_cannot(smallest):
    rng = np.random.default_rng(0)
    u, v = np.linalg.qr(rng.normal(size=(40, 6)))[0], np.linalg.qr(rng.normal(size=(6, 6)))[0]
    matrix = (u * np.geomspace(1, smallest, 6)) @ v.T
    frame = jnp.asarray(matrix.T, jnp.float32)
    q, r = orthonormalize(frame)
    np.testing.assert_allclose(gram(q), np.eye(6), atol=3e-6)
    assert (np.diag(r) >= 0).all()
    np.testing.assert_allclose(dense(q) @ r, matrix, atol=2e-6)


def test_one_bad_frame_of_a_batch_leaves_the_others_alone():
    good = jax.random.normal(jax.random.key(0), (3, 4, 30))
    bad = good.at[1, 2].set(good[1, 1])  # a repeated vector: no Cholesky factor
    q_good, r_good = jax.jit(jax.vmap(orthonormalize))(good)
    q_bad, r_bad = jax.jit(jax.vmap(orthonormalize))(bad)
    for index in (0, 2):
        np.testing.assert_array_equal(q_bad[index], q_good[index])
        np.testing.assert_array_equal(r_bad[index], r_good[index])
    np.testing.assert_allclose(gram(q_bad[1]), np.eye(4), atol=3e-6)
    assert abs(r_bad[1, 2, 2]) < 1e-5


def test_nested_vmap_equals_a_loop():
    frames = jax.random.normal(jax.random.key(1), (2, 3, 4, 20))
    q, r = jax.vmap(jax.vmap(orthonormalize))(frames)
    for i, j in np.ndindex(2, 3):
        q_one, r_one = orthonormalize(frames[i, j])
        np.testing.assert_allclose(q[i, j], q_one, atol=1e-6)
        np.testing.assert_allclose(r[i, j], r_one, atol=1e-5)


def test_a_vanishing_or_broken_frame_is_visible_in_r():
    frame = jnp.eye(3, 10)
    assert orthonormalize(frame.at[1].set(0.0))[1][1, 1] == 0
    assert not np.isfinite(orthonormalize(frame.at[1, 0].set(jnp.nan))[1]).all()


def test_random_frames_are_orthonormal_and_differ_by_key():
    state = {"a": jnp.zeros((4, 3)), "b": jnp.zeros(())}
    assert dimension(state) == 13
    first, second = (random_frame(jax.random.key(seed), state, 13) for seed in (0, 1))
    np.testing.assert_allclose(gram(first), np.eye(13), atol=3e-6)
    assert not np.allclose(first["a"], second["a"])


def test_norms_by_leaf():
    found = norms({"a": jnp.full((2, 2), 3.0), "b": jnp.zeros(5)})
    assert (float(found["a"]), float(found["b"])) == (6.0, 0.0)


@pytest.mark.parametrize("qr", [orthonormalize, orthonormalize_dense])
def test_the_differential_agrees_with_differences_in_both_modes(qr):
    with jax.enable_x64(True):
        frame = jax.tree.map(lambda leaf: leaf.astype(float), gaussian(0, 5))
        check_grads(jax.jit(qr), (frame,), order=2, modes=("fwd", "rev"), atol=1e-6, rtol=1e-6)


def test_the_differential_under_vmap_equals_a_loop():
    frames = jax.random.normal(jax.random.key(0), (3, 4, 20))
    gradient = jax.jit(jax.grad(lambda frame: jnp.sum(jnp.sin(orthonormalize(frame)[0]))))
    batched = jax.jit(jax.grad(lambda f: jnp.sum(jnp.sin(jax.vmap(orthonormalize)(f)[0]))))(frames)
    loop = np.stack([gradient(frame) for frame in frames])
    np.testing.assert_allclose(jax.vmap(gradient)(frames), loop, atol=1e-5)
    np.testing.assert_allclose(batched, loop, atol=1e-5)


@pytest.mark.parametrize("qr", [orthonormalize, orthonormalize_dense])
@pytest.mark.parametrize("vanishing", [0, 2])
def test_a_vanishing_direction_gives_no_nan_and_moves_no_other(qr, vanishing):
    with jax.enable_x64(True):
        frame = jax.random.normal(jax.random.key(1), (4, 9)).at[vanishing].set(0.0)
        others = np.delete(np.arange(4), vanishing)

        def growth(frame, kept):
            return jnp.log(jnp.diagonal(qr(frame)[1])[kept])

        jacobian = jax.jit(jax.jacrev(growth))
        found = jacobian(frame, others)
        assert np.isfinite(found).all()
        # Rᵢᵢ of the directions before it, and, without it, of those after: as if it were not there
        alone = jacobian(frame[others], np.arange(3))
        np.testing.assert_array_equal(found[:, vanishing], 0)
        np.testing.assert_allclose(found[:vanishing, others], alone[:vanishing], atol=1e-12)


def test_the_library_qr_is_the_same():
    frame = gaussian(3, 8)
    for ours, library in zip(
        jax.tree.leaves(orthonormalize(frame)),
        jax.tree.leaves(orthonormalize_dense(frame)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, library, atol=5e-6)
