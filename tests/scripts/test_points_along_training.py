"""Points along a training: on a tiny model, resumed, and the step at which stability is lost."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from rrjax.models import save_model
from rrjax.puzzles.folders import write_folder
from scripts.studies import points_along_training as study
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

pytest.importorskip("matplotlib")


def test_a_point_is_followed_and_a_killed_study_goes_on(tmp_path, capsys, monkeypatch):
    first = weights(SMALL, seed=2)
    for step, scale in ((1, 0.3), (2, 0.301)):  # weights so weak that this one comes to rest
        flat = {name: scale * leaf for name, leaf in first.items()}
        save_model(tmp_path / "models" / f"step_{step}", flat, SMALL, {})
    write_folder(tmp_path / "data", {"train": puzzles(2), "test": puzzles(2)})
    options = study.Options(
        tmp_path / "models", tmp_path / "data", num_puzzles=2, num_segments=64, out=tmp_path / "out"
    )
    study.main(options)
    table = (tmp_path / "out" / "points_along_training.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert [(row["step"], row["puzzle"]) for row in rows] == [
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert all(float(row["residual"]) <= 1e-9 for row in rows)
    assert all(0 < float(row["modulus"]) < 1 for row in rows)
    assert all(float(row["moved"]) < 0.1 for row in rows[2:])  # a warm start
    assert "never" in capsys.readouterr().out

    (tmp_path / "out" / "step_000002.npz").unlink()
    study.main(options)
    assert (tmp_path / "out" / "points_along_training.csv").read_text() == table
    monkeypatch.setattr(study, "measure", None)  # nothing is measured again
    study.main(options)
    with pytest.raises(SystemExit, match="is of another study"):
        study.main(replace(options, num_puzzles=1))


def test_stability_is_lost_between_two_checkpoints():
    def row(step: int, unstable: int, exists: bool = True) -> study.Row:
        return study.Row(step, 0, 0.0, exists, 1.0, unstable, False, 0.0, 0.0, False)

    assert study.loses_stability([row(1, 0), row(2, 0), row(3, 2)], 0) == (2, 3)
    assert study.loses_stability([row(1, 0), row(2, 0, False), row(3, 2)], 0) is None
    assert study.loses_stability([row(1, 1), row(2, 0)], 0) is None
    assert np.isfinite(study.figure([row(1, 0), row(2, 1)]).axes[0].get_ylim()).all()
