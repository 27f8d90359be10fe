"""`rrjax toy` from end to end: the seeds' numbers, the files, the words, and bad requests."""

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest

import rrjax
from rrjax import cli, store
from rrjax.commands.toy import Options, measure
from rrjax.plots.toy import toy_message, toy_panel

RUNS = 3000


def reference(num_runs: int, time: int) -> tuple[np.ndarray, np.ndarray]:
    """Exponent and success of every run, by the recursion with a flag for captured runs."""
    rng = np.random.default_rng(0)
    solution, x = rng.uniform(0.15, 0.85, num_runs), rng.uniform(0, 1, num_runs)
    captured, total = np.zeros(num_runs, bool), np.zeros(num_runs)
    for _ in range(time):
        total += np.where(captured, np.log(0.5), np.log(np.abs(4 - 8 * x)))
        moved = np.where(captured, (x + solution) / 2, 4 * x * (1 - x))
        captured |= np.abs(moved - solution) < 0.04
        x = moved
    return total / time, captured & (np.abs(x - solution) < 0.05)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("toy") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main(["toy", "--num-runs", str(RUNS), "--out", str(folder)]) == 0
    return folder, " ".join(out.getvalue().split())


@pytest.fixture(scope="module")
def results(job) -> dict[str, np.ndarray]:
    return store.read_result(job[0] / "results.npz")[0]


def test_every_array_has_axes_and_a_unit(job, results):
    loaded, sizes = rrjax.load_results(job[0]), {"run": RUNS, "readout": 7}
    assert loaded.axes.keys() == loaded.units.keys() == results.keys()
    for name, array in results.items():
        assert array.shape == tuple(sizes[axis] for axis in loaded.axes[name]), name
    assert all(loaded.units.values())
    assert loaded.command == "rrjax toy"


@pytest.mark.parametrize("time", [4, 16])
def test_exponents_and_outcomes_are_those_of_the_recursion(results, time):
    (index,) = np.flatnonzero(results["readout_times"] == time)
    exponents, solved = reference(RUNS, time)
    np.testing.assert_allclose(results["exponents"][:, index], exponents, atol=1e-9)
    np.testing.assert_array_equal(results["solved"][:, index], solved)


@pytest.mark.slow
def test_the_seeds_numbers_come_out():
    results = measure(Options(readout_times=(16,)))
    exponents, solved = results["exponents"][:, 0], results["solved"][:, 0]
    assert solved.mean() == pytest.approx(0.622, abs=5e-4)
    assert results["auc"][0] == pytest.approx(0.966, abs=5e-4)
    assert np.median(exponents[solved]) == pytest.approx(-0.097, abs=5e-4)
    assert np.median(exponents[~solved]) == pytest.approx(0.682, abs=5e-4)


def test_the_auc_rises_while_the_failures_vanish(results, job):
    known = results["auc"][~np.isnan(results["auc"])]
    assert (np.diff(known) > 0).all()
    assert known[-1] > 0.99
    assert (np.diff(results["failed"]) <= 0).all()
    assert results["failed"][-1] == 0
    assert np.isnan(results["auc"][-1])
    assert "AUC rises with T" in job[1]
    assert "while the failures vanish" in job[1]


def test_the_files_and_the_record(job, results):
    folder, printed = job
    assert {path.name for path in folder.iterdir()} == {"results.npz", "results.json", "toy.png"}
    record = store.read_result(folder / "results.npz")[1]
    assert record["unit"] == "nats per update"
    assert record["options"]["num_runs"] == RUNS
    assert str(folder) not in (folder / "results.json").read_text()
    assert f"{RUNS} runs" in printed
    assert results["exponents"].shape == results["solved"].shape == (RUNS, 7)
    assert results["capture_time"].min() >= 1


def test_capture_times_say_who_is_solved(results):
    late = results["capture_time"][:, None] <= results["readout_times"][None, :-1]
    np.testing.assert_array_equal(results["solved"][:, :-1], late)


def test_without_matplotlib_there_are_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = ["--num-runs", "20", "--readout-times", "2", "4", "--shown-time", "4"]
    assert cli.main(["toy", *options, "--out", str(tmp_path)]) == 0
    assert "no figure: figures need matplotlib" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"results.npz", "results.json"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-runs", "0"), "num_runs must be at least 1, got 0"),
        (
            ("--num-runs", "99999", "--readout-times", "16", "99999"),
            "num_runs times the last of readout_times must be at most 2147483647, got 9999800001",
        ),
        (("--readout-times", "0", "16"), "readout_times must be at least 1, got 0"),
        (("--shown-time", "17"), "shown_time must be one of the readout times"),
        (("--radius", "0"), "radius must lie between 0 and 0.15, got 0"),
        (("--radius", "nan"), "radius must lie between 0 and 0.15, got nan"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
    ],
)
def test_a_bad_request_is_one_message_and_writes_nothing(tmp_path, capsys, options, message):
    assert cli.main(["toy", "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("auc", "failed", "message"),
    [
        ([0.8, 0.9, np.nan], [0.5, 0.2, 0.0], "AUC rises with T, from 0.800 at 4 to 0.900 at 8"),
        ([0.9, 0.8, np.nan], [0.5, 0.2, 0.0], "AUC does not rise with T"),
        ([0.8, 0.9, 0.9], [0.2, 0.2, 0.2], "failures do not become fewer: 20.0 % of runs at 4"),
        ([0.8, 0.9, 0.9], [0.2, 0.2, 0.1], "while the failures become fewer: 20.0 % of runs at 4"),
        ([0.8, 0.9, np.nan], [0.2, 0.2, 0.0], "while the failures vanish: 20.0 % of runs at 4"),
        ([0.8, np.nan, np.nan], [0.2, 0.0, 0.0], "nothing to compare"),
    ],
)
def test_the_words_follow_the_numbers(auc, failed, message):
    assert message in toy_message([4, 8, 16], auc, failed)


def test_the_figure_carries_the_message_and_both_groups():
    solved = np.arange(20) < 12
    times, auc, failed = [4, 8, 16], [0.8, 0.9, np.nan], [0.5, 0.2, 0.0]
    figure = toy_panel(np.linspace(-0.6, 0.6, 20), solved, 8, times, auc, failed)
    left, right = figure.axes
    assert right.get_title(loc="left") == toy_message(times, auc, failed)
    names = [text.get_text() for text in left.get_legend().get_texts()]
    assert {"solved (n = 12)", "failed (n = 8)"} <= set(names)
    first, second = right.get_lines()
    assert first.get_marker() != second.get_marker()
    assert first.get_linestyle() != second.get_linestyle()
    assert any("no AUC" in text.get_text() for text in right.texts)
    assert "updates" in right.get_xlabel()
    assert "nats per update" in left.get_xlabel()
