"""The commands that run experiments: options, printing, files, exit codes, kills and full disks."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rrjax import cli, store
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import save_model
from rrjax.puzzles.folders import write_folder
from tests.tools.jobs import SMALL, Job, run
from tests.tools.tiny import puzzles, snapshot, weights

NUMBER, CHUNK = 7, 3
SIZES = ["--num-segments", "2", "--chunk-size", str(CHUNK)]
OPTIONS = {
    "spectrum": ["--num-exponents", "2"],
    "rollout": ["--readout-segment", "1", "--halt-q", "0.1"],
    "basin": ["--sigmas", "0.5", "--num-restarts", "1"],
    "ptrm": ["--num-runs", "2"],
    "slice": ["--puzzle", "1", "--grid", "3", "--rest-segments", "1", "--box-size", "2"],
}
FIGURES = {
    "spectrum": ("lambda1_by_outcome", "spectrum_by_outcome"),
    "rollout": ("accuracy_against_compute", "survival_of_failures"),
    "basin": ("restarts_of_failures",),
    "ptrm": ("q_against_lambda1",),
    "slice": ("settling", "answers"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("commands")
    save_model(folder / "model", weights(SMALL), SMALL, {"made": "by a test"})
    write_folder(folder / "data", {"test": puzzles(NUMBER)})
    return folder / "model", folder / "data"


def arguments(places: tuple[Path, Path], command: str, out: Path, *more: str) -> list[str]:
    model, data = places
    where = [str(model), "--puzzles", str(data), "--out", str(out)]
    return [command, *where, *SIZES, *OPTIONS[command], *more]


@pytest.fixture(scope="module")
def job(places, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished spectrum."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return Job(*places, out, run(*arguments(places, "spectrum", out)))


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of other things: drawing takes most of the time of a compiled run."""
    monkeypatch.setattr("rrjax.reports.terminal.draw_results", lambda *_: None)


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_prints_tables_and_writes_results_and_figures(job, places, tmp_path, command):
    out, printed = job.out, job.printed
    if command != "spectrum":
        out = tmp_path / "out"
        printed = run(*arguments(places, command, out))
    files = {name for name in snapshot(out) if not name.startswith("chunks")}
    pictures = {f"{name}.png" for name in FIGURES[command]}
    assert files == {"sweep.json", "results.npz", "results.json", *pictures}
    for name in pictures:
        assert (out / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert "puzzle" in printed
    before, after = printed.split(f"in {out}")
    assert before
    assert (" To compare, measure more puzzles" in after) == (command == "spectrum")
    _, record = store.read_result(out / "results.npz")
    assert (record["experiment"], record["format"]) == (command, "results 2")
    assert record["options"]["num_segments"] == 2
    assert record["summary"]
    assert record["model"]["provenance"] == {"made": "by a test"}
    assert record["axes"].keys() == record["units"].keys()


@pytest.mark.usefixtures("_no_figures")
def test_another_view_computes_nothing(places, tmp_path, monkeypatch):
    run(*arguments(places, "rollout", tmp_path / "out"))
    monkeypatch.setattr(ChunkProgram, "__call__", None)
    again = [*arguments(places, "rollout", tmp_path / "out"), "--readout-segment", "2"]
    assert "segment 2" in run(*again)
    _, record = store.read_result(tmp_path / "out" / "results.npz")
    assert record["summary"]["at_readout"]["segment"] == 2


@pytest.mark.parametrize(
    ("command", "more", "message"),
    [
        ("rollout", ("--readout-segment", "3"), "readout_segment must lie in 1..2"),
        ("basin", ("--readout-segment", "0"), "readout_segment must lie in 1..2"),
        ("rollout", ("--halt-residual", "0"), "halt_residual must be finite and above 0"),
        ("slice", ("--box-size", "4"), "box_size must lie in 2..3"),
        ("slice", ("--puzzle", "7"), "puzzle must lie in 0..6"),
        ("spectrum", ("--board", "1"), "board is drawn with attribution only"),
        ("spectrum", ("--attribution", "--board", "7"), "board must lie in 0..6, got 7"),
        ("spectrum", ("--num-puzzles", "8"), "has 7 puzzles, but 8 were asked for"),
        ("spectrum", ("--num-exponents", "1000"), "num_exponents must lie in 1..256"),
        ("spectrum", ("--shard", "3/3"), "shard i/n needs i in 0..n−1"),
        ("ptrm", ("--sigma", "0"), "sigma must be finite and above 0"),
    ],
)
def test_bad_requests_are_one_message_before_anything_is_run(
    places, tmp_path, capsys, monkeypatch, command, more, message
):
    monkeypatch.setattr(ChunkProgram, "__call__", None)
    assert cli.main(arguments(places, command, tmp_path / "out", *more)) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("rrjax: ")
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "out").exists()


