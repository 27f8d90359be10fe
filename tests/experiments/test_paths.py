"""What results keep of the way of each run: puzzles, answers and projections by segment."""

import numpy as np
import pytest

from rrjax.experiments import paths, rollout
from rrjax.experiments.spectra import kept_segments
from rrjax.puzzles.sudoku import from_answers
from rrjax.puzzles.sudoku import violations as count_violations
from rrjax.store import read_json, write_json
from tests.experiments.conftest import PUZZLES


@pytest.mark.parametrize(
    ("num_segments", "number", "last"),
    [(1, 1, [1]), (32, 32, [31, 32]), (40, 35, [35, 38, 40]), (256, 56, [215, 235, 256])],
)
def test_snapshots_are_dense_at_first_and_then_eight_an_octave(num_segments, number, last):
    kept = paths.snapshots(num_segments)
    assert len(kept) == number
    assert kept[-len(last) :].tolist() == last
    np.testing.assert_array_equal(kept[:32], 1 + np.arange(min(num_segments, 32)))
    assert len(paths.snapshots(4096)) == 88
    # boards of attribution show the answers beside the vectors of every segment
    assert kept_segments(256, attribution=True).tolist() == [*range(1, 257)]
    assert len(kept_segments(256, attribution=False)) == 56


def test_restarts_have_fewer_snapshots_and_many_of_them_have_none():
    kept = paths.snapshots_of_runs(16, 8192)
    assert kept.tolist() == [*range(1, 9), 10, 11, 13, 16]
    assert len(paths.snapshots_of_runs(16, 8193)) == 0


def test_a_long_rollout_keeps_the_answers_of_its_snapshots(model, tmp_path):
    options = {"num_segments": 40, "chunk_size": 4, "folder": tmp_path, "progress": False}
    run = rollout(model, PUZZLES, **options)
    kept = paths.snapshots(40)
    np.testing.assert_array_equal(run.snapshot, kept)
    np.testing.assert_array_equal(run.inputs, PUZZLES.inputs)
    np.testing.assert_array_equal(run.labels, PUZZLES.labels)
    boards = from_answers(run.answers_by_segment.reshape(-1, 16))
    expected = run.violations[:, kept - 1]
    np.testing.assert_array_equal(count_violations(boards).reshape(expected.shape), expected)
    changed = run.answers_by_segment != run.inputs[:, None]
    changed &= run.inputs[:, None] > 1
    np.testing.assert_array_equal(changed.sum(-1), run.changed_clues[:, kept - 1])
    data = run.to_xarray()
    assert data["answers_by_segment"].dims == ("puzzle", "snapshot", "cell")
    np.testing.assert_array_equal(data["snapshot"], kept)
    assert 0 < run.projection_variance.sum() <= 1
    # chunks of an earlier version lack these arrays
    record = read_json(tmp_path / "sweep.json")
    for name in paths.IDENTITY:
        del record["identity"][name]
    write_json(tmp_path / "sweep.json", record)
    with pytest.raises(ValueError, match="its kept_by_segment is None, asked for answers, q_halt"):
        rollout(model, PUZZLES, **options)
