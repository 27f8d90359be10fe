"""A sweep gives the same bits however often and wherever it was stopped."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax import store, sweep
from rrjax.sweep import Sweep
from tests.tiny import snapshot

IDENTITY = {"seed": 1, "sizes": {"k": 2, "segments": 16}}


@pytest.fixture(autouse=True, scope="module")
def _no_search_for_devices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "describe_run", lambda: {"python": "3"})
        yield


class Work:
    """Counts its calls; `stop_at` is the call that is interrupted."""

    def __init__(self, stop_at: int | None = None):
        self.calls: list[list[int]] = []
        self._stop_at = stop_at

    def __call__(self, items: np.ndarray) -> dict[str, np.ndarray]:
        if len(self.calls) == self._stop_at:
            raise KeyboardInterrupt
        self.calls.extend(items.tolist())
        return values(items)


def values(items: np.ndarray) -> dict[str, np.ndarray]:
    rows = np.sin(items[..., None] * np.array([1.0, 2.0, 3.0])).astype(np.float32)
    return {"rows": rows, "odd": items % 2 == 1}


def must_not_run(items: np.ndarray) -> dict[str, np.ndarray]:
    raise AssertionError(f"computed {items} again")


def ignore(done: int, numbers: dict[str, float]) -> None:
    pass


def make(folder: Path, num_items: int = 10, chunk_size: int = 4) -> Sweep:
    return Sweep(folder, num_items, chunk_size, IDENTITY)


def assert_values(found: dict[str, np.ndarray], num_items: int = 10) -> None:
    expected = values(np.arange(num_items))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def chunk_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "chunks").iterdir())


def test_chunks_have_one_size_and_the_last_repeats_its_last_item(tmp_path):
    work = Work()
    assert_values(sweep.run(make(tmp_path), work, ignore))
    assert work.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert chunk_names(tmp_path) == ["000000.npz", "000001.npz", "000002.npz"]


@given(num_items=st.integers(1, 12), chunk_size=st.integers(1, 14))
@settings(max_examples=20)
def test_results_do_not_depend_on_the_chunk_size(num_items, chunk_size):
    work = Work()
    with tempfile.TemporaryDirectory() as folder:
        job = make(Path(folder), num_items, chunk_size)
        assert_values(sweep.run(job, work, ignore), num_items)
    assert [len(call) for call in work.calls] == [chunk_size] * job.num_chunks
    assert (job.num_chunks - 1) * chunk_size < num_items <= job.num_chunks * chunk_size


def test_progress_counts_items_that_are_finished_or_were(tmp_path):
    for _ in range(2):
        counts: list[int] = []
        sweep.run(make(tmp_path), Work(), lambda done, _, counts=counts: counts.append(done))
        assert counts == [4, 8, 10]


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_an_interrupted_sweep_computes_only_what_is_missing(tmp_path, stop_at):
    first, second = Work(stop_at), Work()
    with pytest.raises(KeyboardInterrupt):
        sweep.run(make(tmp_path), first, ignore)
    assert_values(sweep.run(make(tmp_path), second, ignore))
    assert first.calls + second.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert len(first.calls) == stop_at
    assert_values(sweep.run(make(tmp_path), must_not_run, ignore))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data + b"\0",
    ],
    ids=["emptied", "last byte gone", "cut in half", "one bit", "longer"],
)
def test_a_damaged_chunk_is_computed_anew(tmp_path, damage):
    sweep.run(make(tmp_path), Work(), ignore)
    before = snapshot(tmp_path)
    chunk = tmp_path / "chunks" / "000001.npz"
    chunk.write_bytes(damage(chunk.read_bytes()))
    work = Work()
    assert_values(sweep.run(make(tmp_path), work, ignore))
    assert work.calls == [[4, 5, 6, 7]]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"num_items": 9}, "num_items is 10, asked for 9"),
        ({"chunk_size": 5}, "chunk_size is 4, asked for 5"),
        ({"identity": IDENTITY | {"seed": 2}}, "seed is 1, asked for 2"),
        ({"identity": {"seed": 1, "sizes": {"k": 3, "segments": 16}}}, "sizes.k is 2, asked for 3"),
        ({"identity": {"sizes": IDENTITY["sizes"]}}, "seed is 1, asked for None"),
        ({"identity": IDENTITY | {"dtype": "float64"}}, "dtype is None, asked for float64"),
    ],
)
def test_another_sweep_is_refused_by_naming_the_difference(tmp_path, other, difference):
    sweep.run(make(tmp_path), Work(), ignore)
    before = snapshot(tmp_path)
    fields = {"num_items": 10, "chunk_size": 4, "identity": IDENTITY} | other
    with pytest.raises(ValueError, match=f"holds another run: its {difference}; choose another"):
        sweep.run(Sweep(tmp_path, **fields), must_not_run, ignore)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["notes.txt", "chunks/000000.npz", ".hidden"])
def test_a_folder_with_something_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=r"is not empty and holds no run \(no sweep.json\)"):
        sweep.run(make(tmp_path), must_not_run, ignore)
    assert snapshot(tmp_path) == before


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="choose another --out"):
        sweep.run(make(tmp_path / "out"), must_not_run, ignore)
    assert snapshot(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_what_was_finished_and_leaves_no_half_file(tmp_path, monkeypatch, call):
    stopped = Work(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(make(tmp_path), stopped, ignore)
    before = snapshot(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(OSError, match=r"000001\.npz: No space left on device; free some"):
            sweep.run(make(tmp_path), Work(), ignore)
    assert snapshot(tmp_path) == before
    work = Work()
    assert_values(sweep.run(make(tmp_path), work, ignore))
    assert work.calls == [[4, 5, 6, 7], [8, 9, 9, 9]]


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["num_items", "chunk_size"])
@pytest.mark.parametrize("number", [0, -1])
def test_sizes_below_one_are_refused(tmp_path, name, number):
    fields = {"num_items": 3, "chunk_size": 2} | {name: number}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {number}"):
        Sweep(tmp_path, **fields, identity={})


# Kills the process that runs the sweep at a random moment after a random number of its chunks,
# and starts another, until one comes through. The log has a line for every chunk begun; "again"
# where a process computes a chunk whose file it found.
_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from rrjax import sweep
from tests import test_sweep

sweep.describe_run = lambda: {"python": "3"}
folder, log = Path(sys.argv[1]), Path(sys.argv[2])

def run_once():
    found = {path.name for path in folder.glob("chunks/[0-9]*.npz")}
    def work(items):
        name = f"{items[0, 0] // 4:06d}.npz"
        with log.open("a") as file:
            file.write(f"{name} {'again' if name in found else 'new'}\\n")
        return test_sweep.values(items)
    sweep.run(test_sweep.make(folder, 158), work, test_sweep.ignore)

kills, moments = 0, random.Random(5)
log.touch()
while True:
    child = os.fork()
    if not child:
        try:
            run_once()
            os._exit(0)
        finally:
            os._exit(1)
    lines = log.read_text().count("\\n") + moments.randint(1, 7)
    status = 0, 0
    while not status[0] and log.read_text().count("\\n") < lines:
        time.sleep(1e-4)
        status = os.waitpid(child, os.WNOHANG)
    time.sleep(moments.uniform(0, 3e-3))
    if not status[0]:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status[1]):
        print(kills)
        sys.exit(os.waitstatus_to_exitcode(status[1]))
    kills += 1
"""