def test_toy_prints_a_table_and_writes_results_and_the_figure(tmp_path, capsys, monkeypatch):
    options = ["--num-runs", "20", "--readout-times", "2", "4", "--shown-time", "4"]
    printed = run("toy", *options, "--out", str(tmp_path / "out"))
    files = {"sweep.json", "results.npz", "results.json"}
    assert snapshot(tmp_path / "out").keys() == {*files, "toy.png"}
    assert "20 runs" in printed
    assert str(tmp_path) not in (tmp_path / "out" / "results.json").read_text()
    assert cli.main(["toy", "--shown-time", "17", "--out", str(tmp_path / "no")]) == 2
    assert "shown_time must be one of the readout times" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["toy", *options, "--out", str(tmp_path / "plain")]) == 0
    assert "figures need matplotlib" in capsys.readouterr().err
    assert snapshot(tmp_path / "plain").keys() == files


def count_chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the chunks that are computed from now on."""
    sizes: list[int] = []
    compute = ChunkProgram.__call__

    def counted(self, items):
        sizes.extend(len(chunk) for chunk in items)
        return compute(self, items)

    monkeypatch.setattr(ChunkProgram, "__call__", counted)
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


@pytest.mark.usefixtures("_no_figures")
def test_a_killed_run_continues_to_the_same_bits(job, places, tmp_path, monkeypatch):
    command_line = arguments(places, "spectrum", tmp_path / "out")
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


def test_the_same_command_again_computes_nothing(job, places, monkeypatch):
    sizes = count_chunks(monkeypatch)
    before = snapshot(job.out)
    assert run(*arguments(places, "spectrum", job.out)) == job.printed
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
        (("--attribution",), "its attribution is False, asked for True"),
    ],
)
def test_another_run_into_the_same_folder_is_refused(job, places, capsys, more, difference):
    before = snapshot(job.out)
    assert cli.main(arguments(places, "spectrum", job.out, *more)) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"rrjax: {job.out} holds another run: {difference}")
    assert "choose another folder (--out)" in err
    assert (out, err.count("\n")) == ("", 1)
    assert snapshot(job.out) == before


def test_another_model_into_the_same_folder_is_refused(job, places, capsys, tmp_path):
    before = snapshot(job.out)
    save_model(tmp_path / "model", weights(SMALL, seed=1), SMALL, {})
    other = (tmp_path / "model", places[1])
    assert cli.main(arguments(other, "spectrum", job.out)) == 2
    assert "holds another run: its model is" in capsys.readouterr().err
    assert snapshot(job.out) == before


@pytest.mark.usefixtures("_no_figures")
# before the second chunk; sweep.json is flushed too, and comes by a link
@pytest.mark.parametrize(("call", "left"), [("fsync", 2), ("replace", 1)])
def test_a_full_disk_is_one_message_and_a_run_to_continue(
    job, places, tmp_path, monkeypatch, capsys, call, left
):
    command_line = arguments(places, "spectrum", tmp_path / "out")
    real = getattr(os, call)

    def full_disk(*paths):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*paths)

    with monkeypatch.context() as patch:
        patch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")  # whose files are renamed too
        patch.setattr(os, call, full_disk)
        assert cli.main(command_line) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"rrjax: cannot write {tmp_path}/out/chunks/000001.npz: No space")
    assert snapshot(tmp_path / "out").keys() == {"sweep.json", "chunks", "chunks/000000.npz"}
    run(*command_line)
    assert_same_results(tmp_path / "out", job)


def test_an_interrupted_run_says_that_it_continues(places, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ChunkProgram, "__call__", interrupt)
    assert cli.main(arguments(places, "spectrum", tmp_path / "out")) == 130
    message = "interrupted; given again, sweeps and training go on"
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_results_are_there_all_the_same(job, places, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    out = shutil.copytree(job.out, job.out.parent / "plain", ignore=shutil.ignore_patterns("*.png"))
    run(*arguments(places, "spectrum", out))
    assert "figures need matplotlib: pip install matplotlib" in capsys.readouterr().err
    assert_same_results(out, job)
    assert list(out.glob("*.png")) == []


def test_float64_agrees_with_float32(job, places, tmp_path):
    command_line = arguments(places, "spectrum", tmp_path / "out", "--dtype", "float64")
    run(*command_line)
    assert jax.config.read("jax_enable_x64") is False  # a notebook goes on in float32
    wide = store.read_arrays(tmp_path / "out" / "results.npz")
    narrow = store.read_arrays(job.out / "results.npz")
    assert wide["exponents"].dtype == np.float64
    # exponents are not equal: the initial frames are other random numbers
    assert np.isfinite(wide["exponents"]).all()
    np.testing.assert_allclose(wide["drift_z_H"], narrow["drift_z_H"], rtol=1e-3)
    np.testing.assert_array_equal(wide["answers"], narrow["answers"])


@pytest.mark.parametrize("command", [*OPTIONS, "toy", "analyse"])
def test_help_explains_every_option(command, capsys):
    assert cli.main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    words = ("--out", "Folder for", *(() if command == "analyse" else ("--seed", "Seed of")))
    for word in words:
        assert word in text
