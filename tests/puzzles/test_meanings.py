"""The labels that probes are asked for, against brute force."""

from itertools import islice
from math import isqrt

import numpy as np
import pytest

from rrjax.puzzles import MazeRequest, Mazes, build_mazes, generate_mazes
from rrjax.puzzles.maze import FREE, PATH, path_lengths
from rrjax.puzzles.meanings import distances_to_goal, meanings
from rrjax.puzzles.sudoku import geometry
from tests.tools.tiny import puzzles


def by_name(inputs, labels, answers, vocab_size):
    return {each.name: each for each in meanings(inputs, labels, answers, vocab_size)}


def test_sudokus_by_brute_force():
    some = puzzles(3)
    inputs, labels = (np.asarray(tokens, int) for tokens in (some.inputs, some.labels))
    rng = np.random.default_rng(0)
    answers = np.stack([rng.integers(2, 6, labels.shape), labels], axis=1)
    every = by_name(inputs, labels, answers, 6)
    board = geometry(4)
    for puzzle in range(3):
        for cell in range(16):
            taken = {inputs[puzzle, peer] for peer in board.peers[cell]} - {1}
            blank = inputs[puzzle, cell] == 1
            assert every["candidates"].values[puzzle, 0, cell] == (4 - len(taken)) * blank
            row = answers[puzzle, 0, cell // 4 * 4 : cell // 4 * 4 + 4]
            repeated = np.sum(row == answers[puzzle, 0, cell]) > 1
            assert every["row conflict"].values[puzzle, 0, cell] == repeated
    blank = inputs == 1
    np.testing.assert_array_equal(every["digit"].counts[:, 0], blank)
    np.testing.assert_array_equal(every["digit"].values[:, 0], labels - 2)
    wrong = np.sum((answers[:, 0] != labels) & blank, axis=1)
    np.testing.assert_array_equal(every["distance"].values[:, :, 0].T, [wrong, 0 * wrong])
    assert every["solved"].values.all()
    assert every["box conflict"].values[:, 1].sum() == 0


def test_mazes_agree_with_shortest_paths():
    request = MazeRequest(size=6, min_path=5)
    drawn = islice(generate_mazes(request, seed=0), 4)
    some = build_mazes(Mazes(*map(np.stack, zip(*drawn, strict=True))))
    inputs, labels = (np.asarray(tokens, int) for tokens in (some.inputs, some.labels))
    distance = distances_to_goal(inputs)
    start = np.argmax(inputs == 3, axis=1)
    np.testing.assert_array_equal(distance[np.arange(4), start], path_lengths(inputs))
    every = by_name(inputs, labels, labels[:, None], 6)
    path = every["on path"]
    assert (path.values[:, 0].sum(1) == path_lengths(inputs) - 1).all()
    assert (labels[path.values[:, 0] == 1] == PATH).all()
    assert (every["distance to goal"].counts[:, 0] <= (inputs == FREE)).all()
    assert isqrt(inputs.shape[1]) == 6


def test_other_puzzles_are_refused():
    with pytest.raises(ValueError, match="Sudokus and mazes, not of puzzles with 7 tokens"):
        meanings(np.ones((1, 7), int), np.ones((1, 7), int), np.ones((1, 1, 7), int), 6)
