"""`rrjax spectrum` from end to end, on a tiny random model: numbers, files, resuming."""

import dataclasses
import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import rrjax
from rrjax import cli, store
from rrjax.commands import spectrum as command
from rrjax.models import load_model, save_model
from rrjax.puzzles import write_folder
from tests.tools.jobs import Job, run
from tests.tools.tiny import CONFIG, UPDATES, puzzles, snapshot, weights, write_model

NUMBER, EXPONENTS, SEGMENTS, CHUNK = 7, 2, 2, 3
PUZZLES = puzzles(NUMBER)


def arguments(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--num-exponents", str(EXPONENTS), "--num-segments", str(SEGMENTS)]
    places = [str(model), "--puzzles", str(data), "--out", str(out)]
    return ["spectrum", *places, *sizes, "--chunk-size", str(CHUNK), *more]


def write_data(folder: Path, labels: np.ndarray) -> Path:
    write_folder(folder, {"test": dataclasses.replace(PUZZLES, labels=labels)})
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("spectrum")
    model = write_model(folder / "model")
    data = write_data(folder / "data", PUZZLES.labels)
    printed = run(*arguments(model, data, folder / "out"))
    return Job(model, data, folder / "out", printed)


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of numbers alone: drawing takes most of the time of a compiled run."""
    monkeypatch.setattr(command, "draw_results", lambda *_: None)


@pytest.fixture(scope="module")
def results(job: Job) -> dict[str, np.ndarray]:
    return store.read_arrays(job.out / "results.npz")


def test_the_arrays_of_the_result(results):
    total = SEGMENTS * UPDATES
    assert {name: (array.shape, array.dtype.name) for name, array in results.items()} == {
        "exponents": ((NUMBER, EXPONENTS), "float32"),
        "log_growth": ((NUMBER, total, EXPONENTS), "float32"),
        "drift_z_H": ((NUMBER, SEGMENTS), "float32"),
        "drift_z_L": ((NUMBER, SEGMENTS), "float32"),
        "answers": ((NUMBER, 16), "int32"),
        "q_halt": ((NUMBER,), "float32"),
        "finite": ((NUMBER,), "bool"),
        "failed_at": ((NUMBER,), "int32"),
        "solved": ((NUMBER,), "bool"),
        "solved_by_segment": ((NUMBER, SEGMENTS), "bool"),
        "inputs": ((NUMBER, 16), "uint8"),
    }
    np.testing.assert_array_equal(results["inputs"], PUZZLES.inputs)
    assert results["finite"].all()
    np.testing.assert_allclose(results["exponents"], results["log_growth"].mean(1), atol=1e-6)
    np.testing.assert_array_equal(
        results["solved"], (results["answers"] == PUZZLES.labels).all(axis=1)
    )


def test_the_record_of_the_result(job):
    _, record = store.read_result(job.out / "results.npz")
    assert (record["clock"], record["unit"]) == ("update", "nats per update")
    assert record["options"]["num_exponents"] == EXPONENTS
    assert record["options"]["num_segments"] == SEGMENTS
    assert record["options"]["chunk_size"] == CHUNK
    assert (record["options"]["seed"], record["options"]["dtype"]) == (0, "float32")
    assert record["made_by"]["versions"]["jax"] == jax.__version__
    assert record["made_by"]["versions"]["rrjax"]
    assert record["summary"]["num_puzzles"] == NUMBER
    assert record["model"] == {
        "name": "model",
        "sha256": hashlib.sha256((job.model / "model.safetensors").read_bytes()).hexdigest(),
        "provenance": {"made": "by a test"},
    }


def test_every_array_has_axes_and_a_unit(job):
    results = rrjax.load_results(job.out)
    sizes = {
        "puzzle": NUMBER,
        "segment": SEGMENTS,
        "update": SEGMENTS * UPDATES,
        "exponent": EXPONENTS,
        "cell": 16,
    }
    assert results.axes.keys() == results.units.keys() == results.keys()
    for name, array in results.items():
        assert array.shape == tuple(sizes[axis] for axis in results.axes[name]), name
        assert results.units[name], name
    assert results.command == "rrjax spectrum"
    assert results.record["puzzles"]["vocab_size"] == 6


@pytest.mark.usefixtures("_no_figures")
def test_solved_segments_are_those_of_a_rollout(job, tmp_path):
    model = load_model(job.model)
    runs = [rrjax.rollout(model.bind(tokens), SEGMENTS) for tokens in PUZZLES.inputs]
    answers = np.array([found.logits.argmax(-1) for found in runs])
    # a random model solves nothing: what it says after segment 1 or 2, or never, is right
    labels = np.stack([answers[i, i % 2] for i in range(NUMBER)]).astype(np.int32)
    labels[4, 0] = 1 + labels[4, 0] % 4
    labels[5, 2:] = 0  # nothing is known of these cells
    labels[6] = 0
    data = write_data(tmp_path / "data", labels)
    run(*arguments(job.model, data, tmp_path / "out"))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    known = labels != 0
    right = ((answers == labels[:, None]) | ~known[:, None]).all(-1) & known.any(-1)[:, None]
    np.testing.assert_array_equal(found["solved_by_segment"], right)
    np.testing.assert_array_equal(found["solved"], right[:, -1])
    assert 0 < right.sum() < right.size


def test_the_files_and_the_table(job):
    figures = ("lambda1_by_outcome.png", "spectrum_by_outcome.png")
    chunks = {f"chunks/00000{index}.npz" for index in range(3)}
    expected = {"sweep.json", "results.npz", "results.json", "chunks", *chunks, *figures}
    assert snapshot(job.out).keys() == expected
    for name in figures:
        assert (job.out / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert f"of {NUMBER} puzzles" in job.printed
    assert "λ1" in job.printed
    assert "late drift" in job.printed
    assert job.printed.endswith(f"results and figures are in {job.out}")


@pytest.mark.parametrize("index", [0, 4])
def test_a_puzzle_has_the_exponents_that_the_library_gives(job, results, index):
    dynamics = load_model(job.model).bind(PUZZLES.inputs[index])
    key = jax.random.fold_in(jax.random.key(0), index)
    found = rrjax.spectrum(dynamics, EXPONENTS, SEGMENTS, key=key)
    np.testing.assert_allclose(results["exponents"][index], found.exponents, atol=1e-5)
    np.testing.assert_allclose(results["log_growth"][index], found.log_growth, atol=1e-4)
    np.testing.assert_allclose(results["drift_z_H"][index], found.drift.z_H, rtol=1e-4)
    answer = rrjax.rollout(dynamics, SEGMENTS).logits[-1].argmax(-1)
    np.testing.assert_array_equal(results["answers"][index], answer)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_figures")
def test_the_chunk_size_changes_nothing_beyond_round_off(job, results, tmp_path):
    run(*arguments(job.model, job.data, tmp_path / "out", "--chunk-size", "5"))
    other = store.read_arrays(tmp_path / "out" / "results.npz")
    np.testing.assert_allclose(other["exponents"], results["exponents"], atol=1e-5)
    np.testing.assert_array_equal(other["answers"], results["answers"])


@pytest.mark.usefixtures("_no_figures")
def test_fewer_puzzles_are_the_first_ones(job, results, tmp_path):
    run(*arguments(job.model, job.data, tmp_path / "out", "--num-puzzles", "4"))
    fewer = store.read_arrays(tmp_path / "out" / "results.npz")
    for name, array in fewer.items():
        np.testing.assert_array_equal(array, results[name][:4])


def count_chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the chunks that are computed from now on (traces of the check excluded)."""
    sizes: list[int] = []
    measure = command.ChunkProgram.__call__

    def counted(self, items):
        sizes.extend(len(chunk) for chunk in items)
        return measure(self, items)

    monkeypatch.setattr(command.ChunkProgram, "__call__", counted)
    return sizes


def assert_same_results(out: Path, job: Job) -> None:
    for name in ("results.npz", *(f"chunks/00000{index}.npz" for index in range(3))):
        assert (out / name).read_bytes() == (job.out / name).read_bytes(), name


# SIGKILL at the moment when the n-th chunk is written but not yet renamed.
_KILLED = """
import os, signal, sys
from rrjax import cli
replace, left = os.replace, int(sys.argv[1])
def counted(source, target):
    global left
    left -= str(target).endswith(".npz") and "chunks" in str(target)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = counted
cli.main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.usefixtures("_no_figures")
def test_a_killed_run_continues_to_the_same_bits(job, tmp_path, monkeypatch):
    command_line = arguments(job.model, job.data, tmp_path / "out")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, "2", *command_line],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    files = [path.name for path in (tmp_path / "out").rglob("*.npz")]
    assert files == ["000000.npz"]
    sizes = count_chunks(monkeypatch)
    run(*command_line)
    assert sizes == [CHUNK, CHUNK]
    assert_same_results(tmp_path / "out", job)


def test_the_same_command_again_computes_nothing(job, monkeypatch):
    sizes = count_chunks(monkeypatch)
    before = snapshot(job.out)
    assert run(*arguments(job.model, job.data, job.out)) == job.printed
    after = snapshot(job.out)
    assert sizes == []
    same = before.keys() - {"results.json"}  # which says when it was made
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        (("--seed", "1"), "its seed is 0, asked for 1"),
        (("--chunk-size", "2"), "its chunk_size is 3, asked for 2"),
        (("--num-puzzles", "3"), "its num_items is 7, asked for 3"),
        (("--num-segments", "1"), "its num_segments is 2, asked for 1"),
    ],
)
def test_another_run_into_the_same_folder_is_refused(job, capsys, more, difference):
    before = snapshot(job.out)
    assert cli.main(arguments(job.model, job.data, job.out, *more)) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"rrjax: {job.out} holds another run: {difference}")
    assert "choose another --out" in err
    assert (out, err.count("\n")) == ("", 1)
    assert snapshot(job.out) == before


def test_another_model_into_the_same_folder_is_refused(job, capsys, tmp_path):
    before = snapshot(job.out)
    model = write_model(tmp_path / "model", seed=1)
    assert cli.main(arguments(model, job.data, job.out)) == 2
    assert "holds another run: its model is" in capsys.readouterr().err
    assert snapshot(job.out) == before


@pytest.mark.usefixtures("_no_figures")
# before the second chunk; sweep.json is flushed too, and comes by a link
@pytest.mark.parametrize(("call", "left"), [("fsync", 2), ("replace", 1)])
def test_a_full_disk_is_one_message_and_a_run_to_continue(
    job, tmp_path, monkeypatch, capsys, call, left
):
    command_line = arguments(job.model, job.data, tmp_path / "out")
    real = getattr(os, call)

    def full_disk(*places):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*places)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        assert cli.main(command_line) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"rrjax: cannot write {tmp_path}/out/chunks/000001.npz: No space")
    assert snapshot(tmp_path / "out").keys() == {"sweep.json", "chunks", "chunks/000000.npz"}
    run(*command_line)
    assert_same_results(tmp_path / "out", job)


@pytest.mark.usefixtures("_no_figures")
def test_an_interrupted_run_says_that_it_continues(job, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    command_line = arguments(job.model, job.data, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(command.ChunkProgram, "__call__", interrupt)
        assert cli.main(command_line) == 130
    message = "interrupted; given again, sweeps and training go on"
    assert message in capsys.readouterr().err
    run(*command_line)
    assert_same_results(tmp_path / "out", job)


@pytest.mark.parametrize(
    ("num_solved", "words"),
    [
        (0, f"None of the {NUMBER} puzzles was solved: the AUC is undefined."),
        (4, "There are only 3 failed runs"),
        (NUMBER, f"All {NUMBER} puzzles were solved: the AUC is undefined."),
    ],
)
def test_whatever_is_solved_a_table_is_printed(job, results, tmp_path, num_solved, words):
    labels = results["answers"].copy()
    labels[num_solved:, 0] = 1 + labels[num_solved:, 0] % 4  # one wrong token fails a puzzle
    data = write_data(tmp_path / "data", labels)
    printed = run(*arguments(job.model, data, tmp_path / "out"))
    found, record = store.read_result(tmp_path / "out" / "results.npz")
    assert found["solved"].tolist() == [index < num_solved for index in range(NUMBER)]
    np.testing.assert_array_equal(found["exponents"], results["exponents"])
    assert words in printed
    assert f"Solved: {100 * num_solved / NUMBER:.1f} % (95 %" in printed
    assert record["summary"]["num_solved"] == num_solved


@pytest.mark.usefixtures("_no_figures")
def test_the_auc_counts_pairs(job, results, tmp_path):
    labels = results["answers"].copy()
    labels[3:, 0] = 1 + labels[3:, 0] % 4
    data = write_data(tmp_path / "data", labels)
    run(*arguments(job.model, data, tmp_path / "out"))
    _, record = store.read_result(tmp_path / "out" / "results.npz")
    for i in range(EXPONENTS):
        solved, failed = results["exponents"][:3, i], results["exponents"][3:, i]
        expected = np.mean(solved[:, None] < failed[None, :])
        assert record["summary"]["exponent_auc"][i]["value"] == pytest.approx(expected)


@pytest.mark.usefixtures("_no_figures")
def test_labels_that_are_ignored_do_not_count(job, results, tmp_path):
    labels = results["answers"].copy()
    labels[:, 1:9] = 0
    labels[0] = 0  # nothing is known of the first
    data = write_data(tmp_path / "data", labels)
    run(*arguments(job.model, data, tmp_path / "out"))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    assert found["solved"].tolist() == [False] + [True] * (NUMBER - 1)


def test_a_model_that_blows_up_still_gets_a_table(job, tmp_path):
    flat = weights() | {"H_init": np.full(8, np.nan, np.float32)}
    save_model(tmp_path / "model", flat, CONFIG, {})
    printed = run(*arguments(tmp_path / "model", job.data, tmp_path / "out"))
    found = store.read_arrays(tmp_path / "out" / "results.npz")
    assert not found["finite"].any()
    assert f"{NUMBER} of {NUMBER} runs were not finite" in printed
    assert (tmp_path / "out" / "lambda1_by_outcome.png").exists()


def test_without_matplotlib_the_results_are_there_all_the_same(job, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run(*arguments(job.model, job.data, tmp_path / "out"))
    assert "figures need matplotlib: pip install 'rrjax[viz]'" in capsys.readouterr().err
    assert_same_results(tmp_path / "out", job)
    assert list((tmp_path / "out").glob("*.png")) == []


@pytest.mark.slow
def test_float64_agrees_with_float32(job, results, tmp_path):
    command_line = arguments(job.model, job.data, tmp_path / "out", "--dtype", "float64")
    done = subprocess.run(
        [sys.executable, "-m", "rrjax.cli", *command_line],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    wide = store.read_arrays(tmp_path / "out" / "results.npz")
    assert wide["exponents"].dtype == np.float64
    # not equal: the initial frames are other random numbers
    assert np.isfinite(wide["exponents"]).all()
    np.testing.assert_allclose(wide["drift_z_H"], results["drift_z_H"], rtol=1e-3)
    np.testing.assert_array_equal(wide["answers"], results["answers"])


def test_the_default_chunk_fits_state_and_frame_to_the_cache(job):
    model = load_model(job.model)
    assert command.job.default_chunk(model, EXPONENTS) == 64
    wide = dataclasses.replace(CONFIG.arch, hidden_size=512)
    config = dataclasses.replace(CONFIG, arch=wide, seq_len=81)
    assert command.job.default_chunk(dataclasses.replace(model, config=config), 8) == 1
