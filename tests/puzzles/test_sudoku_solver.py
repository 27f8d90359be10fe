"""The solver against exhaustive enumeration and puzzles whose counts are known."""

from itertools import permutations, product
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import generate_sudokus, is_solved, parse_board, solve_sudoku, sudoku_solver
from rrjax.puzzles.sudoku import geometry, respects_givens

# Made by this project's hill climb: 25 clues, far from decided by singles.
HARD = ".7..5......319..4......3..9...6......9...7.1815....4......28......3...9..48.6..35"
HARD_SOLUTION = "972456381583192647461783259824615973396247518157839426739528164615374892248961735"
# The board without a solution of Norvig's essay: 5.2 million guesses of the plain search.
UNSOLVABLE = ".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4........."
EMPTY_4 = np.zeros(16, dtype=int)


def all_grids_of_four() -> np.ndarray:
    """Every solved 4x4 board, by trying all 24^4 stacks of rows."""
    rows = np.array(list(permutations(range(1, 5))))
    picks = np.array(list(product(range(24), repeat=4)))
    boards = rows[picks].reshape(-1, 16)
    return boards[is_solved(boards)]


GRIDS_4 = all_grids_of_four()


def test_the_empty_board_of_four_has_288_solutions():
    assert len(GRIDS_4) == 288
    assert solve_sudoku(EMPTY_4, limit=1000).count == 288


@given(board=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4]), min_size=16, max_size=16))
@settings(max_examples=200)
def test_any_board_of_four_has_as_many_solutions_as_enumeration_finds(board):
    found = solve_sudoku(board, limit=1000)
    matches = GRIDS_4[respects_givens(np.tile(board, (288, 1)), GRIDS_4)]
    assert found.count == len(matches)
    if found.solution is not None:
        assert (matches == found.solution).all(axis=1).any()


def count_by_exact_cover(board: list[int], size: int, limit: int) -> int:
    """Knuth's Algorithm X on the 4 n^2 constraints, with sets."""
    units = geometry(size).units.tolist()
    options = {
        (cell, digit): [(-1, cell)] + [(i, digit) for i, unit in enumerate(units) if cell in unit]
        for cell in range(size * size)
        for digit in range(1, size + 1)
        if board[cell] in (0, digit)
    }
    columns = {(i, digit): set() for i in range(3 * size) for digit in range(1, size + 1)}
    columns |= {(-1, cell): set() for cell in range(size * size)}  # one digit in each cell
    for option, names in options.items():
        for name in names:
            columns[name].add(option)
    return cover(columns, options, limit)


def cover(columns: dict, options: dict, limit: int) -> int:
    if not columns:
        return 1
    found = 0
    for option in min(columns.values(), key=len):
        clashing = set().union(*(columns[name] for name in options[option]))
        left = {name: rest - clashing for name, rest in columns.items()}
        for name in options[option]:
            del left[name]
        found += cover(left, options, limit - found)
        if found >= limit:
            break
    return found


