"""The search-and-capture toy: the seeds' numbers, the table, the files, and bad requests."""

import inspect

import numpy as np
import pytest

import rrjax
from rrjax.experiments import toy, toys
from rrjax.results.results import Results
from rrjax.systems.toy import CAPTURE_RADIUS

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
def run() -> Results:
    return toy(num_runs=RUNS)


def test_every_array_has_axes_and_a_unit(run):
    sizes = {"run": RUNS, "readout": 7}
    for name, array in run.items():
        assert array.shape == tuple(sizes[axis] for axis in run.axes[name]), name
    assert all(run.units.values())
    assert run.record["unit"] == "nats per update"
    assert run.record["options"]["num_runs"] == RUNS
    assert run.exponents.dtype == np.float64


@pytest.mark.parametrize("time", [4, 16])
def test_exponents_and_outcomes_are_those_of_the_recursion(run, time):
    (index,) = np.flatnonzero(run.readout_times == time)
    exponents, solved = reference(RUNS, time)
    np.testing.assert_allclose(run.exponents[:, index], exponents, atol=1e-9)
    np.testing.assert_array_equal(run.solved[:, index], solved)


@pytest.mark.slow
def test_the_seeds_numbers_come_out():
    run = toy(readout_times=(16,))
    exponents, solved = run.exponents[:, 0], run.solved[:, 0]
    assert solved.mean() == pytest.approx(0.622, abs=5e-4)
    assert run.auc[0] == pytest.approx(0.966, abs=5e-4)
    assert np.median(exponents[solved]) == pytest.approx(-0.097, abs=5e-4)
    assert np.median(exponents[~solved]) == pytest.approx(0.682, abs=5e-4)


def test_the_auc_rises_while_the_failures_vanish(run):
    known = run.auc[~np.isnan(run.auc)]
    assert (np.diff(known) > 0).all()
    assert known[-1] > 0.99
    assert (np.diff(run.failed) <= 0).all()
    assert run.failed[-1] == 0
    assert np.isnan(run.auc[-1])
    text = " ".join(repr(run.summary()).split())
    assert f"{RUNS} runs" in text
    assert "AUC rises with T" in text
    assert "while the failures vanish" in text


def test_capture_times_say_who_is_solved(run):
    late = run.capture_time[:, None] <= run.readout_times[None, :-1]
    np.testing.assert_array_equal(run.solved[:, :-1], late)
    assert run.capture_time.min() >= 1


def test_the_summary_counts_the_runs(run):
    summary = run.summary()
    assert summary.num_failed == [int(number) for number in np.sum(~run.solved, axis=0)]
    column = run.exponents[:, 2]
    assert summary.failed_lambda1[2] == pytest.approx(np.median(column[~run.solved[:, 2]]))
    assert np.isnan(summary.failed_lambda1[-1])


def test_a_folder_holds_the_same(tmp_path):
    kept = toy(num_runs=20, readout_times=[2, 4], folder=tmp_path)
    loaded = rrjax.load_results(tmp_path)
    for name, array in kept.items():
        np.testing.assert_array_equal(loaded[name], array)
    assert loaded.plot(shown_time=4).keys() == {"toy"}
    with pytest.raises(ValueError, match=r"shown_time must be one of .*\(2, 4\), got 3"):
        loaded.plot(shown_time=3)


def test_the_default_radius_is_that_of_the_system():
    assert inspect.signature(toy).parameters["radius"].default == CAPTURE_RADIUS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_runs": 0}, "num_runs must be at least 1, got 0"),
        (
            {"num_runs": 99999, "readout_times": (16, 99999)},
            "num_runs times the last of readout_times must be at most 2147483647, got 9999800001",
        ),
        ({"readout_times": ()}, "readout_times must be one time or more, got none"),
        ({"readout_times": (0, 4)}, "readout_times must be at least 1, got 0"),
        ({"radius": 0.0}, "radius must be above 0 and below 0.15, got 0"),
        ({"radius": 0.15}, "radius must be above 0 and below 0.15, got 0.15"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_a_bad_request_is_one_message_and_writes_nothing(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        toy(folder=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_too_little_memory_names_the_number_of_runs(monkeypatch):
    def run_out(*arguments):
        raise MemoryError

    monkeypatch.setattr(toys, "_measure", run_out)
    with pytest.raises(MemoryError, match=r"out of memory; fewer runs \(--num-runs\)"):
        toy(num_runs=10)
