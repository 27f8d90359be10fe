"""A sweep gives the same bits however often and wherever it was stopped."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax import store
from rrjax.jobs import sweep
from rrjax.jobs.shares import Share
from rrjax.jobs.sweep import Sweep, Unfinished
from rrjax.store import Arrays, claims, hold_lock
from tests.tools.tiny import snapshot

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


def ignore(done: int) -> None:
    pass


def make(folder: Path, num_items: int = 10, chunk_size: int = 4) -> Sweep:
    return Sweep(folder, num_items, chunk_size, IDENTITY)


def assert_values(arrays: dict[str, np.ndarray], num_items: int = 10) -> None:
    expected = values(np.arange(num_items))
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


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
    counts: list[int] = []
    sweep.run(make(tmp_path), Work(), counts.append)
    assert counts == [4, 8, 10]
    make(tmp_path).path(1).unlink()
    counts.clear()
    sweep.run(make(tmp_path), Work(), counts.append)
    assert counts == [4, 8, 10]  # the first, then the second is computed, then the third
    counts.clear()
    sweep.run(make(tmp_path), must_not_run, counts.append)
    assert counts == [10]


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


def test_a_chunk_of_another_sweep_or_place_is_computed_anew(tmp_path):
    job, other = make(tmp_path / "mine"), make(tmp_path / "other")
    seeded = Sweep(other.folder, 10, 4, IDENTITY | {"seed": 2})
    sweep.run(job, Work(), ignore)
    sweep.run(seeded, Work(), ignore)
    before = snapshot(tmp_path / "mine")
    seeded.path(0).rename(job.path(0))
    first, second = job.path(1).read_bytes(), job.path(2).read_bytes()
    job.path(1).write_bytes(second)
    job.path(2).write_bytes(first)
    assert sweep.missing(job) == [0, 1, 2]
    work = Work()
    assert_values(sweep.run(job, work, ignore))
    assert work.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert snapshot(tmp_path / "mine") == before


def rewrite(job: Sweep, chunk: int, change: Callable[[Arrays], Arrays]) -> None:
    """Writes a chunk's file with other arrays, a right digest and the right place."""
    arrays = store.read_arrays(job.path(chunk))
    store.write_arrays(job.path(chunk), change(arrays))


def test_a_chunk_of_another_number_of_items_is_computed_anew(tmp_path):
    job = make(tmp_path)
    sweep.run(job, Work(), ignore)
    rewrite(job, 1, lambda arrays: {**arrays, "odd": arrays["odd"][:3]})
    work = Work()
    assert_values(sweep.run(job, work, ignore))
    assert work.calls == [[4, 5, 6, 7]]


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {name: array for name, array in arrays.items() if name != "odd"},
        lambda arrays: {**arrays, "odd": arrays["odd"].astype(int)},
        lambda arrays: {**arrays, "rows": arrays["rows"][:, :2]},
    ],
    ids=["one less", "another type", "another shape"],
)
def test_chunks_that_hold_different_arrays_are_named(tmp_path, change):
    job = make(tmp_path)
    sweep.run(job, Work(), ignore)
    rewrite(job, 2, change)
    with pytest.raises(ValueError, match=r"000002\.npz does not hold arrays as .*000000\.npz does"):
        sweep.run(job, must_not_run, ignore)


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
    with pytest.raises(ValueError, match=r"choose another folder \(--out\)"):
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


SHARES = st.integers(1, 5).flatmap(
    lambda count: st.tuples(st.integers(0, count - 1), st.just(count))
)


@given(number=st.integers(0, 30), job=SHARES, process=SHARES)
def test_processes_take_the_chunks_of_their_job_each_its_own_first(number, job, process):
    chunks = Share(*job, *process).chunks(number)
    of_job = list(range(job[0], number, job[1]))
    assert sorted(chunks) == of_job
    own = of_job[process[0] :: process[1]]
    assert chunks[: len(own)] == own


