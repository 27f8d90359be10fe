"""Generated puzzles: one solution, as many clues as asked, the same for a seed however split."""

import hashlib
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.puzzles import generate_sudokus, is_solved, solve_sudoku
from rrjax.puzzles.sudoku import respects_givens
from rrjax.puzzles.sudoku_generate import distinct, relabel
from rrjax.puzzles.sudoku_symmetry import apply, random_symmetries

GENERATE = import_module("rrjax.puzzles.sudoku_generate")


def num_clues(boards):
    return (boards > 0).sum(axis=1)


def assert_unique(puzzles):
    assert is_solved(puzzles.solutions).all()
    assert respects_givens(puzzles.boards, puzzles.solutions).all()
    for board, solution in zip(puzzles.boards, puzzles.solutions, strict=True):
        found = solve_sudoku(board)
        assert found.count == 1
        np.testing.assert_array_equal(found.solution, solution)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([4, 6]))
def test_minimal_puzzles_lose_uniqueness_with_any_clue(seed, size):
    puzzles = generate_sudokus(size, 2, seed)
    assert_unique(puzzles)
    for board in puzzles.boards:
        for cell in np.flatnonzero(board):
            fewer = board.copy()
            fewer[cell] = 0
            assert solve_sudoku(fewer).count == 2


@pytest.mark.parametrize(
    ("size", "number", "clues"),
    [(4, 20, (4, 4)), (4, 5, (16, 16)), (6, 20, (10, 14)), (9, 20, (26, 40)), (16, 1, (150, 160))],
)
def test_wanted_clue_counts_are_met(size, number, clues):
    puzzles = generate_sudokus(size, number, 3, clues)
    assert puzzles.boards.shape == puzzles.solutions.shape == (number, size * size)
    assert puzzles.boards.dtype == puzzles.solutions.dtype == np.int32
    counts = num_clues(puzzles.boards)
    assert clues[0] <= counts.min()
    assert counts.max() <= clues[1]
    assert_unique(puzzles)


def test_clue_counts_are_drawn_uniformly_from_the_range():
    counts = np.bincount(num_clues(generate_sudokus(4, 600, 0, (8, 13)).boards), minlength=14)[8:]
    assert counts.sum() == 600
    # 6 cells of 100 expected: chi-square with 5 degrees of freedom, 20.5 is its .999 quantile.
    assert ((counts - 100) ** 2 / 100).sum() < 20.5


def test_wanted_guesses_are_met():
    puzzles = generate_sudokus(9, 2, 0, min_guesses=8)
    assert_unique(puzzles)
    assert min(solve_sudoku(board).guesses for board in puzzles.boards) >= 8
    assert (
        max(solve_sudoku(board).guesses for board in generate_sudokus(9, 2, 0, (40, 40)).boards) < 8
    )


def test_a_set_does_not_depend_on_how_it_is_split():
    whole = generate_sudokus(6, 6, seed=7)
    again = generate_sudokus(6, 6, seed=7)
    parts = [generate_sudokus(6, 2, seed=7, first=first) for first in (0, 2, 4)]
    for name in ("boards", "solutions"):
        expected = getattr(whole, name)
        np.testing.assert_array_equal(getattr(again, name), expected)
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), expected)
    assert (generate_sudokus(6, 6, seed=8).boards != whole.boards).any()


def test_no_puzzle_is_an_empty_set():
    assert generate_sudokus(4, 0, 0).boards.shape == (0, 16)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_relabelling_forgets_the_names_of_digits_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    boards = rng.integers(0, 7, (5, 36))
    moves = random_symmetries(rng, 6, 5)
    renamed = apply(moves._replace(cells=np.tile(np.arange(36), (5, 1))), boards)
    names = relabel(boards)
    np.testing.assert_array_equal(relabel(renamed), names)
    np.testing.assert_array_equal(relabel(names), names)
    for board, name in zip(boards, names, strict=True):
        pairs = set(zip(board.tolist(), name.tolist(), strict=True))
        assert len(pairs) == len(set(board.tolist())) == len(set(name.tolist()))
        firsts = [value for value in dict.fromkeys(name.tolist()) if value]
        assert firsts == list(range(1, len(firsts) + 1))


def test_distinct_marks_first_occurrences_that_are_not_held_back():
    a, b, c = relabel(generate_sudokus(4, 3, 0).solutions)
    swapped = np.array([0, 2, 1, 4, 3])[a]
    none = np.zeros((0, 16), int)
    marks = distinct(np.stack([a, swapped, a]), none)
    np.testing.assert_array_equal(marks, [True, False, False])
    assert not (a == b).all()
    marks = distinct(np.stack([a, b, c]), swapped[None])
    np.testing.assert_array_equal(marks, [False, *distinct(np.stack([b, c]), none)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 8}, r"size: expected one of \[4, 6, 9, 16\], found 8"),
        ({"number": -1}, "number must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"first": -1}, "first must be at least 0, got -1"),
        ({"min_guesses": -1}, "min_guesses must be at least 0, got -1"),
        ({"clues": (3, 8)}, r"clues: expected 4 <= fewest <= most <= 16 .* found \(3, 8\)"),
        ({"clues": (9, 8)}, r"found \(9, 8\)"),
        ({"clues": (4, 17)}, r"found \(4, 17\)"),
        ({"clues": (8, 8), "min_guesses": 1}, "min_guesses: expected 0 with clues, found 1"),
        ({"size": 16, "min_guesses": 1}, "min_guesses: expected at most 0 at 16x16"),
        ({"size": 9, "min_guesses": 201}, "min_guesses: expected at most 200 at 9x9"),
    ],
)
def test_wrong_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_sudokus(**({"size": 4, "number": 1, "seed": 0} | arguments))


def test_a_rare_clue_count_ends_with_an_error(monkeypatch):
    monkeypatch.setitem(GENERATE.MAX_TRIES, 6, 20)
    with pytest.raises(ValueError, match="no 6x6 puzzle with 8 clues in 20 random grids"):
        generate_sudokus(6, 2, 0, (8, 8))


def test_unreachable_guesses_end_with_an_error(monkeypatch):
    monkeypatch.setattr(GENERATE, "MAX_CLIMB", 2)
    monkeypatch.setattr(GENERATE, "MAX_CLIMBS", 3)
    with pytest.raises(ValueError, match="3 climbs of 2 steps did not reach 10 guesses at 6x6"):
        generate_sudokus(6, 1, 0, min_guesses=10)


@pytest.mark.parametrize(
    ("wanted", "digest"),
    [
        ({"size": 9, "number": 3}, "245f45f358601e79"),
        ({"size": 9, "number": 3, "clues": (26, 40)}, "12726b8b7082a8d9"),
        ({"size": 9, "number": 2, "min_guesses": 8}, "559b851b9ef43f5e"),
        ({"size": 6, "number": 5}, "db8116ec5e1f5c56"),
        ({"size": 16, "number": 1, "clues": (130, 150)}, "deecf636b8c95912"),
    ],
)
def test_seeds_give_the_puzzles_that_they_always_gave(wanted, digest):
    boards = np.stack(generate_sudokus(seed=5, **wanted)).astype(np.uint8)
    assert hashlib.sha256(boards.tobytes()).hexdigest()[:16] == digest
