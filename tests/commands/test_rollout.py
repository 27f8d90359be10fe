"""`rrjax rollout` from end to end on a tiny random model: numbers, files, tables, figures."""

import dataclasses
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import cli, outcomes, store
from rrjax.commands import rollout as command
from rrjax.models import load_model, save_model
from rrjax.puzzles import generate_sudokus, to_tokens, write_folder
from rrjax.puzzles.sudoku import from_answers, geometry
from rrjax.puzzles.sudoku import violations as count_violations
from tests.tools.jobs import Job, run
from tests.tools.tiny import CONFIG, UPDATES, puzzles, snapshot, weights, write_model

NUMBER, SEGMENTS, READOUT, CHUNK = 7, 6, 2, 4
PUZZLES = puzzles(NUMBER)
FIGURES = {"accuracy_against_compute.png", "survival_of_failures.png"}


def arguments(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--num-segments", str(SEGMENTS), "--readout-segment", str(READOUT)]
    places = [str(model), "--puzzles", str(data), "--out", str(out)]
    return ["rollout", *places, *sizes, "--chunk-size", str(CHUNK), *more]


def trajectories(model: Path) -> list[rrjax.Trajectory]:
    bound = load_model(model)
    return [rrjax.rollout(bound.bind(tokens), SEGMENTS) for tokens in PUZZLES.inputs]


def write_data(folder: Path, labels: np.ndarray) -> Path:
    write_folder(folder, {"test": dataclasses.replace(PUZZLES, labels=labels)})
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[rrjax.Trajectory]:
    return trajectories(write_model(tmp_path_factory.mktemp("plain") / "model"))


@pytest.fixture(scope="module")
def labels(plain) -> np.ndarray:
    """A random model solves nothing: what it says at some segment is declared to be right."""
    answers = np.array([run.logits.argmax(-1) for run in plain])
    labels = np.stack([run[index % SEGMENTS] for index, run in enumerate(answers)])
    labels[-1, 3:] = 0  # unknown but for three
    return labels.astype(np.int32)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray) -> Job:
    folder = tmp_path_factory.mktemp("rollout")
    model, data = write_model(folder / "model"), write_data(folder / "data", labels)
    return Job(model, data, folder / "out", run(*arguments(model, data, folder / "out")))


@pytest.fixture(scope="module")
def results(job: Job) -> dict[str, np.ndarray]:
    return store.read_arrays(job.out / "results.npz")


def test_the_arrays_are_compact_and_one_number_a_segment(results):
    assert {name: array.dtype.name for name, array in results.items()} == {
        "solved": "bool",
        "token_accuracy": "float32",
        "violations": "int16",
        "changed_clues": "int16",
        "q_halt": "float32",
        "residual": "float32",
        "drift_z_H": "float32",
        "drift_z_L": "float32",
    }
    assert {array.shape for array in results.values()} == {(NUMBER, SEGMENTS)}


def test_they_are_those_of_a_plain_rollout(plain, labels, results):
    for index, (trajectory, label) in enumerate(zip(plain, labels, strict=True)):
        found = {name: array[index] for name, array in results.items()}
        answers, known = np.asarray(trajectory.logits.argmax(-1)), label != 0
        right = (answers == label)[:, known]
        np.testing.assert_array_equal(found["solved"], right.all(axis=1))
        np.testing.assert_allclose(found["token_accuracy"], right.mean(axis=1), rtol=1e-6)
        np.testing.assert_array_equal(found["violations"], count_violations(from_answers(answers)))
        given = PUZZLES.inputs[index] > 1
        changed = (answers != PUZZLES.inputs[index])[:, given].sum(axis=1)
        np.testing.assert_array_equal(found["changed_clues"], changed)
        np.testing.assert_allclose(found["q_halt"], trajectory.q_halt, rtol=1e-4, atol=1e-5)
        for name, norm in trajectory.drift._asdict().items():
            np.testing.assert_allclose(found[f"drift_{name}"], norm, rtol=1e-3)
        moved = np.hypot(trajectory.drift.z_H, trajectory.drift.z_L)[-1]
        size = np.linalg.norm([np.linalg.norm(leaf) for leaf in trajectory.state])
        np.testing.assert_allclose(found["residual"][-1], moved / size, rtol=1e-3)
    assert results["solved"].any()
    assert not results["solved"].all()


@pytest.mark.parametrize("size", [4, 6, 9])
def test_violations_are_those_of_the_rules(size):
    rng = np.random.default_rng(size)
    solution = to_tokens(generate_sudokus(size, 1, seed=0).solutions[0])
    units = jnp.asarray(geometry(size).units)
    assert outcomes.violations(jnp.asarray(solution), units) == 0
    for _ in range(5):
        answers = np.where(rng.random(size * size) < 0.3, rng.integers(0, size + 2), solution)
        expected = count_violations(from_answers(answers))
        assert outcomes.violations(jnp.asarray(answers), units) == expected
    empty = outcomes.violations(jnp.ones(size * size, jnp.int32), units)
    assert (int(empty), empty.dtype) == (3 * size * size, jnp.int16)


