"""Long rollouts on a tiny random model: numbers, tables, figures."""

import dataclasses

import numpy as np
import pytest

from rrjax.experiments import rollout
from rrjax.models import load_model, save_model
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.sudoku import from_answers
from rrjax.puzzles.sudoku import violations as count_violations
from rrjax.results.results import Results
from tests.experiments.conftest import NUMBER, PUZZLES, make_model, relabelled
from tests.tools.jobs import SMALL
from tests.tools.tiny import weights

SEGMENTS, READOUT, UPDATES = 6, 2, 2
SIZES = {"num_segments": SEGMENTS, "chunk_size": 4, "progress": False}


@pytest.fixture(scope="module")
def labelled(plain) -> PuzzleSet:
    """A random model solves nothing: what it says at some segment is declared to be right."""
    labels = np.stack([run.logits[i % SEGMENTS].argmax(-1) for i, run in enumerate(plain)])
    labels[-1, 3:] = 0  # unknown but for three
    return relabelled(labels)


@pytest.fixture(scope="module")
def run(model, labelled) -> Results:
    return rollout(model, labelled, **SIZES)


def test_the_arrays_are_compact_and_one_number_a_segment(run):
    numbers = {name: run[name] for name in run if run.axes[name] == ("puzzle", "segment")}
    assert {name: array.dtype.name for name, array in numbers.items()} == {
        "solved": "bool",
        "token_accuracy": "float32",
        "violations": "int16",
        "changed_clues": "int16",
        "q_halt": "float32",
        "residual": "float32",
        "drift_z_H": "float32",
        "drift_z_L": "float32",
    }
    assert {array.shape for array in numbers.values()} == {(NUMBER, SEGMENTS)}
    assert all(run.units.values())
    assert (run.record["clock"], run.record["updates_per_segment"]) == ("segment", UPDATES)


def test_they_are_those_of_a_plain_rollout(plain, labelled, run):
    for index, (trajectory, label) in enumerate(zip(plain, labelled.labels, strict=True)):
        arrays = {name: run[name][index] for name in run if run.axes[name][0] == "puzzle"}
        answers, known = np.asarray(trajectory.logits.argmax(-1)), label != 0
        right = (answers == label)[:, known]
        np.testing.assert_array_equal(arrays["solved"], right.all(axis=1))
        np.testing.assert_allclose(arrays["token_accuracy"], right.mean(axis=1), rtol=1e-6)
        np.testing.assert_array_equal(arrays["violations"], count_violations(from_answers(answers)))
        given = PUZZLES.inputs[index] > 1
        changed = (answers != PUZZLES.inputs[index])[:, given].sum(axis=1)
        np.testing.assert_array_equal(arrays["changed_clues"], changed)
        np.testing.assert_allclose(arrays["q_halt"], trajectory.q_halt, rtol=1e-4, atol=1e-5)
        for name, norm in trajectory.drift._asdict().items():
            np.testing.assert_allclose(arrays[f"drift_{name}"], norm, rtol=1e-3)
        moved = np.hypot(trajectory.drift.z_H, trajectory.drift.z_L)[-1]
        size = np.linalg.norm([np.linalg.norm(leaf) for leaf in trajectory.state])
        np.testing.assert_allclose(arrays["residual"][-1], moved / size, rtol=1e-3)
    assert run.solved.any()
    assert not run.solved.all()


def test_the_summary_counts_what_the_arrays_hold(run):
    summary, solved = run.summary(readout_segment=READOUT), run.solved
    assert summary.num_puzzles == NUMBER
    assert summary.at_readout.solved.value == pytest.approx(solved[:, READOUT - 1].mean())
    assert summary.at_readout.evaluations == READOUT * UPDATES
    assert summary.at_end.solved.value == pytest.approx(solved[:, -1].mean())
    assert summary.solved_at_some.value == pytest.approx(solved.any(axis=1).mean())
    failed = ~solved[:, READOUT - 1]
    assert summary.escape.num_failures == failed.sum()
    assert summary.escape.num_escaped == solved[failed, READOUT:].any(axis=1).sum() > 0
    assert summary.escape.segments_watched == SEGMENTS - READOUT
    per_segment, per_update = summary.escape.rate_per_segment, summary.escape.rate_per_update
    assert per_segment.value == pytest.approx(UPDATES * per_update.value)
    assert summary.halting == []
    assert f"{NUMBER} puzzles" in repr(summary)
    assert run.summary().at_readout.segment == SEGMENTS  # there is no 16th


def test_halting_rules_read_the_same_run(run):
    summary = run.summary(halt_q=0.1, halt_residual=0.5, readout_segment=3)
    assert summary.at_readout.segment == 3
    by_q, by_residual = summary.halting
    assert (by_q.name, by_residual.name) == ("q_halt > 0.1", "residual < 0.5")
    for halting, halts in ((by_q, run.q_halt > 0.1), (by_residual, run.residual < 0.5)):
        at = np.where(halts.any(axis=1), halts.argmax(axis=1), SEGMENTS - 1)
        right = run.solved[np.arange(NUMBER), at]
        assert halting.accuracy.value == pytest.approx(right.mean())
        assert halting.saved == pytest.approx(1 - (at + 1).mean() / SEGMENTS)


def test_the_figures(run, tmp_path):
    run.plot(readout_segment=READOUT).save(tmp_path)
    for name in ("accuracy_against_compute", "survival_of_failures"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"readout_segment": 7}, r"readout_segment must lie in 1\.\.6, .* got 7"),
        ({"readout_segment": 0}, r"readout_segment must lie in 1\.\.6"),
        ({"halt_q": float("nan")}, "halt_q must be finite"),
        ({"halt_residual": 0.0}, "halt_residual must be finite and above 0, got 0"),
        ({"halt_residual": float("inf")}, "halt_residual must be finite and above 0"),
    ],
)
def test_a_view_that_is_none_is_refused(run, view, message):
    with pytest.raises(ValueError, match=message):
        run.summary(**view)


def test_puzzles_without_rules_have_no_violations(tmp_path):
    config = dataclasses.replace(SMALL, vocab_size=7)  # a digit more than 4x4 boards have
    save_model(tmp_path / "model", weights(config), config, {})
    meta = dataclasses.replace(PUZZLES.metadata, vocab_size=7)
    run = rollout(
        load_model(tmp_path / "model"), dataclasses.replace(PUZZLES, metadata=meta), **SIZES
    )
    assert not run.keys() & {"violations", "changed_clues"}
    assert run.summary().at_end.violations is None


def test_a_model_that_blows_up_solves_nothing_and_says_so(tmp_path):
    broken = make_model(tmp_path, H_init=np.full(8, np.nan, np.float32))
    run = rollout(broken, PUZZLES, **SIZES)
    assert not run.solved.any()
    assert f"{NUMBER} of {NUMBER} runs were not finite" in " ".join(repr(run.summary()).split())
