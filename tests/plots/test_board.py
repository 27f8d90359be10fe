"""The figure of unstable cells: what it says, without colour too, and what it refuses."""

import sys

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from rrjax.plots import Board, save_figure, unstable_cells
from rrjax.plots.board import shown_segments

STATES = ("z_H", "z_L")


def board(segments=3, cells=16, box=(2, 2)):
    """Cells 0..3 are given; cell 5 stays wrong and carries half of the norm."""
    shares = np.full((segments, cells), 0.5 / (cells - 1))
    shares[:, 5] = 0.5
    wrong = np.zeros((segments, cells), bool)
    wrong[:, 5], wrong[0, 6] = True, True
    symbols = np.where(wrong, "4", "")
    symbols[:, :4] = ["1", "2", "3", "4"]
    return Board("Puzzle 7 (failed)", 0.125, shares, wrong, np.arange(cells) > 3, symbols, box)


def panels(figure):
    return [ax for ax in figure.axes if ax.images]


def test_a_row_per_board_and_a_column_per_segment():
    figure = unstable_cells([board(), board()._replace(name="Puzzle 9 (solved)")], STATES)
    shown = panels(figure)
    assert [ax.get_title() for ax in shown] == ["segment 1", "segment 2", "segment 3", "", "", ""]
    assert shown[0].get_ylabel() == "Puzzle 7 (failed)\nλ₁ = 0.125 nats per update"
    assert shown[3].get_ylabel().startswith("Puzzle 9 (solved)")
    np.testing.assert_array_equal(shown[0].images[0].get_array().ravel(), board().shares[0])


def test_the_colour_bar_says_what_is_shaded():
    figure = unstable_cells([board()], STATES)
    labels = [" ".join(ax.get_ylabel().split()) for ax in figure.axes]
    assert "share of the leading vector's squared norm (z_H + z_L)" in labels
    many = unstable_cells([board()], [f"z_L{i}" for i in range(7)])
    assert any("(7 states summed)" in ax.get_ylabel() for ax in many.axes)


def test_shades_are_one_scale_that_survives_a_print_without_colour():
    faint = board()._replace(shares=board().shares / 10)
    images = [ax.images[0] for ax in panels(unstable_cells([board(), faint], STATES))]
    assert {image.norm.vmin for image in images} == {0}
    assert {image.norm.vmax for image in images} == {0.5}
    shades = colormaps[images[0].get_cmap().name](np.linspace(0, 1, 64))[:, :3]
    luminance = shades @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) < 0).all()


def test_givens_are_bold_and_wrong_answers_framed():
    first, *_, last = panels(unstable_cells([board()], STATES))
    weights = {text.get_position(): text.get_fontweight() for text in last.texts}
    expected = {(column, 0): "bold" for column in range(4)} | {(1, 1): "normal"}
    assert weights == expected
    frames = [patch for patch in last.patches if isinstance(patch, Rectangle)]
    assert [frame.get_center().tolist() for frame in frames] == [[1, 1]]
    assert len(first.patches) == 2
    assert first.get_xlabel() == "2 cells wrong, 53 % of norm²"
    assert last.get_xlabel() == "1 cell wrong, 50 % of norm²"


def test_symbols_on_dark_cells_are_white():
    *_, last = panels(unstable_cells([board()], STATES))
    inks = {text.get_position(): text.get_color() for text in last.texts}
    assert (inks[(1, 1)], inks[(0, 0)]) == ("white", "black")


def test_what_lies_off_the_board_is_said():
    figure = unstable_cells([board()._replace(shares=board().shares * 0.75)], STATES)
    assert panels(figure)[0].get_xlabel().endswith("off the board: 25 %")


def title_of(*boards):
    return unstable_cells(boards, STATES).get_suptitle()


def test_the_title_compares_wrong_cells_with_right_ones_to_be_found():
    assert title_of(board(), solved()) == (
        "Puzzle 7 (failed), segment 3: a wrong cell carries 15 times\n"
        "the share of a right cell that had to be found"
    )


def solved():
    return board()._replace(name="Puzzle 9 (solved)", wrong=np.zeros((3, 16), bool))


def test_a_single_segment_leaves_the_title_its_width():
    figure = unstable_cells([board(segments=1)], STATES)
    figure.draw_without_rendering()
    title = figure.texts[0].get_window_extent()
    assert title.x1 <= figure.bbox.x1


def test_the_title_of_a_solved_puzzle_says_where_its_vector_lies():
    assert title_of(solved()) == (
        "Puzzle 9 (solved), segment 3: the cells that had to be found,\n"
        "75 % of the board, carry 87 % of what lies on it"
    )
    assert unstable_cells([solved()], STATES, title="B").get_suptitle() == "B"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, [1]), (2, [1, 2]), (16, [1, 2, 4, 8, 16]), (100, [1, 3, 10, 32, 100])],
)
def test_the_segments_that_are_shown(number, expected):
    assert [segment + 1 for segment in shown_segments(number)] == expected


def test_boards_of_other_puzzles_have_neither_symbols_nor_boxes(tmp_path):
    plain = board(cells=25, box=None)
    plain = plain._replace(symbols=np.full(plain.symbols.shape, ""))
    figure = unstable_cells([plain], STATES)
    *_, last = panels(figure)
    assert [text.get_text() for text in last.texts] == [""]  # of the wrong cell
    widths = {width for lines in last.collections for width in lines.get_linewidth()}
    assert widths == {0.2}
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("boards", "message"),
    [
        ([], "at least one board"),
        ([board(cells=12)], r"square number of cells; Puzzle 7 \(failed\) has 12"),
        ([board(), board(segments=2)], "same number of segments"),
        ([board()._replace(shares=np.full((3, 16), np.nan))], "shares must be finite"),
    ],
)
def test_what_is_no_board_is_refused(boards, message):
    with pytest.raises(ValueError, match=message):
        unstable_cells(boards, STATES)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install matplotlib"):
        unstable_cells([board()], STATES)
