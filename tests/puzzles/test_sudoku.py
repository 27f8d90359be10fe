"""Rules, tokens and text of boards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import format_board, from_tokens, is_solved, parse_board, to_tokens
from rrjax.puzzles.sudoku import compact_board, from_answers, geometry, respects_givens, violations

SIZES = (4, 6, 9, 16)
SOLVED_4 = parse_board("1234341221434321")
SOLVED_6 = parse_board("123456456123231564564231312645645312")


def shifted_board(size: int) -> np.ndarray:
    """The textbook solution: each row is the one above shifted by a box, each band by one more."""
    shape = geometry(size)
    rows = np.arange(size)
    shifts = shape.box_width * (rows % shape.box_height) + rows // shape.box_height
    return ((shifts[:, None] + np.arange(size)) % size + 1).reshape(-1)


@pytest.mark.parametrize("size", SIZES)
def test_units_cover_every_cell_three_times_and_peers_are_mutual(size):
    shape = geometry(size)
    assert shape.units.shape == (3 * size, size)
    assert (np.bincount(shape.units.reshape(-1)) == 3).all()
    assert shape.box_height * shape.box_width == size
    # A cell shares its row and column with 2 (n - 1) cells, and its box with the rest of the box.
    box_only = (shape.box_height - 1) * (shape.box_width - 1)
    assert shape.peers.shape == (size * size, 2 * (size - 1) + box_only)
    together = np.zeros((size * size, size * size), dtype=bool)
    np.put_along_axis(together, shape.peers, True, axis=1)
    assert (together == together.T).all()
    assert not together.diagonal().any()


def test_boxes_of_six_have_two_rows_and_three_columns():
    np.testing.assert_array_equal(geometry(6).units[12], [0, 1, 2, 6, 7, 8])
    np.testing.assert_array_equal(geometry(6).units[17], [27, 28, 29, 33, 34, 35])


@pytest.mark.parametrize("size", SIZES)
def test_violations_at_both_ends(size):
    assert violations(shifted_board(size)) == 0
    assert violations(np.zeros(size * size, int)) == 3 * size * size
    # All cells equal: every unit holds one digit.
    assert violations(np.ones(size * size, int)) == 3 * size * (size - 1)


def test_violations_count_missing_digits_by_hand():
    board = SOLVED_4.copy()
    board[0] = 2  # row 1, column 1 and box 1 each miss the 1 now
    assert violations(board) == 3
    board[0] = 0
    assert violations(board) == 3
    swapped = SOLVED_4.copy()
    swapped[[0, 1]] = swapped[[1, 0]]  # row and box stay whole, columns 1 and 2 miss one digit each
    assert violations(swapped) == 2


@given(board=st.lists(st.integers(0, 6), min_size=36, max_size=36))
def test_violations_equal_a_plain_count(board):
    expected = sum(
        len({1, 2, 3, 4, 5, 6} - {board[cell] for cell in unit})
        for unit in geometry(6).units.tolist()
    )
    assert violations(board) == expected


def test_checks_work_over_leading_axes():
    boards = np.stack([SOLVED_6, np.zeros_like(SOLVED_6)]).reshape(2, 1, 36)
    np.testing.assert_array_equal(is_solved(boards), [[True], [False]])
    np.testing.assert_array_equal(violations(boards), [[0], [108]])


def test_respects_givens_ignores_blanks_only():
    puzzle = SOLVED_4 * (np.arange(16) % 2)
    assert respects_givens(puzzle, SOLVED_4)
    assert not respects_givens(puzzle, puzzle[::-1])
    assert respects_givens(np.zeros(16, int), SOLVED_4)


@settings(max_examples=30)
@given(size=st.sampled_from(SIZES), data=st.data())
def test_tokens_and_text_round_trip(size, data):
    cells = st.lists(st.integers(0, size), min_size=size * size, max_size=size * size)
    board = np.array(data.draw(cells))
    tokens = to_tokens(board)
    assert tokens.dtype == np.int32
    assert tokens.min() >= 1
    assert tokens.max() <= size + 1
    np.testing.assert_array_equal(from_tokens(tokens), board)
    np.testing.assert_array_equal(parse_board(compact_board(board)), board)


def test_answers_may_hold_padding():
    answers = to_tokens(SOLVED_4)
    np.testing.assert_array_equal(from_answers(answers), SOLVED_4)
    answers[3] = 0
    assert not is_solved(from_answers(answers))
    with pytest.raises(ValueError, match=r"tokens: expected values 1..5, found 0 at \(3,\)"):
        from_tokens(answers)


def test_format_sets_the_boxes_apart():
    lines = format_board(SOLVED_4 * (SOLVED_4 > 1)).splitlines()
    assert lines == [". 2 | 3 4", "3 4 | . 2", "----+----", "2 . | 4 3", "4 3 | 2 ."]
    assert format_board(SOLVED_6).splitlines()[2] == "------+------"


def test_letters_stand_for_digits_above_nine():
    board = parse_board(("123456789ABCDEFG" * 16).lower())
    np.testing.assert_array_equal(board[:16], np.arange(1, 17))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry(5), r"size: expected one of \[4, 6, 9, 16\], found 5"),
        (lambda: violations(np.zeros(80, int)), r"last axis of 16, 36, 81, 256.*\(80,\)"),
        (lambda: violations(np.array(3)), r"found shape \(\)"),
        (lambda: violations(np.zeros(81)), "expected integers, found dtype float64"),
        (lambda: violations(np.full((2, 16), 5)), r"values 0..4, found 5 at \(0, 0\)"),
        (lambda: to_tokens(np.full(16, -1)), "values 0..4, found -1"),
        (lambda: from_tokens(np.full(16, 6)), "values 1..5, found 6"),
        (lambda: parse_board("12"), "expected .* characters, found 2"),
        (lambda: parse_board("123456" + "." * 10), "found '5' at place 5"),
        (lambda: parse_board("x" + "." * 80), "found 'x' at place 1"),
    ],
)
def test_wrong_boards_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