def test_a_sweep_killed_at_random_moments_gives_the_same_bits(tmp_path):
    folder, log = tmp_path / "killed", tmp_path / "log"
    root = Path(__file__).parents[1]
    killer = subprocess.run(
        [sys.executable, "-c", _KILLER, folder, log], cwd=root, capture_output=True, text=True
    )
    assert killer.returncode == 0, killer.stderr
    assert int(killer.stdout) >= 5
    assert "again" not in log.read_text()
    assert_values(sweep.run(make(folder, 158), must_not_run, ignore), 158)
    sweep.run(make(tmp_path / "whole", 158), Work(), ignore)
    whole, killed = snapshot(tmp_path / "whole"), snapshot(folder)
    assert {name: killed[name] for name in whole} == whole
    # a kill in mid-write may leave its temporary file, under a name that is never read
    assert all(Path(name).name.startswith(".") for name in killed.keys() - whole.keys())


def test_a_sweep_killed_before_its_folder_was_claimed_can_start_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        # a kill between writing and renaming runs neither the rename nor the clean-up
        patch.setattr(store.os, "replace", full_disk)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(OSError, match="No space"):
            sweep.run(make(tmp_path), must_not_run, ignore)
    assert [path.name.startswith(".sweep.json.") for path in tmp_path.iterdir()] == [True]
    assert_values(sweep.run(make(tmp_path), Work(), ignore))