def test_shards_one_after_another_and_the_last_puts_together(tmp_path):
    works = [Work() for _ in range(3)]
    for index, work in enumerate(works):
        job = make(tmp_path, num_items=26)
        counts: list[int] = []
        arrays = sweep.run(job, work, counts.append, Share(index, 3))
        assert counts[-1] == job.num_items_of(Share(index, 3))
        if index < 2:
            assert arrays == {}
    assert_values(arrays, 26)
    assert [[call[0] // 4 for call in work.calls] for work in works] == [[0, 3, 6], [1, 4], [2, 5]]
    assert_values(sweep.run(job, must_not_run, ignore), 26)


def test_a_lone_shard_tells_what_is_missing(tmp_path):
    job = make(tmp_path, num_items=50)
    assert sweep.run(job, Work(), ignore, Share(1, 4)) == {}
    with pytest.raises(Unfinished, match=r"3 of 13 .* 0, 2, 3, 4, 6, 7, 8, 10, 11, 12; when"):
        raise Unfinished(job)


def test_a_shard_without_chunks_has_nothing_to_do(tmp_path):
    assert make(tmp_path).num_items_of(Share(5, 8)) == 0
    assert sweep.run(make(tmp_path), must_not_run, ignore, Share(5, 8)) == {}
    assert str(Unfinished(make(tmp_path))).startswith("0 of 3 chunks are done, missing are 0, 1, 2")


def test_a_process_also_does_what_the_others_do_not_and_the_first_puts_together(tmp_path):
    work = Work()
    assert sweep.run(make(tmp_path), work, ignore, Share(0, 1, 1, 2)) == {}
    assert [call[0] // 4 for call in work.calls] == [1, 0, 2]
    assert str(Unfinished(make(tmp_path))).startswith("all 3 chunks are done; process 0 puts")
    assert_values(sweep.run(make(tmp_path), must_not_run, ignore, Share(0, 1, 0, 2)))


def test_a_damaged_chunk_of_another_shard_is_missing(tmp_path):
    job = make(tmp_path)
    sweep.run(job, Work(), ignore)
    job.path(1).write_bytes(b"cut")
    assert sweep.run(job, must_not_run, ignore, Share(0, 3)) == {}
    assert sweep.missing(job) == [1]


def test_a_chunk_that_another_worker_holds_is_left_to_it_and_waited_for(tmp_path, monkeypatch):
    job, other = make(tmp_path), ExitStack()
    sweep.run(job, Work(), ignore)
    whole = job.path(1).read_bytes()
    job.path(1).write_bytes(whole[:-1])
    assert other.enter_context(hold_lock(sweep._lock_name(job.path(1))))

    def repair(seconds: float) -> None:
        assert job.path(1).read_bytes() == whole[:-1]  # what it computes anew is not removed
        job.path(1).write_bytes(whole)
        other.close()

    monkeypatch.setattr(sweep.time, "sleep", repair)
    assert_values(sweep.run(job, must_not_run, ignore))


def test_a_chunk_finished_just_before_its_lock_was_had_is_not_computed_again(tmp_path, monkeypatch):
    job = make(tmp_path)
    sweep.run(make(tmp_path / "other"), Work(), ignore)

    def late(path: Path):
        name = path.name[1:].replace("lock", "npz")
        (path.parent / name).write_bytes((tmp_path / "other" / "chunks" / name).read_bytes())
        return hold_lock(path)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "hold_lock", late)
        patch.setattr(claims, "_is_free", lambda *_: True)
        assert_values(sweep.run(job, must_not_run, ignore))


def test_going_on_after_many_chunks_opens_few_files(tmp_path):
    job = make(tmp_path, num_items=120, chunk_size=1)
    sweep.run(job, Work(), ignore)
    job.path(119).unlink()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 50, limit[1]))
    try:
        assert_values(sweep.run(job, Work(), ignore), 120)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_two_workers_may_begin_in_a_new_folder_at_the_same_moment(tmp_path, monkeypatch):
    is_free = claims._is_free

    def other_was_faster(folder: Path, name: str) -> bool:
        free = is_free(folder, name)
        monkeypatch.setattr(claims, "_is_free", is_free)
        sweep.run(make(tmp_path), Work(), ignore)
        return free

    monkeypatch.setattr(claims, "_is_free", other_was_faster)
    assert_values(sweep.run(make(tmp_path), must_not_run, ignore))


