"""`rrjax basin` from end to end on a tiny random model: starts, numbers, files, bad requests."""

import contextlib
import dataclasses
import functools
import itertools
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import store
from rrjax.commands import basin as command
from rrjax.commands import repeats
from rrjax.dynamics.starts import perturb
from rrjax.jobs.sweep import Unfinished
from rrjax.models import load_model, save_model
from rrjax.puzzles import write_folder
from tests.tools.jobs import SMALL, Job, printed_by
from tests.tools.tiny import CONFIG, puzzles, snapshot, weights

NUMBER, SEGMENTS, READOUT, RESTARTS, CHUNK = 5, 6, 2, 2, 4
SIGMA, REPEAT = (0.0, 0.5, 0.5, 2.0, 2.0), (0, 0, 1, 0, 1)
RUNS = len(SIGMA)
PUZZLES = puzzles(NUMBER)
FILES = {"sweep.json", "results.npz", "results.json", "chunks", "restarts_of_failures.png"}


run = functools.partial(printed_by, command.main)


def arguments(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--num-segments", str(SEGMENTS), "--readout-segment", str(READOUT)]
    starts = ["--sigmas", "0", "2", "0.5", "--num-restarts", str(RESTARTS)]
    places = [str(model), "--puzzles", str(data), "--out", str(out)]
    return [*places, *sizes, *starts, "--chunk-size", str(CHUNK), *more]


def trajectories(folder: Path, fields: tuple[str, ...] | None = None) -> list[rrjax.Trajectory]:
    """Of each puzzle its runs, stacked, from starts by their definition."""
    model = load_model(folder)
    spread = np.std(np.asarray(model.params["H_init"], np.float64), ddof=1)
    branch = jax.random.fold_in(jax.random.key(0), 2**32 - 1)

    def one(puzzle: int, sigma: float, repeat: int) -> rrjax.Trajectory:
        dynamics = model.bind(PUZZLES.inputs[puzzle])
        key = jax.random.fold_in(jax.random.fold_in(branch, puzzle), repeat)
        start = perturb(key, dynamics.initial, sigma * spread, fields)
        return rrjax.rollout(dynamics, SEGMENTS, initial=start)

    pairs = list(zip(SIGMA, REPEAT, strict=True))
    return [
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one(puzzle, *pair) for pair in pairs))
        for puzzle in range(NUMBER)
    ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[rrjax.Trajectory]:
    folder = tmp_path_factory.mktemp("plain")
    return trajectories(small_model(folder))


@pytest.fixture(scope="module")
def labels(plain) -> np.ndarray:
    """A random model solves nothing: what one run says at some segment is declared to be right."""
    said = np.array([run.logits.argmax(-1) for run in plain])  # (puzzle, run, segment, cell)
    chosen = ((0, 5), (1, 4), (3, 5), (0, 1))
    rows = [said[puzzle, run, segment] for puzzle, (run, segment) in enumerate(chosen)]
    return np.array([*rows, 7 - PUZZLES.labels[-1]]).astype(np.int32)


def small_model(folder: Path, **changed: np.ndarray) -> Path:
    save_model(folder / "model", weights(SMALL) | changed, SMALL, {})
    return folder / "model"


def write_data(folder: Path, labels: np.ndarray) -> Path:
    write_folder(folder, {"test": dataclasses.replace(PUZZLES, labels=labels)})
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray) -> Job:
    folder = tmp_path_factory.mktemp("basin")
    model, data = small_model(folder), write_data(folder / "data", labels)
    return Job(model, data, folder / "out", run(*arguments(model, data, folder / "out")))


@pytest.fixture(scope="module")
def results(job: Job) -> dict[str, np.ndarray]:
    return store.read_arrays(job.out / "results.npz")


def test_the_arrays_are_compact_and_say_what_they_are(job, results):
    expected = {
        "solved": ("bool", ["puzzle", "run", "segment"]),
        "answers": ("uint8", ["puzzle", "run", "cell"]),
        "q_halt": ("float32", ["puzzle", "run"]),
        "residual": ("float32", ["puzzle", "run"]),
        "late_drift": ("float32", ["puzzle", "run"]),
        "sigma": ("float64", ["run"]),
        "repeat": ("int64", ["run"]),
    }
    _, record = store.read_result(job.out / "results.npz")
    assert {name: (a.dtype.name, record["axes"][name]) for name, a in results.items()} == expected
    assert record["units"].keys() == record["axes"].keys() == expected.keys()
    sizes = {"puzzle": NUMBER, "run": RUNS, "segment": SEGMENTS, "cell": CONFIG.seq_len}
    for name, array in results.items():
        assert array.shape == tuple(sizes[axis] for axis in record["axes"][name])
    assert (record["clock"], record["updates_per_segment"]) == ("segment", 2)
    assert record["start_scale"] == pytest.approx(np.std(weights()["H_init"], ddof=1), rel=1e-5)


