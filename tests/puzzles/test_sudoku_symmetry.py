"""The symmetry group: order, group laws, and what it must leave unchanged."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import generate_sudokus, solve_sudoku, to_tokens
from rrjax.puzzles.sudoku import geometry, violations
from rrjax.puzzles.sudoku_symmetry import (
    apply,
    apply_to_tokens,
    compose,
    group_order,
    inverse,
    random_symmetries,
)

SIZES = (4, 6, 9, 16)
seeds = st.integers(0, 2**32 - 2)


def draw(seed, size, number=3):
    rng = np.random.default_rng(seed)
    return random_symmetries(rng, size, number), rng.integers(0, size + 1, (number, size * size))


def position_moves_of_four() -> set[tuple[int, ...]]:
    """Permutations of row lines times column lines, with or without transposition, that keep boxes.

    All 24 * 24 * 2 are tried; a move counts if it maps every unit onto a unit.
    """
    units = {frozenset(unit) for unit in geometry(4).units.tolist()}
    grid = np.arange(16).reshape(4, 4)
    moves = set()
    for rows in permutations(range(4)):
        for columns in permutations(range(4)):
            moved = grid[np.ix_(rows, columns)]
            for cells in (moved.reshape(-1), moved.T.reshape(-1)):
                if {frozenset(cells[list(unit)].tolist()) for unit in units} == units:
                    moves.add(tuple(cells.tolist()))
    return moves


def test_draws_at_four_are_exactly_the_moves_that_map_units_to_units():
    moves = random_symmetries(np.random.default_rng(0), 4, 4000)
    expected = position_moves_of_four()
    assert len(expected) * factorial(4) == group_order(4)
    assert {tuple(cells) for cells in moves.cells.tolist()} == expected
    assert {tuple(digits) for digits in moves.digits[:, 1:].tolist()} == set(
        permutations(range(1, 5))
    )


def test_draws_at_four_are_uniform():
    moves = random_symmetries(np.random.default_rng(1), 4, 12800)
    _, counts = np.unique(moves.cells, axis=0, return_counts=True)
    assert counts.shape == (128,)
    # 100 expected of each: chi-square with 127 degrees of freedom, .999 quantile 182.
    assert ((counts - 100) ** 2 / 100).sum() < 182


@pytest.mark.parametrize("size", SIZES)
def test_the_order_is_the_product_of_its_factors(size):
    shape = geometry(size)
    distinct_rows = factorial(shape.box_width) * factorial(shape.box_height) ** shape.box_width
    distinct_columns = factorial(shape.box_height) * factorial(shape.box_width) ** shape.box_height
    positions = group_order(size) // factorial(size)
    assert positions == distinct_rows * distinct_columns * (1 if size == 6 else 2)


def test_known_orders():
    assert [group_order(size) for size in (4, 6, 9)] == [3072, 2488320, 1218998108160]


@given(seed=seeds, size=st.sampled_from(SIZES))
@settings(max_examples=30)
def test_any_board_keeps_its_violations_and_blanks(seed, size):
    moves, boards = draw(seed, size)
    moved = apply(moves, boards)
    np.testing.assert_array_equal(violations(moved), violations(boards))
    np.testing.assert_array_equal((moved == 0).sum(axis=1), (boards == 0).sum(axis=1))
    assert moved.dtype == boards.dtype


@given(seed=seeds, limit=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_the_number_of_solutions_is_unchanged(seed, limit):
    moves, _ = draw(seed, 6, 1)
    board = generate_sudokus(6, 1, seed).boards
    board[0, np.flatnonzero(board[0])[: seed % 4]] = 0
    assert solve_sudoku(apply(moves, board)[0], limit).count == solve_sudoku(board[0], limit).count


def test_a_moved_puzzle_has_the_moved_solution():
    puzzles = generate_sudokus(9, 4, 0, (30, 30))
    moves = random_symmetries(np.random.default_rng(0), 9, 4)
    solutions = apply(moves, puzzles.solutions)
    for board, solution in zip(apply(moves, puzzles.boards), solutions, strict=True):
        np.testing.assert_array_equal(solve_sudoku(board).solution, solution)


@given(seed=seeds, size=st.sampled_from(SIZES))
@settings(max_examples=30)
def test_group_laws(seed, size):
    first, boards = draw(seed, size)
    second, _ = draw(seed + 1, size)
    np.testing.assert_array_equal(apply(inverse(first), apply(first, boards)), boards)
    np.testing.assert_array_equal(
        apply(compose(second, first), boards), apply(second, apply(first, boards))
    )


@given(seed=seeds, size=st.sampled_from(SIZES))
@settings(max_examples=30)
def test_tokens_move_as_boards_do_and_ignored_labels_stay_ignored(seed, size):
    moves, boards = draw(seed, size)
    moved = apply_to_tokens(moves, to_tokens(boards))
    np.testing.assert_array_equal(moved, to_tokens(apply(moves, boards)))
    ignored = apply_to_tokens(moves, np.zeros_like(boards))
    assert (ignored == 0).all()


def test_a_seed_gives_the_same_moves():
    first, second = (random_symmetries(np.random.default_rng(5), 9, 3) for _ in range(2))
    np.testing.assert_array_equal(first.cells, second.cells)
    np.testing.assert_array_equal(first.digits, second.digits)
