"""The graph of constraints and naked singles, against the geometry and sets of digits."""

import numpy as np

from rrjax.puzzles import generate_sudokus, naked_singles, peer_graphs
from rrjax.puzzles.sudoku import geometry


def test_graphs_hold_the_peers_of_every_cell():
    for size in (4, 6, 9):
        graphs = peer_graphs(size)
        peers = np.stack([np.flatnonzero(row) for row in graphs["all"]])
        np.testing.assert_array_equal(peers, geometry(size).peers)
        assert (graphs["row"] | graphs["column"] | graphs["box"] == graphs["all"]).all()
        assert not (graphs["row"] & graphs["column"]).any()


def test_naked_singles_have_one_digit_left():
    boards = generate_sudokus(9, 3, seed=1).boards
    singles = naked_singles(boards)
    for board, row in zip(boards, singles, strict=True):
        left = [set(range(1, 10)) - set(board[peers].tolist()) for peers in geometry(9).peers]
        expected = [
            not value and len(digits) == 1 for value, digits in zip(board, left, strict=True)
        ]
        assert row.tolist() == expected
    assert singles.any()
