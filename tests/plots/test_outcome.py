"""Figures: what they say, that they say it without colour, and that odd groups survive."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from rrjax import plots
from rrjax.analysis.separation import auc_interval
from tests.tools.figures import assert_legends_are_clear

PNG = b"\x89PNG\r\n\x1a\n"


def outcomes(num_solved, num_failed, num_exponents=4, failed_median=0.1):
    rng = np.random.default_rng(num_solved)
    solved = np.arange(num_solved + num_failed) < num_solved
    shape = (len(solved), num_exponents)
    exponents = np.where(solved[:, None], rng.normal(0.01, 0.02, shape), 0)
    exponents += np.where(solved[:, None], 0, rng.normal(failed_median, 0.04, shape))
    return -np.sort(-exponents, axis=1), solved


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


DRAWINGS = [plots.lambda1_histogram, plots.spectrum_by_outcome]


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize(
    ("num_solved", "num_failed"), [(40, 12), (3, 2), (8, 0), (0, 8), (1, 0), (0, 0)]
)
def test_a_figure_names_both_groups_and_can_be_laid_out(draw, num_solved, num_failed):
    figure = draw(*outcomes(num_solved, num_failed))
    assert f"solved (n = {num_solved})" in legend_of(figure)
    assert f"failed (n = {num_failed})" in legend_of(figure)
    assert_legends_are_clear(figure)


@pytest.mark.parametrize("draw", DRAWINGS)
def test_axes_carry_name_and_unit(draw):
    ax = draw(*outcomes(40, 12)).axes[0]
    labels = ax.get_xlabel() + ax.get_ylabel()
    assert "Lyapunov exponent λ" in labels
    assert "(nats per update)" in labels
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_bars_of_each_group_add_up_to_one():
    exponents, solved = outcomes(40, 12)
    ax = plots.lambda1_histogram(exponents, solved).axes[0]
    heights = []
    for patch in ax.patches:
        corners = patch.get_path().vertices
        # The outline goes up and down again; each bar's top is a horizontal pair of corners.
        tops = [a[1] for a, b in pairwise(corners) if a[1] == b[1] and b[0] > a[0]]
        heights.append(sum(tops))
    assert heights == [pytest.approx(1.0), pytest.approx(1.0)]


def test_groups_differ_without_colour_in_the_histogram():
    solved, failed = plots.lambda1_histogram(*outcomes(40, 12)).axes[0].patches
    assert solved.get_hatch() != failed.get_hatch()
    assert solved.get_linestyle() != failed.get_linestyle()
    assert to_hex(solved.get_edgecolor()) != to_hex(failed.get_edgecolor())


def test_groups_differ_without_colour_in_the_spectrum():
    solved, failed = spectrum_lines(plots.spectrum_by_outcome(*outcomes(40, 12)))
    assert solved.get_linestyle() != failed.get_linestyle()
    assert solved.get_marker() != failed.get_marker()
    assert not np.isin(solved.get_xdata(), failed.get_xdata()).any()


def spectrum_lines(figure):
    return [container.lines[0] for container in figure.axes[0].containers]


def test_a_group_of_a_few_puzzles_has_no_half():
    figure = plots.spectrum_by_outcome(*outcomes(40, 4))
    bars = [container.lines[2][0].get_segments() for container in figure.axes[0].containers]
    heights = [
        [abs(ends[1, 1] - ends[0, 1]) for ends in of_group if len(ends) > 1] for of_group in bars
    ]
    assert len(heights[0]) == 4
    assert not np.isfinite(heights[1]).any()
    title = figure.axes[0].get_legend().get_title().get_text()
    assert title == "no half is drawn of fewer than 5 puzzles"


def test_the_spectrum_shows_medians_and_quartiles():
    exponents, solved = outcomes(40, 12)
    figure = plots.spectrum_by_outcome(exponents, solved)
    for container, group in zip(
        figure.axes[0].containers, (exponents[solved], exponents[~solved]), strict=True
    ):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_ydata(), np.median(group, axis=0))
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, np.quantile(group, (0.25, 0.75), axis=0).T)


def test_the_title_of_the_histogram_holds_the_auc_and_its_interval():
    exponents, solved = outcomes(40, 30)
    value, low, high = auc_interval(-exponents[:, 0], solved).ends
    title = title_of(plots.lambda1_histogram(exponents, solved))
    assert f"{value:.3f} (95 % interval {low:.3f} to {high:.3f})" in title


@pytest.mark.parametrize(
    ("num_failed", "shift", "message"),
    [
        (30, 0.0, "Failed puzzles are the more chaotic ones"),
        (30, -0.5, "Failed puzzles are the less stable ones"),
        (2, 0.0, "Too few puzzles in a group to conclude"),
        (0, 0.0, "40 of 40 puzzles solved: nothing to compare"),
    ],
)
def test_the_title_of_the_histogram_says_what_the_numbers_say(num_failed, shift, message):
    exponents, solved = outcomes(40, num_failed)
    assert title_of(plots.lambda1_histogram(exponents + shift, solved)).startswith(message)


def test_the_title_does_not_claim_what_is_not_there():
    exponents, solved = outcomes(40, 30)
    turned = title_of(plots.lambda1_histogram(exponents, ~solved))
    assert turned.startswith("Failed puzzles have the smaller λ₁")
    assert "at 0 of 4" in title_of(plots.spectrum_by_outcome(exponents, ~solved))


def test_an_auc_whose_interval_holds_one_half_is_no_finding():
    exponents, solved = np.arange(40.0)[:, None], np.arange(40) % 2 == 0
    for group in (solved, ~solved):
        assert auc_interval(-exponents[:, 0], group).value != 0.5
        title = title_of(plots.lambda1_histogram(exponents, group))
        assert title.startswith("λ₁ does not tell failed puzzles from solved ones")
        assert "at 0 of 1" in title_of(plots.spectrum_by_outcome(exponents, group))


@pytest.mark.parametrize(("k", "shown"), [(1, 1), (16, 16), (32, 16), (500, 16)])
def test_the_labels_of_many_indices_do_not_touch_each_other(k, shown):
    exponents = np.random.default_rng(0).normal(size=(12, k))
    figure = plots.spectrum_by_outcome(exponents, exponents[:, 0] < 0)
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low < tick < high]
    assert 1 <= len(ticks) <= shown
    assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize(("k", "marked"), [(64, True), (65, False)])
def test_lines_of_many_exponents_differ_by_their_dashes_alone(k, marked):
    exponents = np.random.default_rng(0).normal(size=(12, k))
    ax = plots.spectrum_by_outcome(exponents, exponents[:, 0] < 0).axes[0]
    solved, failed = (group.lines[0] for group in ax.containers)
    assert {line.get_marker() not in ("", "None") for line in (solved, failed)} == {marked}
    assert solved.get_linestyle() != failed.get_linestyle()


def test_the_title_of_the_spectrum_counts_the_separating_indices():
    exponents, solved = outcomes(40, 30)
    exponents[:, 3] = -1 - np.arange(70) % 7
    title = title_of(plots.spectrum_by_outcome(exponents, solved))
    assert "larger exponent at 3 of 4 indices" in title
    few = title_of(plots.spectrum_by_outcome(*outcomes(3, 2)))
    assert few.startswith("Too few puzzles")
    alone = title_of(plots.spectrum_by_outcome(*outcomes(0, 5)))
    assert alone == "0 of 5 puzzles solved: nothing to compare"


def title_of(figure):
    return figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("draw", DRAWINGS)
def test_puzzles_that_are_not_finite_are_left_out_and_counted(draw):
    exponents, solved = outcomes(40, 12)
    exponents[0, 0], exponents[1] = np.nan, -np.inf
    figure = draw(exponents, solved)
    assert "solved (n = 38)" in legend_of(figure)
    legend = figure.axes[0].get_legend()
    assert legend.get_title().get_text() == "2 not finite, left out"


@pytest.mark.parametrize("draw", DRAWINGS)
def test_exponents_that_a_frame_left_unsorted_are_drawn_sorted(draw):
    exponents, solved = outcomes(40, 12)
    planted = exponents.copy()
    planted[::3, :2] = exponents[::3, 1::-1]
    drawn, expected = draw(planted, solved).axes[0], draw(exponents, solved).axes[0]
    for patch, other in zip(drawn.patches, expected.patches, strict=True):
        np.testing.assert_array_equal(patch.get_path().vertices, other.get_path().vertices)
    for line, other in zip(drawn.lines, expected.lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    assert title_of(drawn.figure) == title_of(expected.figure)


def test_directions_below_the_round_off_floor_are_not_drawn():
    exponents, solved = outcomes(40, 12)
    exponents[1, -1] = np.nan
    figure = plots.spectrum_by_outcome(exponents, solved)
    assert "solved (n = 40)" in legend_of(figure)
    title = figure.axes[0].get_legend().get_title().get_text()
    k = exponents.shape[1]
    assert title == f"from λ{k} on some are below the round-off floor, not drawn"
    assert figure.axes[0].get_xticks().tolist() == list(range(1, k))


@pytest.mark.parametrize("draw", DRAWINGS)
def test_a_figure_can_be_a_part_of_a_larger_one(draw):
    whole = Figure()
    left, right = whole.subplots(1, 2)
    assert draw(*outcomes(12, 12), ax=right, title="B") is whole
    assert right.get_title(loc="left") == "B"
    assert not left.has_data()
    part = Figure().subfigures(1, 2)[0].subplots()
    assert draw(*outcomes(12, 12), ax=part) is part.figure.figure


@pytest.mark.parametrize("draw", DRAWINGS)
def test_zero_is_marked_where_it_is_in_sight(draw):
    exponents, solved = outcomes(40, 12)
    zero = [line for line in draw(exponents, solved).axes[0].lines if lies_at_zero(line)]
    assert len(zero) == 1
    far = legend_of(plots.lambda1_histogram(exponents - 5, solved))
    assert "chaotic to the right of this line" not in far


def lies_at_zero(line):
    return set(line.get_xdata()) == {0} or set(line.get_ydata()) == {0}


def test_equal_figures_give_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        plots.save_figure(plots.lambda1_histogram(*outcomes(40, 12)), tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(PNG)
    assert content == (tmp_path / "b.png").read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert b"Software" not in content


def test_another_file_type_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png"):
        plots.save_figure(Figure(), tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize(
    ("exponents", "solved", "message"),
    [
        (np.zeros(4), np.ones(4, dtype=bool), "exponents must be numbers of shape"),
        (np.zeros((4, 0)), np.ones(4, dtype=bool), "exponents must be numbers of shape"),
        (np.zeros((4, 2)), np.ones(3, dtype=bool), "solved must be booleans"),
        (np.zeros((4, 2)), np.ones(4), "solved must be booleans"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(draw, exponents, solved, message):
    with pytest.raises(ValueError, match=message):
        draw(exponents, solved)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install matplotlib"):
        plots.lambda1_histogram(*outcomes(4, 4))


def test_importing_plots_does_not_import_matplotlib_nor_drawing_pyplot():
    program = (
        "import sys, numpy as np; from rrjax import plots; assert 'matplotlib' not in sys.modules; "
        "plots.lambda1_histogram(np.ones((4, 1)), np.ones(4, dtype=bool)); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(plots.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
