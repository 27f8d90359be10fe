"""The ablation of chaos: easier puzzles on the same boards, arms, paired differences, files."""

import csv
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.puzzles import build_sudokus, generate_sudokus
from rrjax.puzzles.sudoku import BLANK_TOKEN
from rrjax.training.history import load_run
from scripts.studies import what_makes_chaos as study
from scripts.studies.along_training import Row

pytest.importorskip("matplotlib")


def row(value: float) -> Row:
    """A training of which every quantity has the same value."""
    known = Interval(value, value - 0.1, value + 0.1)
    return Row(3, 5, *[known] * (len(Row._fields) - 2))


def test_easier_puzzles_keep_board_and_clues():
    minimal = build_sudokus(generate_sudokus(6, 40, seed=1))
    easy = study.with_more_clues(minimal)
    np.testing.assert_array_equal(easy.labels, minimal.labels)
    was = minimal.inputs != BLANK_TOKEN
    now = easy.inputs != BLANK_TOKEN
    assert (now | ~was).all()
    np.testing.assert_array_equal(easy.inputs[now], easy.labels[now])
    fewest, most = study.EASY_CLUES
    assert now.sum(axis=1).min() >= fewest
    assert now.sum(axis=1).max() <= most
    assert len(set(now.sum(axis=1).tolist())) > 8
    again = study.with_more_clues(minimal)
    np.testing.assert_array_equal(easy.inputs, again.inputs)


@pytest.mark.parametrize("wrong", [{"arms": ("base",)}, {"num_seeds": 0}])
def test_a_study_without_a_comparison_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="must"):
        study.Options(tmp_path, **wrong)


def test_differences_are_paired_by_seed():
    rows = {"base": [row(0.1), row(0.5)], "fast": [row(0.3), row(0.8)]}
    found = study.compare(rows)
    assert set(found) == set(study.COMPARED)
    gain = found["chaotic"]["fast"]["chaotic"]
    assert gain["each"] == pytest.approx([0.2, 0.3])
    assert gain["low"] < 0.25 < gain["high"]


def test_the_figure_shows_trainings_without_failures_too(tmp_path):
    unknown = row(0.2)._replace(failed_lambda1=UNDEFINED, chaotic=UNDEFINED, auc=UNDEFINED)
    options = study.Options(tmp_path, num_seeds=2)
    drawn = study.figure({"base": [row(0.1), unknown], "fast": [row(0.3), row(0.4)]}, options)
    labels = [tick.get_text() for tick in drawn.axes[-1].get_xticklabels()]
    assert labels == ["base", "fast"]
    # a point with its interval for each of 2 × 2 trainings, and λ₁ of both outcomes
    assert [len(ax.containers) for ax in drawn.axes] == [4, 8, 4, 4]


def test_the_tables_say_where_nothing_is_known(capsys):
    unknown = row(0.2)._replace(auc=UNDEFINED)
    rows = {"base": [row(0.1), row(0.1)], "fast": [unknown, row(0.3)]}
    study.print_table(rows, study.compare(rows))
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert "| fast | auc | – | – |" in printed


SMALL: Any = {"steps": 2, "hidden_size": 8, "num_train": 16, "num_puzzles": 4, "num_segments": 4}


@pytest.mark.slow
def test_arms_may_have_another_recipe(tmp_path):
    options = study.Options(tmp_path, arms=("base", "easy"), num_seeds=1, **SMALL)
    study.main(replace(options, recipe="cpu_hrm_sudoku6"))
    for arm in options.arms:
        arch = load_run(tmp_path / f"{arm}-seed0").config["identity"]["config"]["arch"]
        assert (arch["name"], arch["hidden_size"]) == ("hrm", 8)


@pytest.mark.slow
def test_arms_differ_in_what_they_name_and_are_measured_on_the_same_puzzles(tmp_path, capsys):
    arms = ("base", "fast", "falling", "cycles", "width", "longer", "easy")
    options = study.Options(tmp_path, arms=arms, num_seeds=1, **SMALL)
    study.main(options)
    assert "| easy | 0 |" in capsys.readouterr().out
    configs = {arm: load_run(tmp_path / f"{arm}-seed0").config for arm in arms}
    recipes = {arm: config["identity"]["recipe"] for arm, config in configs.items()}
    arches = {arm: config["identity"]["config"]["arch"] for arm, config in configs.items()}
    assert {arm for arm in arms if recipes[arm]["optimizer"] == "muon"} == {"fast"}
    assert {arm for arm in arms if arches[arm]["swiglu"] == "normed"} == {"fast"}
    assert {arm for arm in arms if recipes[arm]["lr_min_ratio"] < 1} == {"fast", "falling"}
    assert {arm for arm in arms if arches[arm]["L_cycles"] == 6} == {"cycles"}
    assert {arm for arm in arms if arches[arm]["hidden_size"] == 16} == {"width"}
    assert {arm for arm in arms if recipes[arm]["steps"] == 6} == {"longer"}
    records = [
        json.loads((tmp_path / f"spectrum-{arm}-seed0" / "results.json").read_text())
        for arm in arms
    ]
    assert len({record["puzzles"]["sha256"] for record in records}) == 1
    with (tmp_path / "chaos.csv").open() as file:
        assert [line["training"] for line in csv.DictReader(file)] == [f"{arm} 0" for arm in arms]
    assert set(json.loads((tmp_path / "chaos.json").read_text())["differences"]) == set(
        study.COMPARED
    )
    before = (tmp_path / "chaos.csv").read_bytes()
    study.main(options)  # finished trainings and spectra are read
    assert (tmp_path / "chaos.csv").read_bytes() == before
