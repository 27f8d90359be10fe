"""Principal directions of sketches: planted planes, clouds without a plane, what is undefined."""

import numpy as np
import pytest

from rrjax.analysis.projection import NUM_COMPONENTS, distance_to_last, principal_projection

DIMENSION, NUMBERS = 1000, 64


def sketched(states: np.ndarray) -> np.ndarray:
    signs = np.random.default_rng(7).choice([-1.0, 1.0], (NUMBERS, states.shape[-1]))
    return (states @ signs.T).astype(np.float32)


def test_a_planted_plane_comes_out_with_its_shares():
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(DIMENSION, 2)))[0]
    places = rng.normal(size=(50, 8, 2)) * [6.0, 2.0]
    sketches = sketched(5 + places @ plane.T)
    made = principal_projection(sketches)
    assert made.coordinates.shape == (50, 8, NUM_COMPONENTS)
    assert made.coordinates.dtype == np.float32
    assert made.variance_share[0] == pytest.approx(0.9, abs=0.05)
    assert made.variance_share[:2].sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(made.variance_share[2:], 0, atol=1e-5)
    # the coordinates are the plane's, up to a linear map that changes distances by an eighth
    flat, shown = (part.reshape(400, -1) for part in (places, made.coordinates[..., :2]))
    flat -= flat.mean(axis=0)
    linear, *_ = np.linalg.lstsq(flat, shown, rcond=None)
    np.testing.assert_allclose(flat @ linear, shown, atol=1e-3)
    assert np.abs(np.linalg.svd(linear)[1] - 1).max() < 0.35


def test_a_cloud_without_a_plane_does_not_seem_to_have_one():
    states = np.random.default_rng(1).normal(size=(2000, DIMENSION))
    sketches = sketched(states)
    shares = principal_projection(sketches).variance_share
    own = np.linalg.eigvalsh(np.cov(sketches[:, :NUM_COMPONENTS].T))
    assert own[-2:].sum() / own.sum() > 2 / NUM_COMPONENTS  # what the sketches themselves claim
    assert shares[:2].sum() < 0.01
    # of the states' variance, regression on all 32 explains about 32 / 1000
    assert 0.02 < shares.sum() < 0.08


def test_states_that_are_not_finite_take_no_part():
    states = np.random.default_rng(2).normal(size=(6, 4, 50))
    sketches = sketched(states)
    sketches[1, 2, 40] = np.inf
    sketches[3] = np.nan
    made = principal_projection(sketches)
    finite = np.isfinite(sketches).all(-1)
    assert np.isfinite(made.coordinates[finite]).all()
    assert np.isnan(made.coordinates[~finite]).all()
    alone = principal_projection(sketches[finite])
    np.testing.assert_array_equal(alone.coordinates, made.coordinates[finite])
    np.testing.assert_array_equal(alone.variance_share, made.variance_share)


@pytest.mark.parametrize("value", [1.5, np.nan])
def test_without_a_difference_there_is_no_share(value):
    made = principal_projection(np.full((1, 3, NUMBERS), value))
    assert np.isnan(made.variance_share).all()
    expected = np.full((1, 3, NUM_COMPONENTS), 0 * value)
    np.testing.assert_array_equal(made.coordinates, expected)


def test_the_distance_to_the_end_is_a_root_mean_square():
    states = np.cumsum(np.random.default_rng(3).normal(size=(30, 5, DIMENSION)), axis=1)
    distance = distance_to_last(sketched(states), DIMENSION)
    true = np.sqrt(np.mean((states - states[:, -1:]) ** 2, axis=-1))
    assert (distance[:, -1] == 0).all()
    ratio = distance[:, :-1] / true[:, :-1]
    assert abs(ratio.mean() - 1) < 0.03
    assert ratio.std() < 0.12
