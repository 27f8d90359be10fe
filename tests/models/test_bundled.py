"""The bundled models: small, with puzzles of both outcomes, and as good as they say.

The LSTM, a baseline whose states are looked at, solves no puzzle.
"""

import numpy as np
import pytest

from rrjax.cells import flatten
from rrjax.models import bundled_names, load_model
from rrjax.puzzles import from_tokens, is_shortest_path, is_solved
from rrjax.puzzles.maze import maze_size
from rrjax.puzzles.sudoku import respects_givens
from rrjax.training.evaluate import evaluate

pytestmark = pytest.mark.optimized


@pytest.fixture(params=bundled_names())
def model(request):
    return load_model(request.param)


def test_something_is_in_the_box():
    assert "trm-sudoku9" in bundled_names()


def test_is_small_and_has_enough_puzzles_of_both_outcomes(model):
    assert sum(f.stat().st_size for f in model.folder.rglob("*") if f.is_file()) <= 4_000_000
    test = model.provenance["test"]
    assert test["count"] == len(model.test_puzzles()) >= 512
    solved = test["exact_accuracy"] * test["count"]
    assert model.config.arch.name == "lstm" or 128 <= solved <= test["count"] - 25


def test_its_puzzles_have_their_solutions(model):
    puzzles = model.test_puzzles()
    assert len(np.unique(puzzles.inputs, axis=0)) == len(puzzles)
    if maze_size(model.config.seq_len, model.config.vocab_size):
        assert is_shortest_path(puzzles.inputs, puzzles.labels).all()
        return
    boards, solutions = from_tokens(puzzles.inputs), from_tokens(puzzles.labels)
    assert is_solved(solutions).all()
    assert respects_givens(boards, solutions).all()


@pytest.mark.slow
def test_solves_about_as_many_as_it_says(model):
    # 32 puzzles tell a fraction to within four standard errors
    found = evaluate(flatten(model.params), model.config, model.test_puzzles(), 8, 32)
    recorded = model.provenance["test"]
    assert abs(found["exact_accuracy"] - recorded["exact_accuracy"]) < 4 * (0.25 / 32) ** 0.5
    assert abs(found["accuracy"] - recorded["accuracy"]) < 0.1
