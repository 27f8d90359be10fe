"""Settled or not: Otsu's cut against another's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.settling import (
    ROUND_OFF,
    log10_drift,
    otsu_threshold,
    settled_counts,
    settling,
)


def logistic(number: int, centre: float, scale: float) -> np.ndarray:
    """The quantiles of a logistic distribution: a group without random numbers."""
    share = (np.arange(number) + 0.5) / number
    return centre + scale * np.log(share / (1 - share))


# by skimage.filters.threshold_otsu of scikit-image 0.26.0
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ((100, -6.0, 0.5), (40, 1.0, 0.3), -3.360521100406619),
        ((30, -6.0, 0.5), (200, 1.0, 0.3), -3.9543092895801526),
        ((50, -2.0, 0.4), (50, 0.0, 0.3), -1.0769263862051413),
        ((500, -6.0, 0.5), (0, 0.0, 1.0), -6.013489755427048),
    ],
)
def test_otsu_is_the_upper_edge_of_scikit_images_bin(low, high, expected):
    values = np.concatenate([logistic(*low), logistic(*high)])
    half_a_bin = np.ptp(values) / 256 / 2
    assert otsu_threshold(values) - half_a_bin == pytest.approx(expected, abs=1e-12)
    assert otsu_threshold(values[::-1]) == otsu_threshold(values)


@given(st.integers(0, 50))
def test_groups_with_a_wide_gap_between_them_are_told_apart_to_the_last_run(seed):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(-6, -5, rng.integers(1, 50)), rng.uniform(1, 2, rng.integers(1, 50))
    assert low.max() <= otsu_threshold(np.concatenate([low, high])) < high.min()


def test_otsu_is_the_best_of_all_cuts():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(-4, 1, 40), rng.normal(1, 2, 25)])
    edges = np.linspace(values.min(), values.max(), 257)
    centres = (edges[1:] + edges[:-1]) / 2
    bins = np.minimum(np.searchsorted(edges, values, side="right") - 1, 255)
    rounded = centres[bins]
    spread = [
        np.sum(rounded <= c) * np.sum(rounded > c) * np.ptp([g.mean() for g in groups]) ** 2
        for c in centres[:-1]
        for groups in [(rounded[rounded <= c], rounded[rounded > c])]
    ]
    assert otsu_threshold(values) == pytest.approx(edges[1 + int(np.argmax(spread))])


def test_equal_values_are_all_settled():
    assert otsu_threshold([-3.0, -3.0, -3.0]) == -3.0
    assert otsu_threshold([2.5]) == 2.5


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [-np.inf, 1.0], [[1.0, 2.0]]])
def test_otsu_refuses_what_it_cannot_cut(values):
    with pytest.raises(ValueError, match="log10_drift must be"):
        otsu_threshold(values)


def test_a_drift_of_zero_lies_below_every_other():
    np.testing.assert_allclose(log10_drift([0.0, 1.0]), [np.log10(ROUND_OFF), 0.0])
    np.testing.assert_allclose(log10_drift([0.0, 1e-12, 10.0]), [-12.0, -12.0, 1.0])
    np.testing.assert_allclose(log10_drift([0.0, 0.0]), np.log10(ROUND_OFF))
    with pytest.raises(ValueError, match="not for 2 of 3 runs"):
        log10_drift([1.0, -1.0, np.nan])


def test_runs_settled_to_the_bit_count_as_settled():
    drift = np.array([0.0] * 6 + [3.0, 4.0, 5.0, 6.0])
    solved = np.array([True] * 5 + [False] + [True] + [False] * 3)
    counts = settling(drift, solved).otsu
    assert (counts.settled_solved, counts.settled_failed) == (5, 1)
    assert (counts.unsettled_solved, counts.unsettled_failed) == (1, 3)
    assert counts.solved_if_settled == fraction_interval(5, 6)
    assert counts.solved_if_unsettled == fraction_interval(1, 4)


def test_the_sweep_and_the_statement_without_a_threshold():
    rng = np.random.default_rng(1)
    drift, solved = 10 ** rng.normal(0, 2, 200), rng.random(200) < 0.6
    found = settling(drift, solved)
    pairs = drift[solved][:, None] < drift[~solved]
    assert found.drift_auc.value == pytest.approx(pairs.mean())
    for q, counts in zip(found.percentiles, found.sweep, strict=True):
        assert counts == settled_counts(np.log10(drift), solved, counts.threshold)
        assert abs(counts.settled_solved + counts.settled_failed - 2 * q) <= 1
    for q, share in found.failed_below.items():
        limit = np.sort(drift[solved])[int(np.ceil(q / 100 * solved.sum())) - 1]
        assert share.value == pytest.approx(np.mean(drift[~solved] <= limit))


@pytest.mark.parametrize(
    ("solved", "words"),
    [
        ([True, True], "2 of 2 runs solved"),
        ([False, False], "0 of 2 runs solved"),
    ],
)
def test_one_outcome_is_refused_in_words(solved, words):
    with pytest.raises(ValueError, match=words):
        settling([1.0, 2.0], solved)


def test_other_outcomes_are_refused():
    with pytest.raises(ValueError, match=r"solved must be booleans of shape \(2,\)"):
        settling([1.0, 2.0], [1, 0])
