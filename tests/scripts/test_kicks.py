"""Kicks: a table of planted outcomes, and a run in which no kick is no change."""

import jax
import numpy as np

import rrjax
from scripts.studies import kicks
from tests.tools.tiny import puzzles, write_model


def test_the_table_compares_with_the_random_direction():
    options = kicks.Options("trm-sudoku6", sizes=(0.1, 1.0))
    solved = np.zeros((20, 7), bool)
    solved[:, [1, 2]] = True  # along the leading vector
    solved[:5, [5, 6]] = True  # along the random one
    rows = kicks.table(options, solved).rows
    assert rows[0][2].startswith("0.0 %")
    assert rows[1][0] == "leading vector"
    assert rows[1][2].startswith("100.0 %")
    assert rows[1][3].startswith("+75 (")
    assert rows[3][3].startswith("-25 (")
    assert rows[5][2].startswith("25.0 %")


def test_without_a_kick_a_failure_goes_on(tmp_path):
    model = rrjax.load_model(write_model(tmp_path / "model"))
    options = kicks.Options("model", segment=1, num_segments=1, sizes=(0.1,))
    tokens = puzzles(1).inputs[0]
    labels = rrjax.rollout(model.bind(tokens), 2).answers[-1]
    solved = kicks.kicked(options, model, tokens, labels, jax.random.key(0))
    assert solved.shape == (4,)
    assert solved[0]
