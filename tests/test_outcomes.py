"""Valid paths: the compiled check against the plain one, in evaluations and in rollouts."""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrjax
from rrjax import outcomes, store
from rrjax.cells import Config, param_shapes
from rrjax.models import save_model
from rrjax.puzzles import PuzzleSet, build_mazes, generate_mazes, write_folder
from rrjax.puzzles.maze import (
    FREE,
    PATH,
    VOCAB_SIZE,
    Mazes,
    is_shortest_path,
    is_valid_path,
    parse_maze,
    path_lengths,
)
from rrjax.puzzles.maze_generate import MazeRequest
from rrjax.training.evaluate import StartNoise, evaluate
from tests.tools import tiny_training as tiny
from tests.tools.jobs import run

SIZE, NUMBER = 6, 6
ARCH = dataclasses.replace(tiny.ARCH, halt_max_steps=2, puzzle_emb_ndim=0)
CONFIG = Config(ARCH, seq_len=SIZE * SIZE, vocab_size=VOCAB_SIZE)
check = jax.jit(jax.vmap(outcomes.is_valid_path))
check_shortest = jax.jit(jax.vmap(outcomes.is_shortest_path))
lengths = jax.jit(jax.vmap(outcomes.path_length))


@functools.cache
def mazes() -> Mazes:
    found = zip(range(NUMBER), generate_mazes(MazeRequest(SIZE, 8), seed=2), strict=False)
    return Mazes(*map(np.stack, zip(*(maze for _, maze in found), strict=True)))


def dead_ends() -> tuple[np.ndarray, np.ndarray]:
    """The first maze again and again, each time with one more cell marked than its path has."""
    question, answer = (side[0] for side in mazes())
    free = np.flatnonzero(answer == FREE)
    answers = np.tile(answer, (len(free), 1))
    answers[np.arange(len(free)), free] = PATH
    return np.tile(question, (len(free), 1)), answers


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.05, 0.3]))
def test_it_is_the_plain_check(seed, rate):
    """Paths, and paths with cells marked, unmarked, or set to any token."""
    rng = np.random.default_rng(seed)
    questions, answers = mazes()
    changed = np.where(rng.random(answers.shape) < rate, PATH, answers)
    answers = np.where(questions == FREE, changed, answers)
    wild = rng.integers(0, VOCAB_SIZE, answers.shape)
    answers = np.where(rng.random(answers.shape) < rate / 4, wild, answers).astype(np.int32)
    np.testing.assert_array_equal(check(questions, answers), is_valid_path(questions, answers))
    shortest = check_shortest(questions, answers, lengths(questions))
    np.testing.assert_array_equal(shortest, is_shortest_path(questions, answers))


def test_lengths_of_paths_are_the_plain_ones():
    questions = np.array(mazes().questions)
    questions[1] = parse_maze("S####G" + "######" * 5)
    questions[2] = parse_maze("SG####" + "######" * 5)
    np.testing.assert_array_equal(lengths(questions), path_lengths(questions))
    assert lengths(questions)[1:3].tolist() == [-1, 1]


def test_dead_ends_are_valid_and_gaps_are_not():
    questions, answers = mazes()
    assert check(questions, answers).all()
    assert not check(questions, questions).any()
    gaps = answers.copy()
    for row in gaps:
        row[np.flatnonzero(row == PATH)[1]] = FREE
    assert not check(questions, gaps).any()
    found = np.asarray(check(*dead_ends()))
    np.testing.assert_array_equal(found, is_valid_path(*dead_ends()))
    assert 0 < found.sum() < len(found)


def copying() -> dict[str, np.ndarray]:
    """Weights of a cell that answers what it is asked: the embedding goes through, nothing else."""
    flat = {name: np.zeros(shape, np.float32) for name, shape in param_shapes(CONFIG).items()}
    for name in ("embed_tokens.embedding_weight", "lm_head.weight"):
        flat[name] = np.eye(*flat[name].shape, dtype=np.float32)
    return flat


def puzzles() -> PuzzleSet:
    """Five mazes; in the first two S is beside G, so that to mark nothing is a path, not the label.

    The second is labelled with just that.
    """
    question = parse_maze("SG####" + "  ####" + "######" * 4)
    detour = parse_maze("SG####" + "oo####" + "######" * 4)
    others = mazes()
    questions = np.stack([question, question, *others.questions[:3]])
    return build_mazes(Mazes(questions, np.stack([detour, question, *others.answers[:3]])))


def test_an_evaluation_counts_valid_answers_whatever_the_label():
    """In batches of four, the last one padded."""
    for noise in (None, StartNoise(0.0, 1)):
        found = evaluate(copying(), CONFIG, puzzles(), 4, 5, noise=noise)
        assert (found["count"], found["exact_accuracy"]) == (5, pytest.approx(0.2))
        assert found["valid_path"] == pytest.approx(0.4)
    assert "valid_path" not in evaluate(tiny_weights(), tiny.CONFIG, tiny.sets()[1], 8, 4)


@functools.cache
def tiny_weights() -> dict[str, np.ndarray]:
    shapes = param_shapes(tiny.CONFIG)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_a_rollout_has_valid_paths_with_axes_a_unit_and_a_row(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("rrjax.reports.terminal.draw_results", lambda *_: None)
    save_model(tmp_path / "model", copying(), CONFIG, {"made": "by a test"})
    write_folder(tmp_path / "data", {"test": puzzles()})
    places = [str(tmp_path / "model"), "--puzzles", str(tmp_path / "data"), "--out"]
    sizes = ["--num-segments", "3", "--readout-segment", "2", "--chunk-size", "2"]
    words = run("rollout", *places, str(tmp_path / "out"), *sizes)
    arrays, record = store.read_result(tmp_path / "out" / "results.npz")
    assert arrays["valid_path"].dtype == bool
    assert (arrays["valid_path"] == [[True], [True], [False], [False], [False]]).all()
    assert arrays["exact_match"].sum(1).tolist() == [0, 3, 0, 0, 0]
    assert arrays["solved"].sum(1).tolist() == [3, 3, 0, 0, 0]
    assert "violations" not in arrays
    loaded = rrjax.load_results(tmp_path / "out")
    assert loaded.axes["valid_path"] == ("puzzle", "segment")
    assert "joins S to G" in loaded.units["valid_path"]
    assert record["summary"]["at_readout"]["valid_path"]["value"] == pytest.approx(0.4)
    assert record["summary"]["at_readout"]["solved"]["value"] == pytest.approx(0.4)
    assert "valid paths" in words
