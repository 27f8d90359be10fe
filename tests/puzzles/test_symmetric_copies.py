"""Symmetric copies of Sudokus and mazes, and answers mapped back."""

from dataclasses import replace

import numpy as np
import pytest

from rrjax.puzzles import build_mazes, from_tokens, generate_mazes, is_shortest_path, is_solved
from rrjax.puzzles.maze import Mazes
from rrjax.puzzles.maze_generate import MazeRequest
from rrjax.puzzles.sudoku import respects_givens
from rrjax.puzzles.symmetric_copies import symmetric_copies
from tests.tools.tiny import puzzles

SUDOKUS = puzzles(3)
MAZES = build_mazes(Mazes(*(side[None] for side in next(generate_mazes(MazeRequest(6, 8), 2)))))


@pytest.mark.parametrize(("some", "number"), [(SUDOKUS, 5), (MAZES, 8), (MAZES, 1)])
def test_answers_to_the_copies_are_those_to_the_puzzles(some, number):
    """The copies of the answers are made by the same moves as those of the questions."""
    copies = symmetric_copies(some, number, seed=7)
    answers = symmetric_copies(replace(some, inputs=some.labels), number, seed=7).puzzles.inputs
    inputs = copies.puzzles.inputs
    if some is MAZES:
        assert is_shortest_path(inputs, answers).all()
    else:
        boards = from_tokens(answers)
        assert is_solved(boards).all()
        assert respects_givens(from_tokens(inputs), boards).all()
    np.testing.assert_array_equal(inputs[::number], some.inputs)
    assert len(np.unique(inputs, axis=0)) == len(inputs)
    expected = np.repeat(some.labels, number, axis=0)
    np.testing.assert_array_equal(copies.map_back(answers), expected)
    runs = np.stack([answers, inputs], axis=1)
    back = copies.map_back(runs)
    np.testing.assert_array_equal(back[:, 0], expected)
    np.testing.assert_array_equal(back[:, 1], np.repeat(some.inputs, number, axis=0))


def test_copies_of_a_puzzle_do_not_depend_on_its_neighbours_number():
    few, many = symmetric_copies(SUDOKUS[:1], 4), symmetric_copies(SUDOKUS, 4)
    np.testing.assert_array_equal(few.puzzles.inputs, many.puzzles.inputs[:4])


def test_more_copies_than_there_are_and_other_puzzles_are_refused():
    with pytest.raises(ValueError, match="symmetries must be at most 8, got 9"):
        symmetric_copies(MAZES, 9)
    other = replace(SUDOKUS, metadata=replace(SUDOKUS.metadata, vocab_size=9))
    with pytest.raises(ValueError, match="symmetries: expected Sudokus or mazes"):
        symmetric_copies(other, 2)