def test_the_runs_are_plain_rollouts_from_perturbed_starts(plain, labels, results):
    np.testing.assert_array_equal(results["sigma"], SIGMA)
    np.testing.assert_array_equal(results["repeat"], REPEAT)
    for index, (trajectory, label) in enumerate(zip(plain, labels, strict=True)):
        found = {name: array[index] for name, array in results.items() if array.ndim > 1}
        answers = trajectory.logits.argmax(-1)
        np.testing.assert_array_equal(found["answers"], answers[:, -1])
        np.testing.assert_array_equal(found["solved"], (answers == label).all(-1))
        np.testing.assert_allclose(found["q_halt"], trajectory.q_halt[:, -1], rtol=1e-3, atol=1e-4)
        late = trajectory.drift.z_H[:, -4:].mean(axis=1)
        np.testing.assert_allclose(found["late_drift"], late, rtol=1e-2)
    # what all this is worth: starts lead to different answers, and all kinds of puzzles are there
    assert (results["answers"] != results["answers"][:, :1]).any()
    assert results["solved"].any()
    assert not results["solved"][-1].any()


def test_the_residual_is_the_mean_of_the_last_four(job, results):
    dynamics = load_model(job.model).bind(PUZZLES.inputs[0])
    states = [rrjax.rollout(dynamics, number).state for number in range(SEGMENTS - 4, SEGMENTS + 1)]
    flat = [np.concatenate([np.ravel(leaf) for leaf in state]) for state in states]
    pairs = itertools.pairwise(flat)
    shares = [np.linalg.norm(z - before) / np.linalg.norm(z) for before, z in pairs]
    np.testing.assert_allclose(results["residual"][0, 0], np.mean(shares), rtol=1e-2)


def test_the_summary_counts_puzzles_by_what_starts_do(job, results):
    _, record = store.read_result(job.out / "results.npz")
    summary, some = record["summary"], results["solved"].any(axis=2)
    ever, always = some.any(axis=1), some.all(axis=1)
    assert summary["never_solved"] == np.flatnonzero(~ever).tolist()
    assert summary["always_solved"] == np.flatnonzero(always).tolist()
    assert summary["start_determined"] == np.flatnonzero(ever & ~always).tolist() != []
    failed = ~results["solved"][:, 0, READOUT - 1]
    assert summary["failures"] == np.flatnonzero(failed).tolist()
    assert [row["sigma"] for row in summary["by_sigma"]] == [0, 0.5, 2]
    assert [row["num_runs"] for row in summary["by_sigma"]] == [1, RESTARTS, RESTARTS]