@given(seed=st.integers(0, 2**32 - 1), extra=st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_six_agrees_with_exact_cover(seed, extra):
    board = generate_sudokus(6, 1, seed).boards[0]
    board[np.flatnonzero(board)[:extra]] = 0
    assert solve_sudoku(board, limit=20).count == count_by_exact_cover(board.tolist(), 6, limit=20)


def test_a_hard_nine_agrees_with_exact_cover():
    board = parse_board(HARD)
    assert count_by_exact_cover(board.tolist(), 9, limit=2) == 1
    found = solve_sudoku(board)
    assert found.count == 1
    np.testing.assert_array_equal(found.solution, parse_board(HARD_SOLUTION))
    assert found.guesses > 20
    fewer = board.copy()
    fewer[np.flatnonzero(board)[0]] = 0
    assert solve_sudoku(fewer).count == count_by_exact_cover(fewer.tolist(), 9, limit=2) == 2


@given(grid=st.integers(0, 287), hidden=st.lists(st.integers(0, 15)), limit=st.integers(1, 5))
def test_the_count_stops_at_the_limit(grid, hidden, limit):
    board = GRIDS_4[grid].copy()
    board[hidden] = 0
    assert solve_sudoku(board, limit).count == min(limit, solve_sudoku(board, 1000).count)


@pytest.mark.parametrize("size", [4, 6, 9, 16])
def test_the_empty_board_of_each_size_is_solved(size):
    found = solve_sudoku(np.zeros(size * size, int), limit=1)
    assert found.count == 1
    assert found.solution is not None
    assert is_solved(found.solution)


def test_singles_alone_need_no_guess():
    solution = np.array(generate_sudokus(9, 1, seed=0).solutions[0])
    one_hidden = solution.copy()
    one_hidden[40] = 0
    assert solve_sudoku(one_hidden).guesses == 0
    np.testing.assert_array_equal(solve_sudoku(one_hidden).solution, solution)


def test_guesses_count_every_value_tried():
    # Two digits may be swapped in the four blanks: both values of the first blank are tried.
    board = np.array([0, 0, 3, 4, 3, 4, 1, 2, 0, 0, 4, 3, 4, 3, 2, 1])
    found = solve_sudoku(board, limit=10)
    assert (found.count, found.guesses) == (2, 2)
    assert solve_sudoku(board, limit=1).guesses == 1


@pytest.mark.parametrize(
    "board",
    [
        "11..............",  # twice in a row
        "1...1...........",  # twice in a column
        "1....1..........",  # twice in a box
        "123...4.........",  # no digit left for the fourth cell
    ],
)
def test_contradictions_have_no_solution(board):
    found = solve_sudoku(parse_board(board))
    expected = int(respects_givens(np.tile(parse_board(board), (288, 1)), GRIDS_4).any())
    assert expected == 0
    assert (found.count, found.solution) == (0, None)


@pytest.mark.parametrize(
    ("board", "limit", "message"),
    [
        (np.zeros((2, 16), int), 2, r"one board \(n \* n,\), found shape \(2, 16\)"),
        (np.zeros(17, int), 2, "last axis"),
        (np.full(16, 7), 2, "expected values 0..4, found 7"),
        (np.zeros(16, int), 0, "limit must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(board, limit, message):
    with pytest.raises(ValueError, match=message):
        solve_sudoku(board, limit)


def test_a_board_that_no_one_can_solve_is_told_after_some_guesses(monkeypatch):
    monkeypatch.setattr(sudoku_solver, "_PATIENCE", 200)
    found = solve_sudoku(parse_board(UNSOLVABLE))
    assert (found.count, found.solution, found.guesses) == (0, None, 200)


def is_solvable(board, max_probes: int) -> bool | None:
    masks = sudoku_solver.tables(isqrt(len(board)))
    return sudoku_solver.is_solvable(masks, sudoku_solver.start(masks, list(board)), max_probes)


@given(board=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4]), min_size=16, max_size=16))
@settings(max_examples=60)
def test_the_second_search_agrees_with_enumeration(board):
    expected = bool(respects_givens(np.tile(board, (288, 1)), GRIDS_4).any())
    assert is_solvable(board, 10**6) is expected


def test_the_second_search_decides_hard_boards_or_gives_up():
    assert is_solvable(parse_board(HARD).tolist(), 10**5) is True
    assert is_solvable(parse_board(UNSOLVABLE).tolist(), 10**5) is False
    assert is_solvable([0] * 81, 100) is None


def test_patience_leaves_the_guesses_of_solvable_boards_as_they_are(monkeypatch):
    expected = solve_sudoku(parse_board(HARD))
    monkeypatch.setattr(sudoku_solver, "_PATIENCE", 1)
    found = solve_sudoku(parse_board(HARD))
    assert (found.count, found.guesses) == (expected.count, expected.guesses)
    np.testing.assert_array_equal(found.solution, expected.solution)


def test_a_board_that_neither_search_decides_is_refused(monkeypatch):
    for name, value in (("_PATIENCE", 10), ("_MAX_PROBES", 0), ("_MAX_GUESSES", 50)):
        monkeypatch.setattr(sudoku_solver, name, value)
    with pytest.raises(ValueError, match=r"no solution of \.{5}5\.8.* in 50 guesses and no proof"):
        solve_sudoku(parse_board(UNSOLVABLE))
