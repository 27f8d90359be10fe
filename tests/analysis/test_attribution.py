"""Where the leading vector lies, in numbers and words: puzzles whose answer is known."""

import dataclasses

import numpy as np
import pytest

from rrjax.analysis.attribution import (
    attribute,
    classify,
    on_cells,
    total_shares,
)

# given, open and right, open and wrong, given but answered wrong, unknown
INPUTS = np.array([[2, 1, 1, 3, 1]])
LABELS = np.array([[2, 4, 5, 3, 0]])
ANSWERS = np.array([[2, 4, 2, 4, 3]])
CELLS = classify(INPUTS, LABELS, ANSWERS, 0)
# a puzzle-embedding token first
SHARES = {
    "z_H": np.array([[0.1, 0.0, 0.1, 0.1, 0.0, 0.0]], np.float32),
    "z_L": np.array([[0.1, 0.1, 0.1, 0.3, 0.1, 0.0]], np.float32),
}


def test_the_classes_of_cells():
    assert CELLS.given.tolist() == [[True, False, False, True, False]]
    assert CELLS.open.tolist() == [[False, True, True, False, False]]
    assert CELLS.wrong.tolist() == [[False, False, True, True, False]]


def test_classes_broadcast_over_segments():
    answers = np.stack([ANSWERS[0], LABELS[0]])
    found = classify(INPUTS[0], LABELS[0], answers, 0)
    assert found.wrong.sum(axis=1).tolist() == [2, 0]
    assert found.given.tolist() == CELLS.given[0].tolist()


def test_the_numbers_of_one_puzzle():
    found = attribute(SHARES, CELLS)
    assert found.state_shares == {"z_H": pytest.approx(0.3), "z_L": pytest.approx(0.7)}
    assert (found.num_puzzles, found.num_tokens, found.num_failed) == (1, 6, 1)
    assert found.effective_tokens == pytest.approx(1 / (0.04 + 0.01 + 0.04 + 0.16 + 0.01))
    assert found.open_share == pytest.approx(0.6 / 0.8)
    assert found.open_fraction == pytest.approx(2 / 5)
    assert found.wrong_share == pytest.approx(0.5 / 0.7)
    assert found.wrong_fraction == pytest.approx(2 / 3)
    assert found.wrong_to_right.value == pytest.approx(0.25 / 0.2)


def test_the_cells_are_the_last_tokens():
    total = total_shares(SHARES)
    np.testing.assert_allclose(total.sum(), 1)
    np.testing.assert_allclose(on_cells(total, 5), [[0.1, 0.2, 0.4, 0.1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(on_cells(total, 6), total)


def repeated(number):
    cells = dataclasses.replace(
        CELLS,
        **{k: np.repeat(v, number, axis=0) for k, v in dataclasses.asdict(CELLS).items()},
    )
    return {k: np.repeat(v, number, axis=0) for k, v in SHARES.items()}, cells


def test_puzzles_that_are_not_finite_are_left_out():
    shares, cells = repeated(3)
    shares["z_L"][1] = np.nan
    found = attribute(shares, cells)
    assert found.num_puzzles == 2
    alone = attribute(SHARES, CELLS)
    assert found.wrong_to_right.value == alone.wrong_to_right.value
    same = {"num_puzzles": 1, "num_failed": 1, "wrong_to_right": alone.wrong_to_right}
    assert dataclasses.replace(found, **same) == alone


def test_a_vector_that_avoids_the_board_leaves_medians_undefined():
    shares = {"z_H": np.array([[1.0, 0, 0, 0, 0, 0]])}
    found = attribute(shares, CELLS)
    assert found.effective_tokens == 1
    assert np.isnan([found.open_share, found.wrong_share, found.wrong_to_right.value]).all()


def test_without_failures_there_is_no_ratio():
    solved = classify(INPUTS, LABELS, LABELS, 0)
    found = attribute(SHARES, solved)
    assert found.num_failed == 0
    assert np.isnan(found.wrong_to_right.value)


def test_without_a_finite_vector_no_puzzle_counts():
    shares = {name: np.full_like(share, np.nan) for name, share in SHARES.items()}
    found = attribute(shares, CELLS)
    assert found.num_puzzles == 0
    assert np.isnan(found.state_shares["z_H"])
