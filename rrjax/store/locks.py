"""Locks that die with their holder."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rrjax.store.reading import check_file

_LOCKED_BYTE = 2**30
"""Position that Windows locks: a locked byte cannot be read, and the first ones name the holder."""


@contextmanager
def hold_folder(folder: Path, verb: str) -> Iterator[None]:
    """Holds a folder while the block runs, so that no other process works in it.

    Args:
      folder: a folder that exists.
      verb: What the holder does with it, as in "the folder is being trained".

    Raises:
      ValueError: If another process holds it; the message says which one, and since when.
    """
    path = folder / ".lock"
    with hold_lock(path) as is_mine:
        if not is_mine:
            holder = _first_line(path)
            raise ValueError(
                f"{folder} is being {verb} by another process{f' ({holder})' if holder else ''}; "
                "wait until that one has ended, or choose another folder (--out)"
            )
        yield


@contextmanager
def hold_lock(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the lock; its file is removed when the block ends.

    The system releases the lock when the process ends, however it ends. A system or a file system
    without locks lets everybody hold it. The file names its holder.

    Args:
      path: The lock's file, which is made. A killed holder leaves it behind, unlocked.

    Raises:
      ValueError: If there is something else than a file.
    """
    if path.exists():
        check_file(path)
    with path.open("a") as file:  # another process may hold it: its content stays
        if not _is_acquired(file.fileno(), path):
            yield False
            return
        with suppress(OSError):  # a full disk leaves the holder without a name
            file.truncate(0)
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            file.write(f"process {os.getpid()} on {platform.node()}, since {now}\n")
            file.flush()
        try:
            yield True
        finally:
            with suppress(OSError):
                path.unlink()


def _first_line(path: Path) -> str:
    """Returns what a lock's file says about its holder; nothing where it cannot be read."""
    with suppress(OSError):
        return path.read_text(errors="replace").partition("\n")[0]
    return ""


def _is_acquired(descriptor: int, path: Path) -> bool:
    try:
        _lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:
        return True
    try:
        # an earlier holder may have removed the file after it was opened here: that lock is void
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> None:
    """Locks an open file, or raises BlockingIOError; does nothing where there are no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        return
    with suppress(ImportError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
