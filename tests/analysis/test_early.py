"""Early windows and horizons: against loops, and with answers known beforehand."""

import numpy as np
import pytest

from rrjax.analysis.controls import MIN_GROUP
from rrjax.analysis.early import early_windows, horizon_curve, running_mean
from rrjax.analysis.intervals import median_interval

SEGMENTS, PER_SEGMENT = 5, 3


def runs(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Growth, drift and answers at random; runs that have the answer can lose it."""
    rng = np.random.default_rng(seed)
    growth = rng.normal(size=(number, SEGMENTS * PER_SEGMENT))
    return growth, rng.random((number, SEGMENTS)), rng.random((number, SEGMENTS)) < 0.4


def test_every_window_against_loops():
    growth, drift, solved = runs(60)
    found = early_windows(growth, drift, solved)
    assert [w.segment for w in found] == [1, 2, 3, 4]
    for window in found:
        s = window.segment
        late = [i for i in range(60) if not solved[i, s - 1] and solved[i, -1]]
        never = [i for i in range(60) if not solved[i, s - 1] and not solved[i, -1]]
        assert (window.num_solved, window.num_failed) == (len(late), len(never))
        for auc, values in (
            (window.lambda1, growth[:, : s * PER_SEGMENT].mean(1)),
            (window.drift, drift[:, :s].mean(1)),
        ):
            expected = np.mean([[values[i] < values[j] for j in never] for i in late])
            assert auc.value == pytest.approx(expected)
            assert auc.low < auc.value < auc.high


def test_what_only_the_solved_segments_know_is_not_seen():
    # solved runs stand still from the segment at which they have the answer; before that all alike
    number = 40
    first = np.where(np.arange(number) < 20, 3, 99)  # half of them from segment 3 on
    segments = np.arange(1, SEGMENTS + 1)
    solved = segments >= first[:, None]
    drift = np.where(solved, 0.0, 1.0)
    growth = np.repeat(np.where(solved, -1.0, 0.1), PER_SEGMENT, axis=1)
    found = early_windows(growth, drift, solved)
    for window in found[:2]:
        assert window.lambda1.value == window.drift.value == 0.5
    assert (found[2].num_solved, found[2].num_failed) == (0, 20)
    assert np.isnan(found[2].lambda1.value)


def test_an_early_sign_is_seen():
    growth, drift, solved = runs(40)
    solved[:] = False
    solved[:20, -1] = True
    growth[:20] -= 10
    for window in early_windows(growth, drift, solved):
        assert window.lambda1.value == 1
        assert window.drift.value < 1


def test_too_few_runs_have_no_auc():
    growth, drift, solved = runs(30)
    solved[:] = False
    solved[: MIN_GROUP - 1, -1] = True
    for window in early_windows(growth, drift, solved):
        assert np.isnan(window.lambda1.ends).all()
        assert (window.num_solved, window.num_failed) == (MIN_GROUP - 1, 30 - MIN_GROUP + 1)
    assert early_windows(growth[:, :3], drift[:, :1], solved[:, :1]) == []


def test_shapes_that_do_not_fit_are_refused():
    growth, drift, solved = runs(10)
    with pytest.raises(ValueError, match="growth must have whole segments of 5; it has 14"):
        early_windows(growth[:, 1:], drift, solved)
    with pytest.raises(ValueError, match="drift must be numbers of shape"):
        early_windows(growth, drift[:, 1:], solved)
    with pytest.raises(ValueError, match="solved_by_segment must be booleans"):
        early_windows(growth, drift, solved.astype(int))
    with pytest.raises(ValueError, match="values must be"):
        running_mean(np.zeros((3, 0)))


def test_the_mean_of_every_prefix():
    growth = runs(4)[0]
    found = running_mean(growth)
    for t in range(1, growth.shape[1] + 1):
        np.testing.assert_allclose(found[:, t - 1], growth[:, :t].mean(1))


def test_a_direction_that_is_annihilated_stays_below_all():
    growth = np.zeros((1, 3))
    growth[0, 1] = -np.inf
    assert running_mean(growth).tolist() == [[0, -np.inf, -np.inf]]


def test_the_curve_is_the_median_of_each_horizon():
    growth, _, by_segment = runs(31)
    solved = by_segment[:, -1]
    curve = horizon_curve(growth, solved)
    assert curve.updates.tolist() == list(range(1, 16))
    assert (curve.num_solved, curve.num_failed) == (solved.sum(), (~solved).sum())
    for t in (1, 7, 15):
        for group, median in ((solved, curve.solved), (~solved, curve.failed)):
            expected = median_interval(growth[group, :t].mean(1))
            np.testing.assert_allclose(median.at(t - 1).ends, expected.ends)


def test_an_empty_group_is_nan_and_other_outcomes_are_refused():
    growth = runs(5)[0]
    curve = horizon_curve(growth, np.ones(5, bool))
    assert np.isnan(curve.failed.value).all()
    with pytest.raises(ValueError, match=r"solved must be booleans of shape \(5,\)"):
        horizon_curve(growth, np.ones(4, bool))