# Three workers share a folder; at random moments one of them is killed and replaced. The log has a
# line for every chunk that is begun, and says whether its file was there already.
_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from rrjax.jobs import sweep
from tests.jobs import test_sweep

sweep.describe_run = lambda: {"python": "3"}
sweep.POLL_SECONDS = 0.002
job, log = test_sweep.make(Path(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[3])
num_kills, moments = int(sys.argv[4]), random.Random(5)

def work(items):
    for row in items:
        chunk = row[0] // job.chunk_size
        with log.open("a") as file:
            file.write(f"{chunk} {'again' if job.path(chunk).exists() else 'new'}\\n")
    time.sleep(0.004)
    return test_sweep.values(items)

def start(parallel):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        arrays = sweep.run(job, work, test_sweep.ignore, parallel=parallel)
        test_sweep.assert_values(arrays, job.num_items)
        code = 0
    finally:
        os._exit(code)

kills, workers = 0, [start(parallel) for parallel in (1, 1, 2)]
while kills < num_kills:
    time.sleep(moments.uniform(0, 0.012))
    victim = moments.randrange(3)
    os.kill(workers[victim], signal.SIGKILL)
    status = os.waitpid(workers[victim], 0)[1]
    if not os.WIFSIGNALED(status):
        sys.exit(f"a worker was done after {kills} kills, with {status}")
    kills += 1
    workers[victim] = start(victim // 2 + 1)
for worker in workers:
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
"""


@pytest.mark.slow
def test_three_workers_killed_at_random_moments_give_the_same_bits(tmp_path):
    number, kills = 800, 30
    folder, log = tmp_path / "killed", tmp_path / "log"
    killer = subprocess.run(
        [sys.executable, "-c", _KILLER, folder, str(number), log, str(kills)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert killer.returncode == 0, killer.stderr
    begun = log.read_text().split("\n")[:-1]
    assert all(line.endswith(" new") for line in begun), "a finished chunk was computed again"
    # beside every chunk once, only what the killed were at: one, or two of the third worker
    num_chunks = make(folder, number).num_chunks
    assert num_chunks <= len(begun) <= num_chunks + 2 * kills
    assert {int(line.split()[0]) for line in begun} == set(range(num_chunks))
    assert_values(sweep.run(make(folder, number), must_not_run, ignore), number)
    sweep.run(make(tmp_path / "whole", number), Work(), ignore)
    whole, killed = snapshot(tmp_path / "whole"), snapshot(folder)
    assert {name: killed[name] for name in whole} == whole
    # a kill in mid-write may leave its temporary file, under a name that is never read
    assert all(name.endswith(".tmp") for name in killed.keys() - whole.keys())


def test_a_sweep_killed_before_its_folder_was_claimed_can_start_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        # a kill between writing and naming runs neither the naming nor the clean-up
        patch.setattr(os, "link", full_disk)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(OSError, match="No space"):
            sweep.run(make(tmp_path), must_not_run, ignore)
    assert [path.name.startswith(".sweep.json.") for path in tmp_path.iterdir()] == [True]
    assert_values(sweep.run(make(tmp_path), Work(), ignore))


@pytest.mark.parametrize("parallel", [1, 2, 5])
def test_without_a_folder_the_same_chunks_stay_in_memory(parallel):
    work, counts = Work(), []
    job = Sweep(None, 10, 4, IDENTITY)
    assert_values(sweep.run(job, work, counts.append, parallel=parallel))
    assert work.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert counts == {1: [4, 8, 10], 2: [8, 10], 5: [10]}[parallel]
