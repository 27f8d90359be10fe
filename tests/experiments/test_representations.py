"""Analyses of recorded states: their shapes, groups and tables, on a small random model."""

import numpy as np
import pytest

from rrjax.experiments import dimension, recordings, similarity, states
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
    assert list(run.plot()) == ["similarity_matrices", "similarity_by_segment"]
    assert len(run.experiment.report_panels(run)) == 2


def test_dimension_compares_as_many_solved_as_failed(recorded):
    run = dimension(recorded)
    assert run.record["group_sizes"] == [NUMBER, NUMBER // 2, NUMBER // 2]
    assert run["dimension_trained_z_L"].shape == (3, 3, SEGMENTS, 3)
    value, low, high = np.moveaxis(run["dimension_trained_z_H"][1], -1, 0)
    assert ((low < value) & (value < high)).all()
    assert run.record["scales"] == [30, 15]
    summary = run.summary()
    assert summary.foretelling[0].what == "1/dimension around z_H"
    assert next(iter(run.plot())) == "dimension_by_segment"
    assert len(run.experiment.report_panels(run)) == 2


def test_a_given_cell_plays_no_part(recorded):
    changed = {name: array.copy() for name, array in recorded.arrays.items()}
    blank = recordings(recorded)["trained"].blank
    changed["state_z_H"][~np.broadcast_to(blank[:, None], (NUMBER, SEGMENTS, 16))] = 9.0
    other = Results(changed, recorded.record, recorded.experiment)
    for analyse in (similarity, dimension):
        for name, array in analyse(recorded).items():
            np.testing.assert_array_equal(array, analyse(other)[name], err_msg=name)


def test_too_few_puzzles_or_segments_are_refused(model):
    few = states(model, PUZZLES[:4], num_segments=2, untrained=False, progress=False)
    with pytest.raises(ValueError, match=r"similarity: expected at least 5 puzzles.* found 4"):
        similarity(few)
    with pytest.raises(ValueError, match=r"dimension: expected at least 11 puzzles.* found 4"):
        dimension(few)
    once = states(model, PUZZLES, num_segments=1, untrained=False, progress=False)
    with pytest.raises(ValueError, match="similarity: expected 2 segments or more"):
        similarity(once)
