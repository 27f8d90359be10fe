"""Searches of many boards against the search of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import generate_sudokus, solve_sudoku
from rrjax.puzzles import sudoku_batch as batch
from rrjax.puzzles import sudoku_solver as solver


def boards_of(size: int, number: int, seed: int) -> np.ndarray:
    """Boards with several, one and no solutions."""
    rng = np.random.default_rng(seed)
    boards = generate_sudokus(size, number, seed).boards
    boards[::3] *= rng.random(boards[::3].shape) < 0.9
    for board in boards[1::3]:
        board[rng.integers(size * size)] = rng.integers(1, size + 1)
    return boards


@pytest.mark.parametrize("size", [4, 6, 9])
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 3))
@settings(max_examples=3, deadline=None)
def test_many_boards_are_searched_as_each_alone(size, seed, limit):
    boards = boards_of(size, 6, seed)
    outcome = batch.search(batch.as_cells(boards), limit, 100)
    masks = solver.tables(size)
    for index, board in enumerate(boards):
        alone = solver.search(masks, solver.start(masks, board.tolist()), limit, 100)
        assert outcome.counts[index] == len(alone.states)
        assert outcome.guesses[index] == alone.guesses
        assert outcome.complete[index] == alone.complete
        for solution, state in zip(outcome.solutions[index], alone.states, strict=False):
            np.testing.assert_array_equal(solution, solver.to_board(size, state))


def test_generators_shuffle_the_digits_of_each_board_as_alone():
    boards = np.zeros((3, 36), int)
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    outcome = batch.search(batch.as_cells(boards), 2, None, rngs)
    masks = solver.tables(6)
    for seed, solutions in enumerate(outcome.solutions):
        state = solver.start(masks, boards[0].tolist())
        alone = solver.search(masks, state, 2, None, np.random.default_rng(seed).shuffle)
        expected = [solver.to_board(6, state) for state in alone.states]
        np.testing.assert_array_equal(solutions, expected)


def test_guesses_of_many_boards_are_those_of_each():
    boards = generate_sudokus(9, 12, seed=1).boards
    expected = [solve_sudoku(board).guesses for board in boards]
    np.testing.assert_array_equal(batch.count_guesses(boards), expected)
    assert max(expected) > 0


def test_a_batch_in_which_every_search_gives_up_ends():
    outcome = batch.search(batch.as_cells(np.zeros((2, 81), int)), 2, 3)
    assert outcome.guesses.tolist() == [3, 3]
    assert not outcome.complete.any()
