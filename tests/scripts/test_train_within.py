"""Training within some minutes: how many steps fit, what is reached when, and the whole, small."""

import json
from pathlib import Path

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.models import read_model
from rrjax.training.history import Run
from scripts.models import train_within as script


def run_of(**columns: list[float]) -> Run:
    config = {"identity": {"test_set": "a"}}
    return Run(Path(), config, {name: np.array(values) for name, values in columns.items()})


def test_as_many_steps_as_fit_without_the_row_that_compiled():
    trial = run_of(step=[20, 40, 60], seconds_per_step=[9.0, 0.02, 0.03])
    assert script.steps_that_fit(trial, minutes=1.0) == 3000
    assert script.steps_that_fit(trial, minutes=1.1) == 3200
    assert script.steps_that_fit(trial, minutes=0.001) == 200


def test_marks_are_reached_at_the_first_evaluation_that_is_as_good():
    metrics = {
        "step": [10, 20, 30, 40],
        "seconds_per_step": [12.0, 6.0, 6.0, 6.0],
        "test/exact_accuracy": [np.nan, 0.6, np.nan, 0.7],
        "test/count": [np.nan, 64, np.nan, 64],
    }
    result = script.reached(run_of(**metrics))
    assert result["minutes_to"] == {"0.6": 3.0, "0.85": None}
    assert result["curve"] == {
        "steps": [20, 40],
        "minutes": [3.0, 5.0],
        "solved": [0.6, 0.7],
        "num_puzzles": [64, 64],
    }
    assert result["minutes"] == 5.0


@pytest.mark.slow
def test_the_whole_is_done_once(tmp_path, monkeypatch):
    data, out = tmp_path / "sudoku4", tmp_path / "out"
    size = ["--size", "4", "--num-train", "24", "--num-test", "12"]
    assert main(["sudoku", str(data), *size]) == 0
    monkeypatch.setattr(script, "TRIAL_STEPS", 4)
    monkeypatch.setattr(script, "LOG_EVERY", 2)
    monkeypatch.setattr(script, "steps_that_fit", lambda trial, minutes: 20)
    options = script.Options(out, data, config="cpu_sudoku4")
    script.main(options)
    result = json.loads((out / "reached.json").read_text())
    assert (result["steps"], len(result["curve"]["steps"])) == (20, 10)
    models = sorted((out / "models").iterdir())
    assert [model.name for model in models] == [f"step_{step:06d}" for step in range(2, 21, 2)]
    small, large = (
        read_model(folder)[0] for folder in (models[-1], out / "run" / "models" / "best")
    )
    assert {leaf.dtype.name for leaf in small.values()} == {"bfloat16"}
    assert small.keys() == large.keys()
    before = (out / "run" / "metrics.csv").read_bytes()
    script.main(options)
    assert (out / "run" / "metrics.csv").read_bytes() == before
