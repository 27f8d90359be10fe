"""A lock is held by one process at a time, on every system that has locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rrjax.store import hold_folder, hold_lock, locks

CHILD = """
import sys
from rrjax.store import hold_lock
with hold_lock(__import__("pathlib").Path(sys.argv[1])) as is_mine:
    print(is_mine, flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_its_holder(tmp_path: Path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        with hold_lock(path) as is_mine:
            assert not is_mine
        assert path.read_text().startswith(f"process {child.pid} on ")
        child.kill()
    with hold_lock(path) as is_mine:
        assert is_mine
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert not path.exists()


def test_the_holder_of_a_folder_is_named(tmp_path: Path):
    expected = (
        rf"{tmp_path} is being swept by another process \(process {os.getpid()} on .+, since "
    )
    with hold_folder(tmp_path, "swept"):
        with pytest.raises(ValueError, match=expected + r"2\d{3}-.+ UTC\); wait until"):
            hold_folder(tmp_path, "swept").__enter__()
        (tmp_path / ".lock").write_text("")  # as at the moment before the holder has written it
        with pytest.raises(ValueError, match=r"by another process; wait until"):
            hold_folder(tmp_path, "swept").__enter__()
    with hold_folder(tmp_path, "swept"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_its_earlier_holder_removed_is_void(tmp_path: Path):
    path = tmp_path / "lock"
    with path.open("w") as opened:
        with hold_lock(path) as is_mine:
            assert is_mine
            assert not locks._is_acquired(opened.fileno(), path)
        # now free to lock, but no longer the file that others would open
        assert not locks._is_acquired(opened.fileno(), path)
        with hold_lock(path) as is_mine:
            assert is_mine
            assert not locks._is_acquired(opened.fileno(), path)
    assert list(tmp_path.iterdir()) == []


def test_without_locks_in_the_file_system_everybody_holds_it(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with hold_lock(tmp_path / "lock") as first, hold_lock(tmp_path / "lock") as second:
        assert first
        assert second


def test_without_fcntl_everybody_holds_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # an import of it fails
    with hold_lock(tmp_path / "lock") as first, hold_lock(tmp_path / "lock") as second:
        assert first
        assert second


def test_on_windows_a_byte_behind_the_content_is_locked(tmp_path, monkeypatch):
    locked: set[int] = set()

    def locking(descriptor: int, mode: int, number_of_bytes: int) -> None:
        assert (mode, number_of_bytes) == (2, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) > 1000  # the first bytes can still be read
        inode = os.fstat(descriptor).st_ino
        if inode in locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        locked.add(inode)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(sys, "platform", "win32")
    with hold_lock(tmp_path / "lock") as first, hold_lock(tmp_path / "lock") as second:
        assert first
        assert not second
