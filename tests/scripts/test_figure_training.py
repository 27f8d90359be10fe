"""What a bundled model solved along its training, as it is recorded and as it is drawn."""

import numpy as np
import pytest

from rrjax.training.history import Run
from scripts.models.bundle_model import curve
from scripts.models.figure_training import curves, figure

NAN = np.nan


def test_a_curve_has_the_evaluations_up_to_the_bundled_step(tmp_path):
    metrics = {
        "step": np.array([5.0, 10, 15, 20, 30]),
        "test/exact_accuracy": np.array([NAN, 0.25, NAN, 0.5, 0.75]),
        "test/count": np.array([NAN, 8, NAN, 8, 8]),
    }
    found = curve(Run(tmp_path, {}, metrics), last=20)
    assert found == {"steps": [10, 20], "solved": [0.25, 0.5], "num_puzzles": 8}


def test_every_recorded_curve_has_a_panel_with_its_points():
    found = curves()
    assert "trm-sudoku9-hard" in found
    drawn = figure(found)
    assert len(drawn.axes) == len(found)
    for ax, (name, recorded) in zip(drawn.axes, found.items(), strict=True):
        assert ax.get_title(loc="left").startswith(f"{name} ({recorded['num_puzzles']} held-out")
        x, y = ax.lines[0].get_data()
        np.testing.assert_array_equal(x, recorded["steps"])
        assert y == pytest.approx(recorded["solved"])
