"""Trainings at equal time, as they are drawn."""

from typing import Any

import numpy as np
import pytest

from scripts.models.figure_time import figure


def reached(config: str, solved: list[float], test_set: str = "a") -> dict[str, Any]:
    curve = {"steps": [10, 20], "minutes": [30.0, 60.0], "solved": solved, "num_puzzles": [8, 8]}
    return {"config": config, "steps": 20, "test_set": test_set, "curve": curve}


def test_each_recipe_has_its_line_over_hours():
    drawn = figure([reached("fast", [0.25, 0.5]), reached("official", [0.0, 0.125])])
    (ax,) = drawn.axes
    assert ax.get_title(loc="left") == "Recipes at equal time (8 held-out puzzles, 95 % intervals)"
    names = ax.get_legend_handles_labels()[1]
    assert names == ["fast (20 steps)", "official (20 steps)"]
    fast, official = (line for line in ax.lines if line.get_linestyle() != "None")  # without caps
    np.testing.assert_array_equal(fast.get_data(), [[0.5, 1.0], [0.25, 0.5]])
    np.testing.assert_array_equal(official.get_ydata(), [0.0, 0.125])
    assert fast.get_linestyle() != official.get_linestyle()


def test_other_test_puzzles_are_no_comparison():
    with pytest.raises(ValueError, match=r"the same test puzzles, found .*b"):
        figure([reached("fast", [0.25, 0.5]), reached("official", [0.0, 0.125], "b")])


def test_fewer_test_puzzles_are_no_comparison():
    less = reached("official", [0.0, 0.125])
    less["curve"]["num_puzzles"][0] = 4
    with pytest.raises(ValueError, match=r"the same test puzzles, found .*4"):
        figure([reached("fast", [0.25, 0.5]), less])
