"""Analyses of recorded states: their shapes, groups and tables, on a small random model."""

import dataclasses

import numpy as np
import pytest

from rrjax.experiments import (
    blanks,
    dimension,
    information,
    neurons,
    recordings,
    similarity,
    states,
)
from rrjax.experiments.loading import EXPERIMENTS
from rrjax.results.results import Results
from tests.experiments.conftest import PUZZLES
from tests.tools.tiny import puzzles

SEGMENTS, NUMBER = 4, 30


@pytest.fixture(scope="module")
def recorded(model) -> Results:
    """States of puzzles half of which count as solved, from the third segment on."""
    run = states(model, puzzles(NUMBER), num_segments=SEGMENTS, chunk_size=NUMBER, progress=False)
    right = np.zeros((NUMBER, SEGMENTS), bool)
    right[::2, 2:] = True
    run.arrays["solved_by_segment"], run.arrays["solved"] = right, right[:, -1]
    return run


def test_similarity_compares_segments_by_outcome(recorded):
    run = similarity(recorded)
    for name in ("trained_z_H", "untrained_z_L"):
        assert run[f"cka_{name}"].shape == (3, SEGMENTS, SEGMENTS)
        np.testing.assert_allclose(np.diagonal(run[f"cka_{name}"], 0, 1, 2), 1)
    summary = run.summary()
    assert (summary.num_solved, summary.num_segments) == (NUMBER // 2, SEGMENTS)
    assert {row.segment for row in summary.foretelling} == {2, 3}
    early = next(row for row in summary.foretelling if row.segment == 2)
    assert (early.num_later, early.num_failed) == (NUMBER // 2, NUMBER // 2)
    assert "z_L, fresh" in repr(summary)
    cka = summary.similarities[0].mean
    z_H, _, foretold = summary.findings()
    assert f"CKA of z_H after two different segments is {cka.value:.2f} (95 %" in z_H
    assert "; with fresh weights it is" in z_H
    assert foretold.startswith("0 of 3 AUCs of the outcome")
    assert list(run.plot()) == ["similarity_matrices", "similarity_by_segment"]
    assert len(EXPERIMENTS[run.record["experiment"]].report_panels(run)) == 2


@pytest.fixture(scope="module")
def dimensions(recorded) -> Results:
    return dimension(recorded)


def test_dimension_compares_as_many_solved_as_failed(dimensions):
    run = dimensions
    assert run.record["group_sizes"] == [NUMBER, NUMBER // 2, NUMBER // 2]
    assert run["dimension_trained_z_L"].shape == (3, 3, SEGMENTS, 3)
    value, low, high = np.moveaxis(run["dimension_trained_z_H"][1], -1, 0)
    assert ((low < value) & (value < high)).all()
    assert run.record["scales"] == [30, 15]
    summary = run.summary()
    assert summary.foretelling[0].what == "1/dimension around z_H"
    linear = run["dimension_trained_z_H"][0, :, -1, 0]
    sentence, *_ = summary.findings()
    assert f"have a participation ratio of {linear[0]:.0f} (95 %" in sentence
    assert f"of 15 solved puzzles is {linear[1]:.0f} (" in sentence
    assert f"of as many failed ones {linear[2]:.0f} (" in sentence
    assert next(iter(run.plot())) == "dimension_by_segment"
    assert len(EXPERIMENTS[run.record["experiment"]].report_panels(run)) == 2


def test_a_given_cell_plays_no_part(recorded, dimensions):
    changed = {name: array.copy() for name, array in recorded.arrays.items()}
    blank = recordings(recorded)["trained"].blank
    changed["state_z_H"][~np.broadcast_to(blank[:, None], (NUMBER, SEGMENTS, 16))] = 9.0
    other = dimension(Results(changed, recorded.record, recorded.experiment))
    for name, array in dimensions.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_too_few_puzzles_or_segments_are_refused(model):
    few = states(model, PUZZLES[:4], num_segments=2, untrained=False, progress=False)
    with pytest.raises(ValueError, match=r"similarity: expected at least 5 puzzles.* found 4"):
        similarity(few)
    with pytest.raises(ValueError, match=r"dimension: expected at least 11 puzzles.* found 4"):
        dimension(few)
    once = states(model, PUZZLES, num_segments=1, untrained=False, progress=False)
    with pytest.raises(ValueError, match="similarity: expected 2 segments or more"):
        similarity(once)


def test_only_an_earlier_result_of_the_same_analysis_is_replaced(recorded, tmp_path):
    states_folder = tmp_path / "states"
    recorded.save(states_folder)
    before = (states_folder / "results.npz").read_bytes()
    with pytest.raises(ValueError, match="holds results of rrjax states: choose another folder"):
        neurons(recorded, folder=states_folder)
    assert (states_folder / "results.npz").read_bytes() == before
    (tmp_path / "notes").touch()
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        neurons(recorded, folder=tmp_path)
    for _ in range(2):
        neurons(recorded, folder=tmp_path / "neurons")


def test_information_knows_a_planted_answer(recorded):
    labels = recordings(recorded)["trained"].labels
    planted = {name: array.copy() for name, array in recorded.arrays.items()}
    planted["state_z_L"][:, -1] = np.eye(8, dtype=np.float32)[labels]
    run = information(Results(planted, recorded.record, recorded.experiment))
    assert run.after.tolist() == [1, 2, 4]
    ceiling = run["ceiling_answer"][0, 0]
    assert ceiling == pytest.approx(np.log(4), abs=0.01)
    assert run["answer_trained_z_L"][0, -1, 0] > 0.7 * ceiling
    assert (run["answer_untrained_z_L"][0, :, 0] < 0.2).all()
    assert set(run.summary().ceilings) == {"answer", "input"}
    _, z_L = run.summary().findings()
    solved, failed = run["answer_trained_z_L"][1:, -1, 0]
    assert f"tells of its digit, in nats, at least {solved:.2f} (95 %" in z_L
    assert f"{failed:.2f} (95 %" in z_L
    assert "where 1.39 is the ceiling; with fresh weights the bound is" in z_L
    assert len(EXPERIMENTS[run.record["experiment"]].report_panels(run)) == 2
    assert list(run.plot()) == ["information_plane"]


def test_neurons_find_a_channel_that_holds_the_answer_and_hide_it_in_another_basis(recorded):
    labels = recordings(recorded)["trained"].labels
    planted = {name: array.copy() for name, array in recorded.arrays.items()}
    planted["state_z_H"][..., 5] = 3 * labels[:, None]
    planted["state_z_H"][..., 6] = np.arange(16)
    run = neurons(Results(planted, recorded.record, recorded.experiment))
    assert run["answer_trained_z_H"][-1, 5] == pytest.approx(1)
    assert run["position_trained_z_H"][-1, 6] == pytest.approx(1)
    largest = next(q for q in run.summary().quantities if q.what == "answer, largest")
    assert (largest.model, largest.field) == ("trained", "z_H")
    assert largest.channels.value == pytest.approx(1)
    assert largest.random_basis.value < 0.95
    assert "The digit explains at most 1.00 (" in run.summary().findings()[1]
    assert list(run.plot()) == ["channel_shares", "temporal_profiles"]
    assert len(EXPERIMENTS[run.record["experiment"]].report_panels(run)) == 1


def test_blanks_are_nested_and_given_cells_do_not_count(model):
    run = blanks(model, PUZZLES, levels=[1, 2, 99], num_segments=2, progress=False)
    last = (PUZZLES.inputs == 1).sum(axis=1)
    np.testing.assert_array_equal(run.num_blank, np.stack([0 * last + 1, 0 * last + 2, last], 1))
    # with one blank cell all is right or nothing is
    assert set(np.unique(run.cells_right[:, 0])) <= {0.0, 1.0}
    np.testing.assert_array_equal(run.cells_right[:, 0] == 1, run.solved[:, 0])
    whole = states(model, PUZZLES, num_segments=2, untrained=False, progress=False)
    recorded = recordings(whole)["trained"]
    right = (recorded.answers == recorded.labels[:, None]) & recorded.blank[:, None]
    np.testing.assert_allclose(run.cells_right[:, -1], right.sum(2) / last[:, None], rtol=1e-6)
    assert len(run.summary().levels) == 3
    fewest, whole = run.summary().findings()
    assert fewest.startswith("With 1 of the cells blank, ")
    assert f"of {len(PUZZLES.inputs)} puzzles are solved after 1 segment and" in fewest
    assert f"{100 * run.solved[:, 2, -1].mean():.1f} % (95 %" in whole.partition(" and ")[2]
    assert list(run.plot()) == ["accuracy_by_blanks"]
    assert len(EXPERIMENTS[run.record["experiment"]].report_panels(run)) == 1


def test_blanks_need_sudokus_with_one_solution(model):
    several = dataclasses.replace(PUZZLES[:1], inputs=np.ones((1, 16), np.int32))
    with pytest.raises(ValueError, match="puzzle 0 has several solutions or none"):
        blanks(model, several, num_segments=1, progress=False)
