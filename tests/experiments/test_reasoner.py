"""Experiments on a cell that is none of ours: a dictionary as state, its own rule, plain arrays."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import experiments
from rrjax.contract import Repeat, Update
from rrjax.experiments.reasoner import answer_field
from rrjax.results.results import Results

TOKENS, WIDTH, VOCAB, NUMBER = 5, 3, 4, 6
SIZES = {"num_segments": 3, "chunk_size": 4, "progress": False}
SPECTRUM = SIZES | {"num_exponents": 2, "attribution": True}


def think(context: Any, state: dict[str, Any], drive: Any) -> dict[str, Any]:
    """The fast state sees the slow one and the puzzle."""
    fast = jnp.tanh((state["fast"] + state["slow"] + context["x"]) @ context["weights"])
    return state | {"fast": fast}


def answer(context: Any, state: dict[str, Any], drive: Any) -> dict[str, Any]:
    """The slow state follows the fast one."""
    return state | {"slow": 0.5 * state["slow"] + state["fast"]}


def read(context: Any, state: dict[str, Any]) -> jax.Array:
    """Plain logits."""
    return state["slow"] @ context["head"]


@dataclass
class MyCell:
    """A researcher's own cell, whose answers are judged by the first token alone."""

    params: dict[str, Any]

    def bind(self, tokens: Any, puzzle_id: Any = 0) -> rrjax.Dynamics:
        """Returns the dynamics on one puzzle."""
        context = self.params | {"x": self.params["embedding"][tokens]}
        start = jnp.linspace(-1, 1, TOKENS * WIDTH, dtype=jnp.float32).reshape(TOKENS, WIDTH)
        schedule = (Repeat(2, (Update("think", think),)), Update("answer", answer))
        initial = {"slow": start, "fast": 0.1 * start}
        return rrjax.Dynamics(initial, schedule, read, context, answer="slow")

    def is_solved(self, answers: jax.Array, labels: jax.Array) -> jax.Array:
        """Returns whether the first token is right."""
        return answers[..., 0] == labels[..., 0]


class MyPuzzles(NamedTuple):
    """Nothing but two arrays."""

    inputs: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def cell() -> MyCell:
    rng = np.random.default_rng(0)
    shapes = {"weights": (WIDTH, WIDTH), "head": (WIDTH, VOCAB), "embedding": (VOCAB, WIDTH)}
    params = {name: rng.normal(0, 1.5, shape) for name, shape in shapes.items()}
    return MyCell({name: array.astype(np.float32) for name, array in params.items()})


@pytest.fixture(scope="module")
def mine(cell) -> MyPuzzles:
    """Half of the puzzles have their first token right after the last segment."""
    inputs = np.random.default_rng(1).integers(0, VOCAB, (NUMBER, TOKENS))
    answers = [
        np.asarray(rrjax.rollout(cell.bind(row), 3).readout[-1].argmax(-1)) for row in inputs
    ]
    labels = np.array(answers)
    labels[::2, 0] = (labels[::2, 0] + 1) % VOCAB
    labels[:, 1:] = (labels[:, 1:] + 1) % VOCAB  # which its own rule does not look at
    return MyPuzzles(inputs, labels)


@pytest.fixture(scope="module")
def run(cell, mine, tmp_path_factory) -> Results:
    """A spectrum in a folder, with where its vectors lie."""
    folder = tmp_path_factory.mktemp("spectrum")
    return experiments.spectrum(cell, mine, **SPECTRUM, folder=folder)


@pytest.fixture(scope="module")
def rollouts(cell, mine) -> Results:
    return experiments.rollout(cell, mine, **SIZES)


def test_a_spectrum_with_table_figures_and_a_folder(run, cell, mine):
    assert run.solved.tolist() == NUMBER // 2 * [False, True]
    assert {"drift_slow", "drift_fast"} <= run.keys()
    for index in (0, 5):
        key = jax.random.fold_in(jax.random.key(0), index)
        expected = rrjax.spectrum(cell.bind(mine.inputs[index]), 2, 3, key=key)
        np.testing.assert_allclose(run.exponents[index], expected.exponents, atol=1e-4)
    assert np.isnan(run.q_halt).all()
    assert "50.0 %" in repr(run.summary())
    # five tokens are no square, which alone has boards
    assert run.participation_slow.shape == (NUMBER, 3, 2, TOKENS)
    assert run.plot().keys() == {"lambda1_by_outcome", "spectrum_by_outcome"}
    assert run.record["model"]["name"] == "MyCell"
    other = MyCell({name: 2 * array for name, array in cell.params.items()})
    with pytest.raises(ValueError, match="holds another run: its model is"):
        experiments.spectrum(other, mine, **SPECTRUM, folder=run.path.parent)


def test_its_parameters_are_arguments_of_the_compiled_program(cell, rollouts):
    """A copy of the cell gets what is placed on the device; the cell itself is untouched."""
    assert all(type(array) is np.ndarray for array in cell.params.values())


def test_the_other_experiments(cell, mine, rollouts):
    assert rollouts.solved[:, -1].tolist() == NUMBER // 2 * [False, True]
    assert rollouts.summary().at_end.solved.value == 0.5
    starts = experiments.basin(cell, mine, **SIZES, sigmas=[0.1], num_restarts=1, states=["fast"])
    np.testing.assert_array_equal(starts.solved[:, 0], rollouts.solved)
    noises = experiments.ptrm(cell, mine, **SIZES, num_runs=2, states=["slow"])
    np.testing.assert_array_equal(noises.solved[:, 0], rollouts.solved)
    one = MyPuzzles(mine.inputs[1:2], mine.labels[1:2])
    plane = experiments.slice(cell, one, **SIZES, grid=3, rest_segments=1, residual=0.5)
    assert plane.direction_slow.shape == (2, TOKENS, WIDTH)
    assert "3 × 3 starts" in repr(plane.summary(box_size=2))


def test_an_analysis_of_its_spectrum(run):
    analysed = experiments.analyse(run)
    assert analysed.analysis.num_solved == 3
    no_difficulty = "There are no bins of difficulty, which is known of Sudokus and mazes only."
    assert analysed.notes == [no_difficulty]


def test_puzzles_without_labels_for_each_are_refused(cell, mine):
    with pytest.raises(ValueError, match="got 6 inputs and 5 labels"):
        experiments.rollout(cell, MyPuzzles(mine.inputs, mine.labels[:5]))


def test_the_answer_is_read_from_a_named_field(cell, mine):
    assert answer_field(cell.bind(mine.inputs[0])) == "slow"