def test_the_record_says_what_the_numbers_are(job, results):
    _, record = store.read_result(job.out / "results.npz")
    assert (record["clock"], record["updates_per_segment"]) == ("segment", UPDATES)
    assert record["options"]["readout_segment"] == READOUT
    summary, solved = record["summary"], results["solved"]
    assert summary["num_puzzles"] == NUMBER
    assert summary["at_readout"]["solved"]["value"] == pytest.approx(solved[:, READOUT - 1].mean())
    assert summary["at_readout"]["evaluations"] == READOUT * UPDATES
    assert summary["at_end"]["solved"]["value"] == pytest.approx(solved[:, -1].mean())
    assert summary["solved_at_some"]["value"] == pytest.approx(solved.any(axis=1).mean())
    failed = ~solved[:, READOUT - 1]
    escape = summary["escape"]
    assert escape["num_failures"] == failed.sum()
    assert escape["num_escaped"] == solved[failed, READOUT:].any(axis=1).sum() > 0
    assert escape["segments_watched"] == SEGMENTS - READOUT
    per_segment, per_update = escape["rate_per_segment"], escape["rate_per_update"]
    assert per_segment["value"] == pytest.approx(UPDATES * per_update["value"])
    assert summary["halting"] == []


def test_every_array_has_axes_and_a_unit(job, results):
    loaded = rrjax.load_results(job.out)
    assert loaded.axes == dict.fromkeys(results, ("puzzle", "segment"))
    assert loaded.units.keys() == results.keys()
    assert all(loaded.units.values())
    assert loaded.command == "rrjax rollout"


def test_the_files_and_the_tables(job):
    files = {"sweep.json", "results.npz", "results.json", "chunks", *FIGURES}
    assert snapshot(job.out).keys() == files | {f"chunks/00000{index}.npz" for index in range(2)}
    for name in FIGURES:
        assert (job.out / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert (
        f"{NUMBER} puzzles over {SEGMENTS} segments of {UPDATES} module evaluations" in job.printed
    )
    assert "some segment" in job.printed
    assert "escapes per module evaluation" in job.printed
    assert "Early halting" not in job.printed
    assert job.printed.endswith(f"results and figures are in {job.out}")


def test_halting_and_another_readout_run_nothing_again(job, results, tmp_path, monkeypatch):
    def never(self, items):
        raise AssertionError("computed again")

    monkeypatch.setattr(command, "draw_results", lambda *_: None)
    monkeypatch.setattr(command.ChunkProgram, "__call__", never)
    rules = ("--halt-q", "0.1", "--halt-residual", "0.5", "--readout-segment", "3")
    out = shutil.copytree(job.out, tmp_path / "out")
    printed = run(*arguments(job.model, job.data, out, *rules))
    assert "Early halting, from the same runs" in printed
    _, record = store.read_result(out / "results.npz")
    by_q, by_residual = record["summary"]["halting"]
    assert (by_q["name"], by_residual["name"]) == ("q_halt > 0.1", "residual < 0.5")
    for found, halts in ((by_q, results["q_halt"] > 0.1), (by_residual, results["residual"] < 0.5)):
        at = np.where(halts.any(axis=1), halts.argmax(axis=1), SEGMENTS - 1)
        right = results["solved"][np.arange(NUMBER), at]
        assert found["accuracy"]["value"] == pytest.approx(right.mean())
        assert found["saved"] == pytest.approx(1 - (at + 1).mean() / SEGMENTS)
    assert record["summary"]["at_readout"]["segment"] == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--readout-segment", "7"), "readout_segment must lie in 1..6"),
        (("--readout-segment", "0"), "readout_segment must lie in 1..6"),
        (("--num-segments", "0"), "num_segments must be at least 1, got 0"),
        (("--halt-q", "nan"), "halt_q must be a number, got nan"),
        (("--halt-residual", "0"), "halt_residual must be a positive number, got 0"),
        (("--halt-residual", "inf"), "halt_residual must be a positive number, got inf"),
    ],
)
def test_bad_requests_are_one_message(job, tmp_path, capsys, more, message):
    assert cli.main(arguments(job.model, job.data, tmp_path / "out", *more)) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"rrjax: {message}")
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "out").exists()


def test_puzzles_without_rules_have_no_violations(tmp_path):
    config = dataclasses.replace(CONFIG, vocab_size=7)  # a digit more than 4x4 boards have
    save_model(tmp_path / "model", weights(config), config, {})
    meta = dataclasses.replace(PUZZLES.metadata, vocab_size=7)
    other = dataclasses.replace(PUZZLES, metadata=meta)
    write_folder(tmp_path / "data", {"test": other})
    printed = run(*arguments(tmp_path / "model", tmp_path / "data", tmp_path / "out"))
    assert "violations" not in printed
    assert not store.read_arrays(tmp_path / "out" / "results.npz").keys() & {
        "violations",
        "changed_clues",
    }
    _, record = store.read_result(tmp_path / "out" / "results.npz")
    assert record["summary"]["at_end"]["violations"] is None


def test_a_model_that_blows_up_solves_nothing_and_says_so(job, tmp_path):
    flat = weights() | {"H_init": np.full(8, np.nan, np.float32)}
    save_model(tmp_path / "model", flat, CONFIG, {})
    printed = run(*arguments(tmp_path / "model", job.data, tmp_path / "out"))
    assert not store.read_arrays(tmp_path / "out" / "results.npz")["solved"].any()
    assert f"{NUMBER} of {NUMBER} runs were not finite" in printed
