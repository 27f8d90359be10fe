"""Runs read back, and tables over seeds."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rrjax.commands.runs import main
from rrjax.training.history import aggregate_runs, load_run
from rrjax.training.logs import CsvLog


def write_run(folder: Path, seed: int, values: list[float], **more: object) -> Path:
    """A run of ten steps for each evaluation, of `steps` in all."""
    recipe = {"seed": seed, "steps": 30, "lr": 1e-3, "augmentation": {"objective": "clean_ce"}}
    recipe |= {name: value for name, value in more.items() if name != "arch"}
    config = {"arch": {"name": more.get("arch", "trm")}}
    folder.mkdir(parents=True)
    identity = {"config": config, "recipe": recipe}
    record = {"format": "training run 1", "identity": identity, "num_weights": {"trained": 7}}
    (folder / "config.json").write_text(json.dumps(record))
    table = CsvLog(folder / "metrics.csv")
    for index, value in enumerate(values):
        table.append([{"step": 10 * index + 5, "loss": 1.0}])
        table.append([{"step": 10 * index + 10, "loss": 0.5, "test/exact_accuracy": value}])
    return folder


CURVES = {0: [0.1, 0.5, 0.4], 1: [0.2, 0.3, 0.6], 2: [0.3, 0.4, 0.2]}


@pytest.fixture
def runs(tmp_path) -> Path:
    for seed, curve in CURVES.items():
        write_run(tmp_path / "plain" / f"seed{seed}", seed, curve)
        perturbed = {"augmentation": {"objective": "multi_perturbed_ce"}}
        write_run(tmp_path / "noisy" / f"seed{seed}", seed, [c + 0.2 for c in curve], **perturbed)
    return tmp_path


def test_a_run_comes_back_as_arrays(runs):
    run = load_run(runs / "plain" / "seed1")
    assert run.config["num_weights"] == {"trained": 7}
    np.testing.assert_array_equal(run.metrics["step"], [5, 10, 15, 20, 25, 30])
    np.testing.assert_array_equal(run.metrics["loss"], [1, 0.5] * 3)
    nan = math.nan
    expected = [nan, 0.2, nan, 0.3, nan, 0.6]
    np.testing.assert_array_equal(run.metrics["test/exact_accuracy"], expected)
    np.testing.assert_array_equal(run.evaluations(), CURVES[1])
    assert run.evaluations("accuracy").shape == (0,)
    np.testing.assert_array_equal(run.evaluated, [False, True] * 3)
    assert run.finished


def test_a_run_without_an_evaluation_has_no_evaluated_row(tmp_path):
    folder = write_run(tmp_path / "plain", 0, [])
    CsvLog(folder / "metrics.csv").append([{"step": 5, "loss": 1.0}])
    run = load_run(folder)
    np.testing.assert_array_equal(run.evaluated, [False])
    assert run.evaluations().shape == (0,)


def test_groups_have_best_and_final_with_student_intervals(runs):
    plain, noisy = aggregate_runs(runs, by=("recipe.augmentation.objective",))
    assert plain.by == {"recipe.augmentation.objective": "clean_ce"}
    assert noisy.by == {"recipe.augmentation.objective": "multi_perturbed_ce"}
    assert (plain.num_runs, plain.num_unfinished, plain.varying) == (3, 0, ())
    assert plain.best.each == (0.5, 0.6, 0.4)
    assert plain.final.each == (0.4, 0.6, 0.2)
    assert plain.best.median == 0.5
    for estimate in (plain.best, plain.final, noisy.best, noisy.final):
        mean, error = np.mean(estimate.each), stats.sem(estimate.each)
        low, high = stats.t.interval(0.95, 2, mean, error)
        np.testing.assert_allclose(estimate.mean.ends, (mean, low, high), rtol=1e-12)
    assert noisy.final.mean.value == pytest.approx(plain.final.mean.value + 0.2)


def test_groups_come_in_order_of_their_values(tmp_path):
    rates = (1e-1, 1e-5, 3e-4)
    for rate in rates:
        write_run(tmp_path / str(rate), 0, [0.5], lr=rate)
    found = [group.by["recipe.lr"] for group in aggregate_runs(tmp_path, by=("recipe.lr",))]
    assert found == sorted(rates)


def test_a_record_without_a_recipe_is_refused(tmp_path):
    folder = write_run(tmp_path / "run", 0, [0.5])
    for identity in ([], {"recipe": 3}, {"recipe": {"lr": 1}}):
        record = {"format": "training run 1", "identity": identity}
        (folder / "config.json").write_text(json.dumps(record))
        with pytest.raises(ValueError, match=r"an integer as the entry identity\.recipe\.steps"):
            load_run(folder)


def test_groups_say_what_else_varies_and_what_is_not_finished(runs):
    write_run(runs / "hot", 0, [0.9], lr=1.0)
    whole = aggregate_runs(runs)
    assert len(whole) == 1
    assert (whole[0].by, whole[0].num_runs, whole[0].num_unfinished) == ({}, 7, 1)
    assert whole[0].varying == ("recipe.lr", "recipe.augmentation.objective")


def test_the_same_run_twice_is_refused(runs):
    write_run(runs / "copy", 1, CURVES[1])
    with pytest.raises(ValueError, match=r"copy and .*seed1 are the same run"):
        aggregate_runs(runs)


def test_an_unknown_key_or_metric_is_refused_with_the_known_ones(runs):
    with pytest.raises(ValueError, match=r"has no 'recipe\.sed'; it has .*recipe\.seed, "):
        aggregate_runs(runs, by=("recipe.sed",))
    with pytest.raises(ValueError, match="metric 'loss', found exact_accuracy in 6 runs"):
        aggregate_runs(runs, metric="loss")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"is not a training run: expected config\.json and metrics\.csv"
    ):
        load_run(tmp_path)
    with pytest.raises(ValueError, match="found none with any in 0 runs"):
        aggregate_runs(tmp_path)


@pytest.mark.parametrize("entry", [{}, {"format": "training run 0"}, {"format": "sweep 1"}])
def test_a_run_of_another_version_is_refused_by_name(tmp_path, entry):
    folder = write_run(tmp_path / "run", 0, [0.5])
    record = json.loads((folder / "config.json").read_text())
    assert load_run(folder).config == record
    del record["format"]
    (folder / "config.json").write_text(json.dumps(record | entry))
    for read in (lambda: load_run(folder), lambda: aggregate_runs(tmp_path)):
        with pytest.raises(ValueError, match=r"run/config\.json .* reads 'training run 1' only"):
            read()


def test_the_command_prints_a_row_a_group_and_what_to_mind(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    write_run(runs / "alone", 0, [0.25], arch="hrm")
    main([str(runs), "--by", "config.arch.name", "recipe.augmentation.objective"])
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "multi_perturbed_ce" in line)
    assert "0.700 (0.452 to 0.948)" in row
    assert "hrm, clean_ce: one run, whose interval is not known." in printed
    assert "hrm, clean_ce: 1 of 1 are not finished." in printed
