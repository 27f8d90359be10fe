"""How hard puzzles are, from their questions alone."""

import numpy as np

from rrjax.puzzles import difficulty as subject
from rrjax.puzzles import sudoku_batch as batch
from rrjax.puzzles.difficulty import CLUES, GUESSES, MOST_GUESSES, PATH_LENGTH, difficulty
from rrjax.puzzles.maze import parse_maze
from rrjax.puzzles.sudoku import parse_board, to_tokens
from rrjax.puzzles.sudoku_solver import solve_sudoku

HARD = parse_board(
    "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."
)
SINGLES = parse_board(
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
)


def test_sudokus_have_clues_and_guesses_and_a_cut_search_is_noted(monkeypatch):
    questions = to_tokens(np.stack([SINGLES, HARD])).astype(np.uint8)
    measured = difficulty(questions, 11)
    guesses = solve_sudoku(HARD).guesses
    assert 10 < guesses < MOST_GUESSES
    assert measured.numbers[CLUES].tolist() == [30, 21]
    assert measured.numbers[GUESSES].tolist() == [0, guesses]
    assert measured.notes == []
    monkeypatch.setattr(subject, "MOST_GUESSES", 10)
    measured = difficulty(questions, 11)
    assert measured.numbers[GUESSES].tolist() == [0, 10]
    assert measured.notes == [
        "The solver was stopped after 10 guesses in 1 of 2 puzzles, which count as equally hard."
    ]


def test_a_board_without_a_solution_ends_with_the_budget():
    def count_guesses(board, most):
        return batch.search(batch.as_cells(board[None]), 2, most).guesses[0]

    board = np.zeros(81, np.int32)
    assert count_guesses(board, 3) == 3  # the empty board has two solutions further on
    board[:2] = 1
    assert count_guesses(board, 3) == 0  # clues that clash


def test_large_sudokus_are_not_searched():
    measured = difficulty(np.ones((2, 256), np.uint8), 18)
    assert measured.numbers.keys() == {CLUES}
    assert "16 × 16" in measured.notes[0]


def test_mazes_have_the_length_of_a_shortest_path_and_other_puzzles_nothing():
    maze = parse_maze("S    ####       ####    G")
    straight = parse_maze("S   G" + 20 * " ")
    measured = difficulty(np.stack([maze, straight]).astype(np.uint8), 6)
    assert measured.numbers[PATH_LENGTH].tolist() == [16, 4]
    assert difficulty(np.ones((2, 30), np.uint8), 6).numbers == {}
