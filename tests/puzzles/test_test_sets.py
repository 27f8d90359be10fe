"""The hard test set: fixed for ever, minimal, graded, and at hand by its name."""

import hashlib

import numpy as np
import pytest

from rrjax.puzzles import is_solved, read
from rrjax.puzzles.sudoku import from_tokens, respects_givens
from rrjax.puzzles.sudoku_batch import count_guesses, find_other
from rrjax.puzzles.sudoku_generate import Kind, distinct, generate_at
from rrjax.puzzles.test_sets import FILES, HARD_SUDOKUS, hard_boards
from scripts.models.make_hard_test_set import SEED, as_text


def test_nobody_changes_the_hard_test_set():
    digest = hashlib.sha256(FILES[HARD_SUDOKUS].read_bytes()).hexdigest()
    assert digest == "796b2fa6eaefb46edfa3fd702ff8b70f618a3261e7de99af57154145367b7c91"
    assert as_text(hard_boards()) == FILES[HARD_SUDOKUS].read_text(encoding="utf-8")


def test_its_puzzles_are_as_hard_as_it_says():
    guesses = count_guesses(hard_boards()).reshape(256, 4)
    assert (guesses.min(axis=0) >= [0, 10, 30, 100]).all()
    assert distinct(hard_boards(), hard_boards()[:0]).all()


def test_its_name_gives_puzzles_with_their_only_solutions():
    puzzles = read(HARD_SUDOKUS)
    boards, solutions = from_tokens(puzzles.inputs), from_tokens(puzzles.labels)
    np.testing.assert_array_equal(boards, hard_boards())
    assert is_solved(solutions).all()
    assert respects_givens(boards, solutions).all()
    # no clue of some of them can go
    some = np.arange(0, 1024, 255)
    owners, places = np.nonzero(boards[some])
    trials = boards[some][owners]
    trials[np.arange(len(places)), places] = 0
    has_other, _ = find_other(trials, places, solutions[some][owners, places])
    assert has_other.all()


@pytest.mark.parametrize(("turn", "min_guesses"), [(0, 0), (1, 10)])
def test_the_generator_makes_it_again(turn, min_guesses):
    indices = range(turn, 8, 4)
    puzzles = generate_at(indices, 9, SEED, Kind(None, min_guesses))
    np.testing.assert_array_equal(puzzles.boards, hard_boards()[list(indices)])
