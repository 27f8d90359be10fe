"""Files and folders are whole or absent."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrjax import store
from rrjax.store import files


def test_bytes_are_written_and_nothing_else_is_left(tmp_path):
    store.write_bytes_atomically(tmp_path / "a", b"first")
    store.write_bytes_atomically(str(tmp_path / "a"), b"second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"second"}


def test_a_file_that_is_there_stays_if_it_is_to_be_written_once(tmp_path):
    store.write_bytes_once(tmp_path / "a", b"first")
    store.write_bytes_once(tmp_path / "a", b"second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first"}


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


def test_a_folder_is_flushed_as_far_as_windows_can(place, monkeypatch):
    opened = []

    def open_as_windows_does(path, flags):
        if path.is_dir() or flags & os.O_ACCMODE == os.O_RDONLY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        opened.append(path.name)
        return os.dup(1)

    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with store.new_folder(place / "new") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b").write_bytes(b"new")
        monkeypatch.setattr(os, "open", open_as_windows_does)
    assert opened == ["b"]
    assert contents(place / "new") == {"sub/b": b"new"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("older", "expected a new or empty folder"),
        ("older/a", "expected a new or empty folder"),
        ("older/..", "expected a folder by its name"),
        ("circle", "expected a new or empty folder"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_the_block(place, name, words):
    (place / "circle").symlink_to("circle")
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
from rrjax.store import files
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


def test_a_table_is_csv_with_its_names_first_and_whole_or_absent(tmp_path):
    path = tmp_path / "table.csv"
    store.write_csv(path, [("name", "number"), ("a, b", 1), ("", 2.5)])
    assert path.read_bytes() == b'name,number\n"a, b",1\n,2.5\n'
    with pytest.raises(OSError, match="create its folder first"):
        store.write_csv(tmp_path / "nowhere" / "table.csv", [("name",)])
    assert list(tmp_path.iterdir()) == [path]
