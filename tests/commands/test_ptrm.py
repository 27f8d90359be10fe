"""`rrjax ptrm` from end to end on a tiny random model: noise, exponents, files, requests."""

import contextlib
import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
import pytest

import rrjax
from rrjax import store
from rrjax.analysis.noisy import rank_correlation
from rrjax.commands import ptrm as command
from rrjax.dynamics.noise import with_noise
from rrjax.jobs.sweep import Unfinished
from rrjax.models import load_model, save_model
from rrjax.plots.noisy import q_against_lambda1
from rrjax.puzzles import write_folder
from tests.tools.jobs import SMALL, Job, printed_by
from tests.tools.tiny import puzzles, snapshot, weights

NUMBER, SEGMENTS, ROLLOUTS, SIGMA, CHUNK = 4, 5, 4, 1.5, 6
RUNS = 1 + ROLLOUTS
PUZZLES = puzzles(NUMBER)


run = functools.partial(printed_by, command.main)


def arguments(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--num-segments", str(SEGMENTS), "--num-rollouts", str(ROLLOUTS)]
    places = [str(model), "--puzzles", str(data), "--out", str(out)]
    return [*places, *sizes, "--sigma", str(SIGMA), "--chunk-size", str(CHUNK), *more]


def noisy(folder: Path, puzzle: int, repeat: int) -> rrjax.Dynamics:
    """One rollout, by its definition."""
    branch = jax.random.fold_in(jax.random.key(0), 2**32 - 1)
    key = jax.random.fold_in(jax.random.fold_in(branch, puzzle), repeat)
    quiet = load_model(folder).bind(PUZZLES.inputs[puzzle])
    return with_noise(quiet, SEGMENTS, key=key, sigma=SIGMA, fields=["z_L"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ptrm") / "model"
    save_model(folder, weights(SMALL), SMALL, {})
    return folder


@pytest.fixture(scope="module")
def labels(model) -> np.ndarray:
    """A random model solves nothing: what one rollout ends with is declared to be right."""
    rows = [
        rrjax.rollout(noisy(model, puzzle, puzzle), SEGMENTS).logits[-1].argmax(-1)
        for puzzle in range(NUMBER - 1)
    ]
    return np.array([*rows, PUZZLES.labels[-1]]).astype(np.int32)


@pytest.fixture(scope="module")
def job(model: Path, labels: np.ndarray) -> Job:
    data, out = model.parent / "data", model.parent / "out"
    write_folder(data, {"test": dataclasses.replace(PUZZLES, labels=labels)})
    return Job(model, data, out, run(*arguments(model, data, out)))


@pytest.fixture(scope="module")
def results(job: Job) -> dict[str, np.ndarray]:
    return store.read_arrays(job.out / "results.npz")


def test_the_runs_are_noisy_rollouts_with_the_noise_held_fixed(job, labels, results):
    for puzzle, repeat in ((0, 0), (2, 1), (3, 3)):
        dynamics, place = noisy(job.model, puzzle, repeat), (puzzle, 1 + repeat)
        seen = rrjax.rollout(dynamics, SEGMENTS)
        answers = np.asarray(seen.logits.argmax(-1))
        np.testing.assert_array_equal(results["answers"][place], answers[-1])
        right = (answers == labels[puzzle]).all(-1)
        np.testing.assert_array_equal(results["solved"][place], right)
        np.testing.assert_allclose(results["q_halt"][place], seen.q_halt[-1], rtol=1e-3, atol=1e-4)
        key = jax.random.fold_in(jax.random.key(0), puzzle)
        expected = rrjax.spectrum(dynamics, 1, SEGMENTS, key=key).exponents
        np.testing.assert_allclose(results["exponents"][place], expected, atol=1e-4)


def test_the_first_run_has_no_noise(job, results):
    np.testing.assert_array_equal(results["sigma"], [0, *ROLLOUTS * [SIGMA]])
    np.testing.assert_array_equal(results["repeat"], [0, *range(ROLLOUTS)])
    bound = load_model(job.model)
    for puzzle, tokens in enumerate(PUZZLES.inputs):
        quiet = rrjax.rollout(bound.bind(tokens), SEGMENTS)
        np.testing.assert_array_equal(results["answers"][puzzle, 0], quiet.logits[-1].argmax(-1))
    assert (results["answers"][:, 1:] != results["answers"][:, :1]).any(axis=(1, 2)).all()


def test_the_record_holds_the_table(job, results):
    _, record = store.read_result(job.out / "results.npz")
    assert record["axes"].keys() == record["units"].keys() == results.keys()
    assert record["units"]["sigma"].endswith("unit of the state")
    assert (record["clock"], record["updates_per_segment"]) == ("segment", 2)
    summary, solved = record["summary"], results["solved"][:, :, -1]
    assert summary["noiseless"]["value"] == pytest.approx(solved[:, 0].mean())
    passed = summary["selection"]["pass_at"]
    assert list(passed) == ["1", "2", "4"]
    assert passed["1"]["value"] == pytest.approx(solved[:, 1:].mean())
    assert passed["4"]["value"] == pytest.approx(solved[:, 1:].any(axis=1).mean()) == 0.75
    best = results["exponents"][:, 1:, 0].argmin(axis=1)
    right = solved[:, 1:][np.arange(NUMBER), best]
    assert summary["selection"]["rules"]["smallest_lambda1"]["value"] == right.mean()
    change = summary["changes"]["some_run"]
    assert change["gained"] == np.sum(solved[:, 1:].any(axis=1) & ~solved[:, 0])
    mixed = solved[:, 1:].any(axis=1) & ~solved[:, 1:].all(axis=1)
    assert summary["correlation"]["num_mixed"] == mixed.sum() > 0
    rho = [
        rank_correlation(results["q_halt"][i, 1:], results["exponents"][i, 1:, 0])
        for i in np.flatnonzero(mixed)
    ]
    assert summary["correlation"]["spearman"]["value"] == pytest.approx(np.mean(rho))


def test_the_files_and_the_table(job):
    chunks = {f"chunks/{index:06d}.npz" for index in range(-(-NUMBER * RUNS // CHUNK))}
    files = {"sweep.json", "results.npz", "results.json", "chunks", "q_against_lambda1.png"}
    assert snapshot(job.out).keys() == files | chunks
    assert f"{NUMBER} puzzles, {ROLLOUTS} runs of {SEGMENTS} segments with noise" in job.printed
    for words in ("without noise", "pass@4", "majority vote", "smallest λ1", "mean Spearman ρ"):
        assert words in job.printed
    assert job.printed.endswith(f"results and a figure are in {job.out}")


def test_shards_change_no_bit(job, results, tmp_path):
    for shard in ("1/2", "0/2"):
        with contextlib.suppress(Unfinished):
            run(*arguments(job.model, job.data, tmp_path / "out", "--shard", shard))
    run(*arguments(job.model, job.data, tmp_path / "out"))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    assert found.keys() == results.keys()
    for name, array in results.items():
        np.testing.assert_array_equal(found[name], array)


def test_without_exponents_the_runs_are_the_same_and_there_is_no_figure(job, results, tmp_path):
    more = ("--num-exponents", "0")
    printed = run(*arguments(job.model, job.data, tmp_path / "out", *more))
    assert printed.endswith("a figure needs --num-exponents 1")
    assert "smallest residual" in printed
    assert "smallest λ1" not in printed
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    assert results.keys() - found.keys() == {"exponents"}
    np.testing.assert_array_equal(found["solved"], results["solved"])
    np.testing.assert_allclose(found["residual"], results["residual"], rtol=1e-3)
    _, record = store.read_result(tmp_path / "out" / "results.npz")
    assert record["summary"]["correlation"] is None
    with pytest.raises(ValueError, match="arrays must hold exponents"):
        q_against_lambda1(found)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--sigma", "-1"), "sigma must be a number not below 0, got -1"),
        (("--sigma", "nan"), "sigma must be a number not below 0, got nan"),
        (("--sigma", "0"), "sigma must be above 0: without noise all rollouts are the same"),
        (("--num-rollouts", "0"), "num_rollouts must be at least 1, got 0"),
        (("--num-segments", "0"), "num_segments must be at least 1, got 0"),
        (
            ("--states", "z_H", "z"),
            r"states must be a list of the state's fields \(z_H, z_L\), got",
        ),
        (("--num-exponents", "-1"), "num_exponents must be at least 0, got -1"),
    ],
)
def test_bad_requests_are_one_message(job, tmp_path, more, message):
    with pytest.raises(ValueError, match=message) as error:
        run(*arguments(job.model, job.data, tmp_path / "out", *more))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
