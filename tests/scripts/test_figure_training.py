"""What a bundled model solved along its training, as it is recorded and as it is drawn."""

from pathlib import Path

import numpy as np
import pytest

from rrjax.analysis.intervals import fraction_interval
from rrjax.models import load_model
from rrjax.puzzles import write_folder
from rrjax.training.history import Run
from scripts.models import record_curve
from scripts.models.bundle_model import curve, seconds_of
from scripts.models.figure_training import curves, figure, shares_of
from tests.tools import tiny

NAN = np.nan


def training(test_set: str) -> Run:
    metrics = {
        "step": np.array([5.0, 10, 15, 20, 30]),
        "seconds_per_step": np.array([1.0, 2, 2, 2, 2]),
        "test/exact_accuracy": np.array([NAN, 0.25, NAN, 0.5, 0.75]),
        "test/count": np.array([NAN, 8, NAN, 8, 8]),
    }
    return Run(Path(), {"identity": {"test_set": test_set}}, metrics)


def test_a_curve_has_the_evaluations_up_to_the_bundled_step():
    found = curve([training("a")], last=20)
    assert found == {"steps": [10, 20], "solved": [0.25, 0.5], "num_puzzles": [8, 8]}
    assert seconds_of([training("a")], last=20) == 5 + 15 * 2


def test_a_curve_goes_through_the_trainings_that_a_model_began_with():
    trainings = [training("other"), training("a"), training("a")]
    found = curve(trainings, last=10)
    assert found["steps"] == [40, 50, 60, 70]
    assert found["solved"] == [0.25, 0.5, 0.75, 0.25]
    assert seconds_of(trainings, last=10) == 2 * (5 + 25 * 2) + 5 + 5 * 2


def test_each_evaluation_has_its_own_number_of_puzzles():
    short = training("a")
    short.metrics["test/count"][1] = 4
    found = curve([short], last=30)
    assert found["num_puzzles"] == [4, 8, 8]
    assert shares_of(found) == [fraction_interval(k, n) for k, n in [(1, 4), (4, 8), (6, 8)]]
    (ax,) = figure({"short": found}).axes
    assert ax.get_title(loc="left") == "short (4 to 8 held-out puzzles)"


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A bundled model without a curve, whose second training `training` returns."""
    puzzles = tiny.puzzles(4)
    monkeypatch.setattr(record_curve, "BUNDLED", tmp_path)
    monkeypatch.setattr(record_curve, "load_run", lambda run: training(puzzles.digest()))
    folder = tiny.write_model(tmp_path / "model")
    write_folder(folder / "puzzles", {"test": puzzles})
    return folder


def test_a_second_training_adds_its_curve_and_nothing_else(bundled):
    before = load_model(bundled)
    record_curve.main(Path("run"), 20, "model")
    after = load_model(bundled)
    expected = {"steps": [10, 20], "solved": [0.25, 0.5], "num_puzzles": [8, 8]}
    expected |= {"training": "a second one"}
    assert after.provenance == before.provenance | {"curve": expected}
    assert after.digest == before.digest


def test_a_training_on_other_puzzles_is_refused(bundled, monkeypatch):
    monkeypatch.setattr(record_curve, "load_run", lambda run: training("other"))
    before = tiny.snapshot(bundled)
    with pytest.raises(ValueError, match="expected the test puzzles of model"):
        record_curve.main(Path("run"), 20, "model")
    assert tiny.snapshot(bundled) == before


def test_every_recorded_curve_has_a_panel_with_its_points():
    found = curves()
    assert "trm-sudoku9-hard" in found
    drawn = figure(found)
    assert len(drawn.axes) == len(found)
    for ax, (name, recorded) in zip(drawn.axes, found.items(), strict=True):
        title = ax.get_title(loc="left")
        assert f"{max(recorded['num_puzzles'])} held-out puzzles)" in title
        assert title.startswith(name)
        assert ("second training" in title) == ("training" in recorded)
        x, y = ax.lines[0].get_data()
        np.testing.assert_array_equal(x, recorded["steps"])
        assert y == pytest.approx(recorded["solved"])
