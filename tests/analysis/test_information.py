"""Bounds of information and scores of channels: closed forms."""

import numpy as np
import pytest

from rrjax.analysis.information import held_out_information
from rrjax.analysis.neurons import channel_scores, random_rotation, turns


def test_the_bound_of_two_normal_classes_is_their_information():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (8000, 1))
    z = 2.0 * y - 1 + rng.normal(size=(8000, 1))
    bound = held_out_information(z, np.arange(8000) // 40, y, 200).per_cell(np.ones(200, bool))
    # ln 2 − ⟨ln(1 + e^(−2x))⟩ with x normal around 1: the information itself, by quadrature
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    exact = np.log(2) - weights @ np.log1p(np.exp(-2 * (x + 1))) / np.sqrt(2 * np.pi)
    assert bound.low < exact < bound.high
    assert bound.high - bound.low < 0.06


def test_states_that_know_nothing_have_no_information():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, (3000, 1))
    bound = held_out_information(rng.normal(size=(3000, 8)), np.arange(3000) // 10, y, 300)
    assert -0.05 < bound.per_cell(np.ones(300, bool)).value < 0.01
    assert bound.ceiling(np.ones(300, bool)).value == pytest.approx(np.log(4), abs=0.01)


def test_too_few_cells_and_one_class_are_refused():
    with pytest.raises(ValueError, match="two categories or more"):
        held_out_information(np.ones((90, 2)), np.arange(90) // 9, np.zeros((90, 1), int), 10)
    with pytest.raises(ValueError, match="at least 8, with 16 cells"):
        held_out_information(np.ones((12, 2)), np.arange(12), np.arange(12)[:, None] % 2, 12)


def test_shares_are_unbiased_where_nothing_is_explained():
    rng = np.random.default_rng(2)
    blank = rng.random((30, 16)) < 0.6
    cells, labels = rng.normal(size=(30, 16, 400)), rng.integers(2, 8, (30, 16))
    scores = channel_scores(cells, blank, labels)
    for share in (scores.position_share, scores.answer_share):
        assert abs(share.mean()) < 4 * share.std() / 20
    changed = np.where(blank[..., None], cells, 1e3)
    for own, other in zip(scores, channel_scores(changed, blank, labels), strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_mean_over_puzzles_sees_the_place_alone():
    rng = np.random.default_rng(3)
    place, own = rng.normal(size=(16, 5)), rng.normal(size=(200, 16, 5))
    blank = np.ones((200, 16), bool)
    averaged, whole = turns(place + own, place - own, blank)
    assert (averaged > 0.9).all()
    assert (np.abs(whole) < 0.4).all()
    q = random_rotation(6, 1)
    np.testing.assert_allclose(q @ q.T, np.eye(6), atol=1e-12)
