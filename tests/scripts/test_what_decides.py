"""What decides a puzzle: copies have the same starts, and a planted factor gets its share."""

from types import SimpleNamespace

import numpy as np
import pytest

from rrjax import load_model
from scripts.studies import what_decides as study


def test_all_copies_of_a_puzzle_have_the_same_starts(monkeypatch, tmp_path):
    asked = []

    def basin(model, puzzles, *, sigmas, num_restarts, num_segments, folder):
        asked.append((puzzles.inputs, folder.name))
        solved = np.zeros((len(puzzles), 1 + num_restarts, num_segments), bool)
        solved[:, 1:, -1] = len(asked) == 2  # those of the second copy
        return SimpleNamespace(solved=solved, sigma=np.array([0, 1.0, 1.0]))

    monkeypatch.setattr(study, "basin", basin)
    options = study.Options("trm-sudoku6", num_puzzles=4, sigmas=(1.0,), num_starts=2, num_copies=3)
    solved = study.outcomes(options, tmp_path)[1.0]
    assert solved.shape == (4, 2, 3)
    assert solved[:, :, 1].all()
    assert not solved[:, :, [0, 2]].any()
    own = load_model("trm-sudoku6").test_puzzles().inputs[:4]
    np.testing.assert_array_equal(asked[0][0], own)
    assert [name for _, name in asked] == ["copy_0", "copy_1", "copy_2"]
    assert all((np.sort(inputs) != np.sort(own)).any() for inputs, _ in asked[1:])


def test_a_factor_that_decides_alone_has_the_whole_share():
    rng = np.random.default_rng(0)
    starts = np.repeat(rng.random((60, 4, 1)) < 0.5, 4, axis=2)
    rows = dict(study.table({0.3: starts}).rows)
    assert float(rows["the start, given the puzzle"].split()[0]) == pytest.approx(1, abs=0.15)
    assert float(rows["the relabelling, given the puzzle"].split()[0]) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_puzzles": 2}, "num_puzzles must be at least 3, got 2"),
        ({"num_starts": 1}, "num_starts must be at least 2, got 1"),
        ({"num_copies": 0}, "num_copies must be at least 2, got 0"),
        ({"sigmas": ()}, "sigmas must be different numbers; got none"),
        ({"sigmas": (1.0, 1.0)}, "sigmas must be different numbers"),
        ({"sigmas": (0.0,)}, "sigmas must be finite and above 0, got 0.0"),
        ({"model": "no-such-model"}, "no-such-model"),
    ],
)
def test_a_study_without_variance_is_refused_before_it_runs(change, message, tmp_path, capsys):
    settings = {"model": "trm-sudoku6", "out": tmp_path / "out"} | change
    with pytest.raises(SystemExit) as stopped:
        study.main(study.Options(**settings))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
