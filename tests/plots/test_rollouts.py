"""Figures of long rollouts: what they draw and say, and that odd groups survive."""

import sys

import numpy as np
import pytest

from rrjax.analysis.compute import accuracy_curve
from rrjax.analysis.survival import escapes, kaplan_meier
from rrjax.plots.rollouts import accuracy_against_compute, survival_of_failures
from tests.tools.figures import assert_legends_are_clear

UPDATES, READOUT = 21, 4


def survival(solved, updates, readout, at_rest_after=99):
    """Draws the failures as runs that come to rest after so many segments."""
    rest = np.full(len(solved), min(at_rest_after, solved.shape[1]))
    return survival_of_failures(solved, updates, readout, rest)


DRAWINGS = [accuracy_against_compute, survival]


def runs(number=40, segments=32, rate=0.05, seed=0):
    """Puzzles that are solved from a random segment on."""
    first = np.random.default_rng(seed).geometric(rate, number)
    return np.arange(1, segments + 1) >= first[:, None]


def title_of(figure):
    return figure.axes[0].get_title(loc="left")


def labels_of(figure):
    legend = figure.axes[0].get_legend()
    return [text.get_text() for text in (*legend.get_texts(), legend.get_title())]


def line_of(figure, label):
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == label]
    return line


def test_accuracy_and_its_intervals_are_drawn_against_log_segments():
    solved = runs()
    solved[:, 10] = False
    figure = accuracy_against_compute(solved, UPDATES, READOUT)
    ax, curve = figure.axes[0], accuracy_curve(solved)
    at = line_of(figure, "solved at this segment")
    so_far = line_of(figure, "solved at this or an earlier segment")
    np.testing.assert_allclose(at.get_ydata(), curve.at_segment.value)
    np.testing.assert_allclose(so_far.get_ydata(), curve.so_far.value)
    assert at.get_linestyle() != so_far.get_linestyle()
    drawn = [line.get_ydata() for line in ax.lines]
    for end in (curve.so_far.low, curve.so_far.high):
        assert any(np.array_equal(end, line) for line in drawn)
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert set(curve.at_segment.low) | set(curve.at_segment.high) <= set(corners)
    assert ax.get_xscale() == "log"
    assert "n = 40 puzzles, 95 % intervals" in labels_of(figure)
    assert f"readout at segment {READOUT}" in labels_of(figure)
    assert title_of(figure).startswith(f"Solved at segment {READOUT}: ")


def test_the_survival_curve_and_who_is_at_rest_are_drawn():
    solved = runs()
    solved[:10] = False
    figure = survival(solved, UPDATES, READOUT, at_rest_after=30)
    waits = escapes(solved, READOUT)
    curve, number = kaplan_meier(*waits), len(waits.durations)
    steps = line_of(figure, f"Kaplan–Meier (n = {number} failures), 95 % intervals")
    np.testing.assert_allclose(steps.get_ydata()[:-1], curve.survival.value)
    assert steps.get_drawstyle() == "steps-post"
    assert steps.get_xdata()[-1] == 28
    still = line_of(figure, "at rest, and wrong")
    assert still.get_xdata().tolist() == list(range(29))
    expected = 26 * [0.0] + 3 * [curve.survival.value[-1]]
    np.testing.assert_allclose(still.get_ydata(), expected)
    assert steps.get_linestyle() != still.get_linestyle()
    assert title_of(figure).startswith(
        f"{waits.observed.sum()} of {number} failures escape within 28 segments"
    )
    moving = np.minimum(waits.durations, np.where(waits.observed, 99, 26)).sum()
    rate = waits.observed.sum() / moving
    assert f"per update {rate / UPDATES:.2g}" in title_of(figure)


@pytest.mark.parametrize("draw", DRAWINGS)
def test_both_axes_count_compute(draw):
    figure = draw(runs(), UPDATES, READOUT)
    assert_legends_are_clear(figure)  # drawn, which sets the upper axis
    ax = figure.axes[0]
    (upper,) = ax.child_axes
    assert "segments" in ax.get_xlabel()
    assert upper.get_xlabel() == "module evaluations"
    np.testing.assert_allclose(upper.get_xlim(), np.array(ax.get_xlim()) * UPDATES)
    assert "share of" in ax.get_ylabel()


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize(
    ("solved", "readout"),
    [
        (np.zeros((1, 1), bool), 1),
        (np.ones((3, 8), bool), 2),
        (np.zeros((3, 8), bool), 2),
        (np.zeros((3, 8), bool), 8),
        (np.arange(8) > np.zeros((3, 1)), 1),
    ],
    ids=["single", "all solved", "none solved", "nothing after", "all escape at once"],
)
def test_odd_groups_can_be_laid_out(draw, solved, readout):
    figure = draw(solved, UPDATES, readout)
    figure.draw_without_rendering()
    assert title_of(figure)


@pytest.mark.parametrize(
    ("solved", "readout", "words"),
    [(np.ones((3, 8), bool), 2, "no failure"), (np.zeros((3, 8), bool), 8, "no segment after it")],
)
def test_where_there_is_nothing_to_follow_the_figure_says_why(solved, readout, words):
    assert words in title_of(survival(solved, UPDATES, readout))


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install matplotlib"):
        survival(runs(), UPDATES, READOUT)
