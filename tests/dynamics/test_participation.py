"""Participation: where unit vectors lie, what changes nothing, and vectors without a direction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rrjax
from rrjax.contract import Dynamics
from rrjax.dynamics.participation import participation

K = 18
"""Components of a state of three tokens, five numbers and one number."""

shares_of = jax.jit(participation)


class Mixed(NamedTuple):
    """Fields of every rank."""

    tokens: jax.Array
    numbers: jax.Array
    number: jax.Array


def as_frame(vectors):
    """Vectors (k, 18) as a frame."""
    vectors = np.array(vectors, np.float32)
    tokens = vectors[:, :12].reshape(len(vectors), 3, 4)
    return Mixed(tokens, vectors[:, 12:17], vectors[:, 17])


def random_vectors(seed=0):
    return as_frame(np.linalg.qr(np.random.default_rng(seed).normal(size=(K, K)))[0])


def test_unit_vectors_lie_in_their_row_alone():
    shares = shares_of(as_frame(np.eye(K)))
    rows = np.concatenate([np.repeat([0, 1, 2], 4), np.arange(3, 9)])
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), np.eye(9)[rows])


def test_shares_of_a_vector_that_is_known():
    shares = shares_of(as_frame([[3, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, -2, 0, 0, 0, -3]]))
    np.testing.assert_allclose(shares.tokens, np.array([[25, 0, 25]]) / 64, rtol=1e-6)
    np.testing.assert_allclose(shares.numbers, np.array([[1, 4, 0, 0, 0]]) / 64, rtol=1e-6)
    np.testing.assert_allclose(shares.number, [[9 / 64]], rtol=1e-6)


@given(seed=st.integers(0, 2**31), exponent=st.integers(-30, 30))
def test_shares_add_up_to_one_at_every_length(seed, exponent):
    frame = Mixed(*(leaf * np.float32(10.0**exponent) for leaf in random_vectors(seed)))
    shares = Mixed(*map(np.asarray, shares_of(frame)))
    assert Mixed(*map(np.shape, shares)) == Mixed((K, 3), (K, 5), (K, 1))
    np.testing.assert_allclose(np.concatenate(shares, axis=1).sum(1), np.ones(K), rtol=1e-5)
    assert min(leaf.min() for leaf in shares) >= 0


def test_rotations_within_a_row_change_nothing():
    frame = random_vectors()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0].astype(np.float32)
    turned = shares_of(frame._replace(tokens=-frame.tokens @ rotation))
    for before, after in zip(shares_of(frame), turned, strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4)


def test_all_vectors_of_a_complete_frame_fill_every_row():
    tokens, numbers, number = map(np.asarray, shares_of(random_vectors()))
    np.testing.assert_allclose(tokens.sum(0), [4, 4, 4], rtol=1e-5)
    np.testing.assert_allclose(numbers.sum(0), np.ones(5), rtol=1e-5)
    np.testing.assert_allclose(number.sum(0), [1], rtol=1e-5)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_is_nan_and_harms_no_other(bad):
    frame, spoilt = random_vectors(), random_vectors()
    for leaf in spoilt:
        leaf[1] = bad
    for leaf, sound in zip(shares_of(spoilt), shares_of(frame), strict=True):
        assert np.isnan(leaf[1]).all()
        np.testing.assert_array_equal(np.delete(leaf, 1, 0), np.delete(sound, 1, 0))


def test_the_leading_vector_of_a_map_settles_on_its_unstable_row():
    rates = jnp.array([[0.5, 0.4], [1.5, 0.3], [0.9, 0.2]])
    dynamics = Dynamics.from_map(lambda z: rates * z, jnp.ones((3, 2)))
    result = rrjax.spectrum(dynamics, 2, 40, key=jax.random.key(0), observe=_shares)
    assert result.observed.shape == (40, 2, 3)
    np.testing.assert_allclose(result.observed[-1], [[0, 1, 0], [0, 0, 1]], atol=1e-5)


def _shares(dynamics, before, after, frame):
    return participation(frame)
