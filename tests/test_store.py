"""Files are whole or absent, damage is noticed, and the record tells how but not where."""

import errno
import hashlib
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrjax import store

ARRAYS = {
    "exponents": np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3),
    "solved": np.arange(8) % 2 == 0,
    "names": np.array(["a", "λ₁"]),
    "nothing": np.zeros((0, 4), dtype=np.int64),
    "number": np.float64(2.5),
    "not_finite": np.array([np.nan, np.inf, -np.inf]),
    # Names that NumPy's own `savez` would take for its options.
    "file": np.arange(3),
    "allow_pickle": np.arange(2),
}


def assert_equal_arrays(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype


def test_bytes_are_written_and_nothing_else_is_left(tmp_path):
    store.write_bytes_atomically(tmp_path / "a", b"first")
    store.write_bytes_atomically(str(tmp_path / "a"), b"second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"second"}


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path):
    store.write_bytes_atomically(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_says_what_to_do(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, full_disk)
    with pytest.raises(OSError, match="No space left on device; free some space") as caught:
        store.write_bytes_atomically(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert str(path) in str(caught.value)
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert path.read_bytes() == b"old"


def test_a_really_full_disk_is_reported(monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(Path, "with_name", lambda path, name: path)
    monkeypatch.setattr(Path, "unlink", lambda path: None)
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: opened(path, "wb"))
    with pytest.raises(OSError, match="cannot write /dev/full: No space left on device; free"):
        store.write_bytes_atomically(full, b"data")


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write_bytes_atomically(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("missing/a", "create its folder first"),
        ("file/a", "a part of the path is a file"),
        ("folder", "a folder has this name"),
    ],
)
def test_impossible_places_are_named(tmp_path, place, advice):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=advice) as caught:
        store.write_bytes_atomically(tmp_path / place, b"")
    assert str(tmp_path / place) in str(caught.value)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


def test_a_record_comes_back_as_plain_values(tmp_path):
    record = {
        "n": np.int64(3),
        "a": np.array([[1.5, np.nan]]),
        "b": (np.True_, "λ"),
        "c": {"d": None},
    }
    store.write_json(tmp_path / "a.json", record)
    found = store.read_json(tmp_path / "a.json")
    assert found == {"n": 3, "a": [[1.5, None]], "b": [True, "λ"], "c": {"d": None}}


def test_infinities_survive_strict_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    store.write_json(tmp_path / "a.json", {"low": -np.inf, "high": np.float32(np.inf)})
    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert {key: float(value) for key, value in found.items()} == {"low": -np.inf, "high": np.inf}


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError):
        store.write_json(tmp_path / "a.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe\x00"])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json"):
        store.read_json(tmp_path / "a.json")