def test_the_files_and_the_tables(job):
    chunks = {f"chunks/{index:06d}.npz" for index in range(-(-NUMBER * RUNS // CHUNK))}
    assert snapshot(job.out).keys() == FILES | chunks
    assert (job.out / "restarts_of_failures.png").read_bytes().startswith(b"\x89PNG\r\n")
    for words in (
        f"{NUMBER} puzzles from {RUNS} starts each",
        f"that z0 (σ = 0) fails at segment {READOUT}",
        f"pass@{RESTARTS}",
        "no start (the puzzle decides)",
    ):
        assert words in job.printed
    assert job.printed.endswith(f"results and a figure are in {job.out}")


def test_another_readout_runs_nothing_again(job, tmp_path, monkeypatch):
    def never(self, items):
        raise AssertionError("computed again")

    monkeypatch.setattr(command, "draw_results", lambda *_: None)
    monkeypatch.setattr(repeats.ChunkProgram, "__call__", never)
    out = shutil.copytree(job.out, tmp_path / "out")
    run(*arguments(job.model, job.data, out, "--readout-segment", "6"))
    _, record = store.read_result(out / "results.npz")
    assert record["summary"]["readout_segment"] == 6


@pytest.mark.slow
def test_chunks_and_shards_change_no_run(job, results, tmp_path):
    out = tmp_path / "sharded"
    for shard in ("1/2", "0/2"):
        with contextlib.suppress(Unfinished):
            run(*arguments(job.model, job.data, out, "--shard", shard))
    run(*arguments(job.model, job.data, out))
    found = store.read_arrays(out / "results.npz")
    for name, array in results.items():
        np.testing.assert_array_equal(found[name], array)
    run(*arguments(job.model, job.data, tmp_path / "one", "--chunk-size", "7"))
    found = store.read_arrays(tmp_path / "one" / "results.npz")
    np.testing.assert_allclose(found["late_drift"], results["late_drift"], rtol=1e-2)


def test_a_finer_grid_and_fewer_restarts_change_no_run(job, results, tmp_path):
    sweep = ("--sigmas", "0.5", "1", "--num-restarts", "1")
    run(*arguments(job.model, job.data, tmp_path / "out", *sweep))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    np.testing.assert_array_equal(found["sigma"], [0, 0.5, 1])
    for name in ("answers", "solved"):
        np.testing.assert_array_equal(found[name][:, :2], results[name][:, :2])
    np.testing.assert_allclose(found["q_halt"][:, :2], results["q_halt"][:, :2], rtol=1e-3)


def test_only_the_states_asked_for_are_disturbed(job, tmp_path):
    run(*arguments(job.model, job.data, tmp_path / "out", "--states", "z_L"))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    for index, trajectory in enumerate(trajectories(job.model, ("z_L",))):
        np.testing.assert_array_equal(found["answers"][index], trajectory.logits[:, -1].argmax(-1))


@pytest.mark.slow
def test_exponents_are_those_of_a_spectrum_from_each_start(job, results, tmp_path):
    more = ("--num-exponents", "2")
    run(*arguments(job.model, job.data, tmp_path / "out", *more))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    _, record = store.read_result(tmp_path / "out" / "results.npz")
    assert record["axes"]["exponents"] == ["puzzle", "run", "exponent"]
    assert record["units"]["exponents"] == "nats per update"
    assert found["exponents"].shape == (NUMBER, RUNS, 2)
    # of z0 as `rrjax spectrum` has them: the same frame
    key = jax.random.fold_in(jax.random.key(0), 1)
    dynamics = load_model(job.model).bind(PUZZLES.inputs[1])
    expected = rrjax.spectrum(dynamics, 2, SEGMENTS, key=key)
    np.testing.assert_allclose(found["exponents"][1, 0], expected.exponents, atol=1e-4)
    # everything else is as without them
    for name, array in results.items():
        if array.dtype == np.float32:
            np.testing.assert_allclose(found[name], array, rtol=1e-2, atol=1e-4)
        else:
            np.testing.assert_array_equal(found[name], array)


def test_a_model_that_blows_up_solves_nothing_and_says_so(job, tmp_path):
    model = small_model(tmp_path, L_init=np.full(8, np.nan, np.float32))
    printed = run(*arguments(model, job.data, tmp_path / "out"))
    assert (
        f"{NUMBER * RUNS} of {NUMBER * RUNS} runs were not finite: they count as failed." in printed
    )
    assert not store.read_arrays(tmp_path / "out" / "results.npz")["solved"].any()


def test_a_model_without_spread_is_refused(job, tmp_path):
    model = small_model(tmp_path, H_init=np.full(8, 0.5, np.float32))
    with pytest.raises(ValueError, match="no spread for sigmas to be relative to"):
        run(*arguments(model, job.data, tmp_path / "out"))


def test_another_sweep_in_the_folder_is_refused(job):
    before = snapshot(job.out)
    with pytest.raises(ValueError, match="sigma"):
        run(*arguments(job.model, job.data, job.out, "--sigmas", "0.25"))
    assert snapshot(job.out) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--sigmas", "0", "-0.1"), "sigmas must be a number not below 0, got -0.1"),
        (("--sigmas", "nan"), "sigmas must be a number not below 0, got nan"),
        (("--sigmas", "inf"), "sigmas must be a number not below 0, got inf"),
        (("--sigmas", "0.3", "1", "0.3"), "sigmas must differ from each other, got 0.3 1 0.3"),
        (("--sigmas", "0"), "sigmas must hold one above 0, got 0; without restarts"),
        (("--sigmas",), "sigmas must hold one above 0, got none"),
        (("--num-restarts", "0"), "num_restarts must be at least 1, got 0"),
        (("--readout-segment", "7"), r"readout_segment must lie in 1\.\.6"),
        (("--num-segments", "0"), "num_segments must be at least 1, got 0"),
        (("--states", "z_M"), r"states must be a list of the state's fields \(z_H, z_L\), got"),
        (("--num-exponents", "-1"), "num_exponents must be at least 0, got -1"),
        (("--num-exponents", "257"), r"num_exponents must lie in 1\.\.256"),
    ],
)
def test_bad_requests_are_one_message(job, tmp_path, more, message):
    with pytest.raises(ValueError, match=message) as error:
        run(*arguments(job.model, job.data, tmp_path / "out", *more))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
