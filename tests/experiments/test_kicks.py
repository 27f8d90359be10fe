"""Kicks on a tiny model: each is that of the library, and planted outcomes are summarised."""

import numpy as np
import pytest

import rrjax
from rrjax.analysis.kicks import summarize_kicks
from rrjax.experiments import kicking
from rrjax.reports.kicks import findings
from rrjax.results.results import Results
from tests.experiments.conftest import relabelled
from tests.tools.charts import rows_of_panels

SEGMENTS = 2
SIZE = 0.5


@pytest.fixture(scope="module")
def puzzles(plain):
    labels = np.stack([run.answers[SEGMENTS - 1] for run in plain])
    labels[3:] = labels[3:, ::-1]  # the second half is failed
    return relabelled(np.where(labels == 0, 1, labels))


def test_a_kick_along_a_file_is_that_of_the_library(model, puzzles, tmp_path):
    width = np.random.default_rng(0).normal(size=8).astype(np.float32)
    np.savez(tmp_path / "probe.npz", z_H=width)
    run = kicking(
        model,
        puzzles,
        segment=1,
        sizes=[SIZE],
        num_segments=SEGMENTS,
        along=[tmp_path / "probe.npz"],
        progress=False,
    )
    directions = ["v1", "loss", "entropy", "probe", "random", "nothing"]
    assert run.record["directions"] == directions
    for puzzle in (0, 4):
        dynamics = model.bind(puzzles.inputs[puzzle])
        state = rrjax.inside.state_at(dynamics, 1)
        length = SIZE * np.sqrt(sum(np.square(leaf).sum() for leaf in state))
        zero = np.zeros_like(state.z_L)
        line = type(state)(np.broadcast_to(width, zero.shape), zero)
        for place, moved in (
            (3, rrjax.inside.kick(dynamics, line, length, 1)),
            (5, dynamics),
        ):
            answer = rrjax.rollout(moved, 1 + SEGMENTS).answers[-1]
            share = np.mean((answer == puzzles.labels[puzzle])[is_open(puzzles, puzzle)])
            assert run.cells_right[puzzle, place, 0] == pytest.approx(share)
    text = " ".join(repr(run.summary()).split())
    assert "5 failures kicked after 1 segment" in text
    assert set(run.plot()) == {"solved_by_size"}
    for rows in rows_of_panels(run):
        assert {row["group"] for row in rows if "group" in row} == {*directions[:-1]}


def is_open(puzzles, puzzle: int) -> np.ndarray:
    return puzzles.labels[puzzle] != puzzles.inputs[puzzle]


def test_a_direction_is_compared_with_the_random_one_pair_by_pair():
    number = 20
    solved = np.zeros((number, 3, 1), bool)
    solved[:, 0] = True
    solved[:5, 1] = True
    values = solved.astype(float)
    planted = {
        "solved_alone": np.zeros(number, bool),
        "size": np.array([0.1]),
        "solved": solved,
        "first_solved": solved.astype(int),
        "cells_right": values,
        "margin": 3 * values,
        "lambda1": -values,
    }
    record = {
        "directions": ["loss", "random", "nothing"],
        "options": {"segment": 8, "num_segments": 16},
    }
    summary = summarize_kicks(planted, record)
    loss, random, nothing = summary.failed
    assert summary.solved == []
    assert (loss.against_random.value, nothing.against_random.value) == (0.75, -0.25)
    assert loss.against_random.low > 0.4
    assert loss.margin_against_random.value == pytest.approx(2.25)
    assert loss.lambda1_against_random is not None
    assert loss.lambda1_against_random.value == -1
    assert random.margin_against_random.value == 0
    (sentence,) = findings(Results(planted, record), summary)
    assert sentence.startswith("A kick against the gradient of the loss of 0.1 of the norm frees")
    assert "100.0 % (95 % interval 83.2 to 100.0) of 20 failures, +75 (" in sentence
    assert "may be none" not in sentence


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z_X": np.ones(8)}, r"hold arrays of fields \(z_H, z_L\); got \['z_X'\]"),
        ({"z_H": np.ones(7)}, r"z_H of .*probe.npz must have the shape \(16, 8\); got \(7,\)"),
        ({"z_L": np.full(8, np.nan)}, "z_L of .*probe.npz must be finite"),
    ],
)
def test_a_direction_that_fits_no_state_is_refused(arrays, words, model, puzzles, tmp_path):
    np.savez(tmp_path / "probe.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        kicking(model, puzzles, along=[tmp_path / "probe.npz"])


@pytest.mark.parametrize("sizes", [[], [0.0], [0.1, 0.1]])
def test_sizes_that_say_nothing_are_refused(sizes, model, puzzles):
    with pytest.raises(ValueError, match="sizes must be one or more different numbers"):
        kicking(model, puzzles, sizes=sizes)