def test_arrays_come_back_equal(tmp_path):
    store.write_arrays(tmp_path / "a.npz", ARRAYS)
    assert_equal_arrays(store.read_arrays(tmp_path / "a.npz"), ARRAYS)
    with np.load(tmp_path / "a.npz") as file:
        assert_equal_arrays(dict(file.items()), ARRAYS)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "d/e"]),
        hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_plain_arrays_come_back_equal(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    store.write_arrays(path, arrays)
    assert_equal_arrays(store.read_arrays(path), arrays)


def test_equal_arrays_give_equal_bytes(tmp_path):
    first = store.write_arrays(tmp_path / "a.npz", ARRAYS)
    second = store.write_arrays(tmp_path / "b.npz", ARRAYS)
    assert first == second
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert store.write_arrays(tmp_path / "c.npz", {"file": np.arange(4)}) != first


@pytest.mark.parametrize(
    "array",
    [np.array([None]), np.zeros(2, dtype=ml_dtypes.bfloat16), np.zeros(2, dtype=[("x", "f4")])],
)
def test_arrays_that_would_not_come_back_are_refused(tmp_path, array):
    with pytest.raises(ValueError, match=r"arrays\['x'\] has type"):
        store.write_arrays(tmp_path / "a.npz", {"x": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "function",
    [store.read_arrays, store.read_result, lambda path: store.write_arrays(path, {})],
)
def test_another_ending_is_refused(tmp_path, function):
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        function(tmp_path / "a.json")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_truncated_file_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("truncated") / "a.npz"
    store.write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=r"a\.npz is truncated or damaged"):
        store.read_arrays(path)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("changed") / "a.npz"
    store.write_arrays(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is truncated or damaged"):
        store.read_arrays(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="was not written by rrjax"):
        store.read_arrays(tmp_path / "a.npz")


def test_a_pickle_with_a_right_digest_is_refused_unread(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    buffer = io.BytesIO()
    np.savez(buffer, trap=np.array([Trap()], dtype=object))
    # The comment's length stands in the last two bytes.
    content = buffer.getvalue()[:-2] + (64).to_bytes(2, "little")
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "a.npz").write_bytes(content + digest.encode())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.read_arrays(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


def test_an_absent_file_is_called_absent(tmp_path):
    with pytest.raises(FileNotFoundError):
        store.read_arrays(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        store.read_json(tmp_path / "a.json")


def test_a_result_comes_back_with_its_record(tmp_path):
    store.write_result(tmp_path / "a.npz", ARRAYS, {"clock": "update"})
    arrays, record = store.read_result(tmp_path / "a.npz")
    assert_equal_arrays(arrays, ARRAYS)
    digest = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    assert record == {"clock": "update", "sha256": digest}


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_half_a_result_is_called_absent(tmp_path, ending):
    store.write_result(tmp_path / "a.npz", ARRAYS, {})
    (tmp_path / f"a.{ending}").unlink()
    with pytest.raises(FileNotFoundError, match=rf"a\.{ending}"):
        store.read_result(tmp_path / "a.npz")


def test_a_damaged_result_is_called_damaged(tmp_path):
    store.write_result(tmp_path / "a.npz", ARRAYS, {})
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated or damaged"):
        store.read_result(tmp_path / "a.npz")


def test_a_record_that_cannot_be_written_leaves_a_pair_that_is_refused(tmp_path, monkeypatch):
    store.write_result(tmp_path / "a.npz", {"x": np.zeros(1)}, {})
    replace, calls = os.replace, []

    def fail_the_second(source, target):
        calls.append(target)
        return replace(source, target) if len(calls) == 1 else full_disk()

    monkeypatch.setattr(os, "replace", fail_the_second)
    with pytest.raises(OSError, match=r"a\.json"):
        store.write_result(tmp_path / "a.npz", {"x": np.ones(1)}, {})
    with pytest.raises(ValueError, match=r"not the file that a\.json describes"):
        store.read_result(tmp_path / "a.npz")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.json", "a.npz"]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    program = (
        "import os, sys; from rrjax import store; os.fsync = lambda _: os.kill(os.getpid(), 9); "
        "store.write_bytes_atomically(sys.argv[1], b'new')"
    )
    (tmp_path / "a").write_bytes(b"old")
    root = Path(store.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], cwd=root)
    assert done.returncode == -9
    assert (tmp_path / "a").read_bytes() == b"old"


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def place(tmp_path):
    """Where `new` shall be, and `older` is to be replaced."""
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "a").write_bytes(b"old")
    return tmp_path


MAKERS = [(store.new_folder, "new"), (store.replaced_folder, "older")]


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_a_folder_appears_when_it_is_whole(place, make, name):
    before = contents(place)
    with make(place / name) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b").write_bytes(b"new")
        seen = {path: data for path, data in contents(place).items() if not path.startswith(".")}
        assert seen == before
    assert contents(place / name) == {"sub/b": b"new"}
    assert {path.name for path in place.iterdir()} == {"older", name}


def test_the_folders_above_are_made_and_an_empty_one_is_filled(tmp_path):
    for path in (tmp_path / "a" / "b" / "c", tmp_path / "empty"):
        with store.new_folder(str(path)) as temporary:
            (temporary / "x").touch()
            path.mkdir(parents=True, exist_ok=True)
        assert contents(path) == {"x": b""}
    assert sorted(os.listdir(tmp_path)) == ["a", "empty"]


def test_all_of_a_folder_is_flushed_before_it_is_renamed(place, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.rename

    def record_flush(descriptor):
        calls.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def record_rename(source, target):
        calls.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record_flush)
    monkeypatch.setattr(os, "rename", record_rename)
    with store.new_folder(place / "new") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b").touch()
    new = place / "new"
    assert set(calls[:-1]) == {path.stat().st_ino for path in (new, new / "sub", new / "sub" / "b")}
    assert calls[-1] == "renamed"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("older", "expected a new or empty folder"),
        ("older/a", "expected a new or empty folder"),
        ("older/..", "expected a folder by its name"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_the_block(place, name, words):
    before = contents(place)
    with pytest.raises(ValueError, match=words), store.new_folder(place / name):
        pytest.fail("entered the block")
    assert contents(place) == before


def test_a_folder_below_a_file_or_a_locked_one_is_refused(place, monkeypatch):
    with pytest.raises(NotADirectoryError, match=r"older/a/b/c: .*a part of the path is a file"):
        store.check_new_folder(place / "older" / "a" / "b" / "c")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (place, os.W_OK))
    with pytest.raises(PermissionError, match="b/c: Permission denied; choose a folder you may"):
        store.check_new_folder(place / "b" / "c")
    store.check_new_folder(place / "older" / "c")


def test_a_folder_that_another_process_made_meanwhile_is_left_alone(place):
    def fill():
        with store.new_folder(place / "new") as temporary:
            (temporary / "x").touch()
            (place / "older").rename(place / "new")

    with pytest.raises(OSError, match="new: Directory not empty; something appeared there"):
        fill()
    assert contents(place) == {"new/a": b"old"}


@pytest.mark.parametrize("error", [KeyError("a defect"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_a_block_that_fails_leaves_things_as_they_were(place, make, name, error):
    def fail():
        with make(place / name) as temporary:
            (temporary / "x").write_bytes(b"half")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert contents(place) == {"older/a": b"old"}
    assert os.listdir(place) == ["older"]


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_a_folder_on_a_full_disk_is_named_and_absent(place, monkeypatch, make, name, call):
    monkeypatch.setattr(os, call, full_disk)
    with (
        pytest.raises(OSError, match=f"write {place}/{name}: No space left on device; free some"),
        make(place / name) as temporary,
    ):
        (temporary / "x").touch()
    assert contents(place) == {"older/a": b"old"}
    assert os.listdir(place) == ["older"]


def test_an_explanation_from_the_block_is_not_explained_twice(place, monkeypatch):
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space") as caught, store.new_folder(place / "new") as new:
        store.write_json(new / "a.json", {})
    assert caught.value.strerror == (
        f"cannot write {place}/new: No space left on device; free some space or choose another "
        "folder"
    )


# In each folder, kills a process: in the block, before the first renaming, or between the two.
_KILLER = """
import os, sys
from pathlib import Path
from rrjax import store
rename = os.rename

def die(make, name, folder, left):
    def counted(source, target):
        nonlocal left
        left -= 1
        rename(source, target) if left > 0 else os.kill(os.getpid(), 9)
    os.rename = counted
    with getattr(store, make)(Path(folder, name)) as temporary:
        (temporary / "x").write_bytes(b"new")
        left or os.kill(os.getpid(), 9)

for folder in sys.argv[1:]:
    make, name, moment = Path(folder).name.split(" ")
    child = os.fork()
    if not child:
        die(make, name, folder, int(moment))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
"""


def test_a_killed_process_leaves_no_half_folder(tmp_path):
    places = {
        "new_folder new 0": {"older"},
        "new_folder new 1": {"older"},
        "replaced_folder older 1": {"older"},
        "replaced_folder older 2": set(),
    }
    for name in places:
        (tmp_path / name / "older").mkdir(parents=True)
        (tmp_path / name / "older" / "a").write_bytes(b"old")
    root = Path(store.__file__).parents[1]
    command = [sys.executable, "-c", _KILLER, *(str(tmp_path / name) for name in places)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    for name, found in places.items():
        left = {path.name: contents(path) for path in (tmp_path / name).iterdir()}
        hidden = {path: left.pop(path) for path in list(left) if path.startswith(".")}
        assert left.keys() == found
        older = [data for path, data in hidden.items() if path.endswith(".old")]
        assert [*left.values(), *older] == [{"a": b"old"}]
        assert [data for path, data in hidden.items() if path.endswith(".tmp")] == [{"x": b"new"}]


def claim(folder):
    store.claim_folder(folder, "job.json", {"seed": 1}, {})


def leave(path, hours):
    """A file, or a folder with one in it, that nobody touched for hours."""
    if path.suffix == ".old" or "model" in path.name:
        path.mkdir(parents=True)
        leave(path / "x", hours)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(path, (time.time() - 3600 * hours,) * 2)


STRAYS = (
    ".job.json.0123abcd.tmp",
    "chunks/.000001.npz.0123abcd.tmp",
    "models/.model_1.0123abcd.tmp",
    "models/.model_2.0123abcd.old",
)


def test_what_killed_writers_left_is_removed_from_a_claimed_folder(tmp_path):
    claim(tmp_path)
    (tmp_path / "models" / "model_2").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for name in STRAYS:
        leave(tmp_path / name, 1.01)
    claim(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "chunks"])


def test_a_folder_with_nothing_but_a_stray_is_claimed_and_cleaned(tmp_path):
    leave(tmp_path / STRAYS[0], 1.01)
    claim(tmp_path)
    assert os.listdir(tmp_path) == ["job.json"]


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        *((name, 0.99) for name in STRAYS[:3]),
        ("models/.model_3.0123abcd.old", 1000),  # nothing else is left of that model
        (".notes.tmp", 1000),
        ("job.json.0123abcd.tmp", 1000),
        (".job.json.0123ABCD.tmp", 1000),
        (".job.json.0123abcde.tmp", 1000),
        (".job.json.0123abcd.tmp.txt", 1000),
        ("checkpoints/10.orbax-checkpoint-tmp", 1000),
    ],
)
def test_what_is_young_or_needed_or_not_ours_is_kept(tmp_path, name, hours):
    claim(tmp_path)
    leave(tmp_path / name, hours)
    claim(tmp_path)
    assert (tmp_path / name).exists()


def test_a_folder_is_as_young_as_the_last_file_in_it(tmp_path):
    claim(tmp_path)
    leave(tmp_path / ".model.0123abcd.tmp", 5)
    inside = tmp_path / ".model.0123abcd.tmp" / "weights"
    leave(inside, 0.5)
    os.utime(inside.parent, (time.time() - 5 * 3600,) * 2)
    leave(inside.parent / ".weights.0123abcd.tmp", 5)  # not looked at on its own
    os.utime(inside.parent, (time.time() - 5 * 3600,) * 2)
    claim(tmp_path)
    assert sorted(contents(inside.parent)) == [".weights.0123abcd.tmp", "weights", "x"]


def test_the_folder_of_another_job_is_not_cleaned(tmp_path):
    claim(tmp_path)
    leave(tmp_path / STRAYS[1], 5)
    with pytest.raises(ValueError, match="its seed is 1, asked for 2"):
        store.claim_folder(tmp_path, "job.json", {"seed": 2}, {})
    assert (tmp_path / STRAYS[1]).exists()


def test_a_stray_that_cannot_be_removed_stops_nobody(tmp_path, monkeypatch):
    claim(tmp_path)
    leave(tmp_path / STRAYS[0], 5)
    leave(tmp_path / STRAYS[1], 5)
    unlink = Path.unlink

    def locked(path):
        if path.name.startswith(".job"):
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path)

    monkeypatch.setattr(Path, "unlink", locked)
    claim(tmp_path)
    assert (tmp_path / STRAYS[0]).exists()
    assert not (tmp_path / STRAYS[1]).exists()


def test_the_description_of_a_run_says_how(monkeypatch):
    import jax

    monkeypatch.setattr(sys, "argv", ["rrjax", "spectrum", "--num-puzzles=8", "data/6x6.txt"])
    about = store.describe_run()
    assert about["versions"]["jax"] == jax.__version__
    assert about["versions"]["numpy"] == np.__version__
    assert about["python"] == platform.python_version()
    assert about["backend"] == jax.default_backend()
    assert about["num_devices"] == jax.device_count()
    assert about["command"] == ["rrjax", "spectrum", "--num-puzzles=8", "data/6x6.txt"]
    assert about["time_utc"].endswith("+00:00")
    assert json.loads(json.dumps(about)) == about


def test_the_description_of_a_run_says_neither_where_nor_who(monkeypatch):
    home = str(Path.home() / "someone")
    monkeypatch.setattr(
        sys, "argv", [f"{home}/bin/rrjax", f"--out={home}/runs/one", f"{home}/a.txt"]
    )
    about = store.describe_run()
    assert about["command"] == ["rrjax", "--out=one", "a.txt"]
    text = json.dumps(about)
    assert home not in text
    assert str(Path(store.__file__).parent) not in text
    assert socket.gethostname() not in text


def git(folder, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "store.py").write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_git_state_knows_commit_and_changes(checkout):
    source = checkout / "package" / "store.py"
    state = store._git_state(source)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (checkout / "results.npz").touch()
    assert store._git_state(source)["dirty"] is False
    source.write_text("x = 2\n")
    assert store._git_state(source) == {**state, "dirty": True}


def test_git_state_ignores_what_a_hook_sets(checkout, monkeypatch, tmp_path_factory):
    state = store._git_state(checkout / "package" / "store.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("elsewhere")))
    assert store._git_state(checkout / "package" / "store.py") == state


def test_an_installed_copy_inside_another_checkout_has_no_git_state(checkout):
    (checkout / "site-packages").mkdir()
    (checkout / "site-packages" / "store.py").touch()
    assert store._git_state(checkout / "site-packages" / "store.py") is None


def test_without_git_there_is_no_git_state(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert store._git_state(checkout / "package" / "store.py") is None
