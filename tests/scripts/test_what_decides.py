"""What decides a puzzle: rows of copies become tables, and a planted factor gets its share."""

import numpy as np
import pytest

from scripts.studies import what_decides as study


def test_rows_of_copies_become_a_table_of_each_puzzle():
    # run (p, r, s) is numbered 100 p + 10 r + s
    rows = np.array([[100 * p + 10 * r + s for s in range(3)] for p in range(2) for r in range(4)])
    found = study.by_puzzle(rows, 4)
    assert found.shape == (2, 3, 4)
    assert found[1, 2, 3] == 132


def test_a_factor_that_decides_alone_has_the_whole_share():
    rng = np.random.default_rng(0)
    starts = np.repeat(rng.random((60, 4, 1)) < 0.5, 4, axis=2)
    rows = dict(study.table({0.3: starts}).rows)
    assert float(rows["the start, given the puzzle"].split()[0]) == pytest.approx(1, abs=0.15)
    assert float(rows["the relabelling, given the puzzle"].split()[0]) == pytest.approx(0, abs=0.1)
