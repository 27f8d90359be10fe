"""Votes over symmetric copies, of a model that answers well in some of them only."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import experiments
from rrjax.contract import Update
from rrjax.puzzles import build_sudokus
from rrjax.puzzles.sudoku import Puzzles
from rrjax.puzzles.symmetric_copies import symmetric_copies
from tests.experiments.test_judging import hold
from tests.experiments.test_reasoner import MyPuzzles
from tests.tools.tiny import puzzles

COPIES = 12
SOLUTIONS = puzzles(4).labels - 1
FULL = build_sudokus(Puzzles(SOLUTIONS, SOLUTIONS))
RUN = {"num_segments": 2, "progress": False}


def read(context: Any, state: dict[str, jax.Array]) -> jax.Array:
    """The question itself, but rolled on by a cell where it begins with an even token."""
    tokens = context["tokens"]
    return jax.nn.one_hot(
        jnp.where(tokens[0] % 2, tokens, jnp.roll(tokens, 1)), 6, dtype=jnp.float32
    )


@dataclass
class Fickle:
    """A model that solves half of the boards, those that are full and begin with an odd token."""

    params: dict[str, Any] = field(default_factory=dict)

    def bind(self, tokens: Any, puzzle_id: Any = 0) -> rrjax.Dynamics:
        """Returns the dynamics on one puzzle."""
        start = jnp.linspace(-1, 1, 2 * tokens.shape[0], dtype=jnp.float32).reshape(-1, 2)
        context = {"tokens": jnp.asarray(tokens), "bias": jnp.float32(0.1)}
        return rrjax.Dynamics({"z": start}, (Update("hold", hold),), read, context, answer="z")


def test_votes_solve_what_the_puzzle_alone_does_not(tmp_path):
    inputs = symmetric_copies(FULL, COPIES, seed=0).puzzles.inputs
    solved = (inputs[:, 0] % 2 == 1).reshape(-1, COPIES)
    rollouts = experiments.rollout(Fickle(), FULL, folder=tmp_path, symmetries=COPIES, **RUN)
    np.testing.assert_array_equal(rollouts.solved[:, -1], solved[:, 0])
    assert rollouts.vote_solved.all()
    assert not solved[:, 0].all()
    np.testing.assert_allclose(rollouts.vote_share, solved.mean(axis=1))
    text = " ".join(repr(rollouts.summary()).split())
    assert f"Votes of {COPIES} symmetric copies solve 100.0 %" in text
    assert f"the puzzles alone {100 * solved[:, 0].mean():.1f} %" in text
    again = experiments.rollout(Fickle(), FULL, folder=tmp_path, symmetries=COPIES, **RUN)
    np.testing.assert_array_equal(again.vote_share, rollouts.vote_share)
    alone = experiments.rollout(Fickle(), FULL, folder=tmp_path, **RUN)
    assert "vote_solved" not in alone
    assert "Votes" not in repr(alone.summary())


def test_a_spectrum_has_the_same_votes():
    run = experiments.spectrum(Fickle(), FULL, num_exponents=1, symmetries=COPIES, **RUN)
    assert run.vote_solved.all()
    assert run.axes["vote_share"] == ("puzzle",)
    assert "Votes of" in repr(run.summary())


def test_plain_arrays_have_no_symmetries():
    with pytest.raises(ValueError, match="symmetries: expected a set of Sudokus or mazes"):
        experiments.rollout(Fickle(), MyPuzzles(FULL.inputs, FULL.labels), symmetries=COPIES, **RUN)
