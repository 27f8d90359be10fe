"""Locks that die with their holder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def hold_lock(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the lock; its file is removed when the block ends.

    The system releases the lock when the process ends, however it ends. A system or a file system
    without locks lets everybody hold it.

    Args:
      path: the lock's file, which is made. A killed holder leaves it behind, unlocked.
    """
    with path.open("w") as file:
        if not _is_acquired(file.fileno(), path):
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                path.unlink()


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

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        return
    with suppress(ImportError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
