"""Figures of `rrjax analyse`: what they draw and say."""

import dataclasses

import numpy as np
import pytest

from rrjax.analysis.controls import MIN_GROUP, auc_given, controlled_auc
from rrjax.analysis.early import early_windows, horizon_curve
from rrjax.analysis.settling import settling
from rrjax.plots.spectra import (
    auc_within_bins,
    early_window,
    lambda1_by_horizon,
    late_drift_histogram,
)
from tests.tools.figures import assert_legends_are_clear

N, SEGMENTS, PER_SEGMENT = 80, 5, 3


def runs(shift: float = 0.0):
    rng = np.random.default_rng(0)
    solved = np.arange(1, SEGMENTS + 1) >= rng.integers(1, SEGMENTS + 4, N)[:, None]
    growth = rng.normal(0, 0.3, (N, SEGMENTS * PER_SEGMENT)) - shift * solved[:, -1:]
    return growth, rng.random((N, SEGMENTS)), solved


def title_of(figure):
    return figure.axes[0].get_title(loc="left")


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_drift_of_both_groups_and_the_cut():
    rng = np.random.default_rng(0)
    solved = np.arange(N) < 50
    drift = 10 ** rng.normal(np.where(solved, -4, 1), 0.5)
    found = settling(drift, solved)
    figure = late_drift_histogram(drift, solved, found)
    ax = figure.axes[0]
    assert labels_of(ax) == ["solved (n = 50)", "failed (n = 30)", "Otsu's threshold"]
    (cut,) = [line for line in ax.lines if line.get_label() == "Otsu's threshold"]
    assert cut.get_xdata()[0] == found.otsu.threshold
    assert title_of(figure).startswith(
        "Settled runs: 100 % (93 to 100) solved, others: 0 % (0 to 12)"
    )
    assert "AUC of −drift 1.000" in title_of(figure)
    hatches = {patch.get_hatch() for patch in ax.patches}
    assert len(hatches) == 2
    assert "log₁₀" in ax.get_xlabel()


def test_drift_of_zero_is_drawn_and_nothing_unsettled_is_said():
    drift, solved = np.zeros(10), np.arange(10) < 5
    figure = late_drift_histogram(drift, solved, settling(drift, solved))
    assert "others: none there" in title_of(figure)


def test_every_bin_has_its_auc_or_says_why_not():
    rng = np.random.default_rng(0)
    solved = np.arange(N) % 2 == 0
    values = np.where(np.arange(N) < 2 * MIN_GROUP - 2, 0, 1 + np.arange(N) % 3)
    among = (rng.normal(size=N) + solved, solved, values)
    found = controlled_auc(*among, 6, auc_given(*among))
    figure = auc_within_bins({"givens": found, "guesses": found})
    assert len(figure.axes) == 2
    for ax, name in zip(figure.axes, ("givens", "guesses"), strict=True):
        assert ax.get_title(loc="left").startswith(name)
        labels = [tick.get_text() for tick in ax.get_yticklabels()]
        assert labels[-2:] == ["held fixed\n40 + 40", "not held fixed\n40 + 40"]
        assert labels[0] == f"0\n{MIN_GROUP - 1} + {MIN_GROUP - 1}"
        assert [text.get_text() for text in ax.texts] == [f"fewer than {MIN_GROUP}"]
        drawn = [c.lines[0].get_xdata()[0] for c in ax.containers]
        expected = [s.auc.value for s in found.strata[1:]]
        expected += [found.fixed.value, found.plain.value]
        np.testing.assert_allclose(drawn, expected)
        assert len({c.lines[0].get_markerfacecolor() for c in ax.containers[-2:]}) == 2


def test_the_early_windows_with_their_sizes():
    growth, drift, solved = runs()
    early = early_windows(growth, drift, solved)
    figure = early_window(early)
    above, below = figure.axes
    assert labels_of(above) == ["no better than chance", "−λ₁ of 1..s", "−drift of 1..s"]
    lines = [container.lines[0] for container in above.containers]
    np.testing.assert_allclose(lines[0].get_ydata(), [w.lambda1.value for w in early])
    np.testing.assert_allclose(lines[1].get_ydata(), [w.drift.value for w in early])
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    unsolved, later = ([bar.get_height() for bar in bars] for bars in below.containers)
    assert unsolved == [int((~solved[:, s]).sum()) for s in range(SEGMENTS - 1)]
    assert later == [w.num_solved for w in early]
    assert "Intervals without 0.5: " in title_of(figure)
    assert_legends_are_clear(figure)
    assert "s, the last segment" in below.get_xlabel()


def test_early_windows_of_too_few_runs_say_so():
    growth, drift, solved = runs()
    solved[:] = False
    solved[0, -1] = True
    figure = early_window(early_windows(growth, drift, solved))
    assert title_of(figure) == "Too few runs are solved late: they show nothing"
    figure.draw_without_rendering()


@pytest.mark.parametrize(("shift", "words"), [(0.0, "bands overlap at the end"), (1.0, "apart")])
def test_the_horizon_from_the_first_segment_on(shift, words):
    growth, _, solved = runs(shift)
    curve = horizon_curve(growth, solved[:, -1])
    figure = lambda1_by_horizon(curve, PER_SEGMENT)
    ax = figure.axes[0]
    for group, median, name in (
        (solved[:, -1], curve.solved, "solved"),
        (~solved[:, -1], curve.failed, "failed"),
    ):
        label = f"{name} (n = {group.sum()})"
        (line,) = [line for line in ax.lines if line.get_label() == label]
        np.testing.assert_allclose(line.get_ydata(), median.value[PER_SEGMENT - 1 :])
        assert line.get_xdata()[0] == PER_SEGMENT
    assert words in title_of(figure)
    assert "nats per update" in ax.get_ylabel()
    assert_legends_are_clear(figure)
    (upper,) = ax.child_axes
    np.testing.assert_allclose(np.array(ax.get_xlim()) / PER_SEGMENT, upper.get_xlim())


def test_the_update_from_which_the_bands_are_apart():
    growth, _, solved = runs(1.0)
    curve = horizon_curve(growth, solved[:, -1])
    apart = curve.failed.low > curve.solved.high
    first = next(t for t in range(len(apart)) if apart[t:].all())
    assert f"bands apart from update {first + 1} on" in title_of(
        lambda1_by_horizon(curve, PER_SEGMENT)
    )
    below = dataclasses.replace(curve, solved=curve.failed, failed=curve.solved)
    assert "bands apart" in title_of(lambda1_by_horizon(below, PER_SEGMENT))
