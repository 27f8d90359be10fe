"""Files and folders that are whole or absent."""

import csv
import errno
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HIDDEN_NAME = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(tmp|old)")
"""The name of a file or folder while it is written; a kill may leave one behind."""

_ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "your quota is used up: free some space or choose another folder",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder you may write to"),
    errno.ENOENT: "create its folder first",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.EISDIR: "a folder has this name: choose another",
    errno.ENOTEMPTY: "something appeared there meanwhile: choose another folder",
}

_WINDOWS = os.name == "nt"
"""Windows opens no folders, and flushes only files that are open for writing."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_bytes_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file that appears under its name only when it is whole.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is
    renamed. A failed or interrupted write removes the temporary file and leaves an older file of
    that name as it was; after a kill a hidden `*.tmp` may stay behind.

    Raises:
      OSError: With the path and what to do (`strerror` is the message without the number).
    """
    with _written(Path(path), data) as temporary:
        os.replace(temporary, path)


def write_csv(path: str | Path, rows: Iterable[Iterable[Any]]) -> None:
    """Writes a table as CSV, the names of its columns first, as `write_bytes_atomically` does.

    Raises:
      OSError: As `write_bytes_atomically`.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_bytes_atomically(path, text.getvalue().encode())


def write_bytes_once(path: str | Path, data: bytes) -> None:
    """Writes a file as `write_bytes_atomically` does, unless it is there already.

    Where a file system has no hard links the last writer of the same moment wins.

    Raises:
      OSError: As `write_bytes_atomically`.
    """
    with _written(Path(path), data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.replace(temporary, path)


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Yields a temporary file with the data beside `path`; it is gone later unless renamed."""
    temporary = _hidden(path, "tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _hidden(path: Path, ending: str) -> Path:
    """Returns an unused name beside `path` that `HIDDEN_NAME` matches."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}")


def _explained(error: OSError, path: Path) -> OSError:
    advice = _ADVICE.get(error.errno or 0, "check the disk and the folder")
    # the system's own words: `strerror` may be an explanation already, of a file in a folder
    reason = os.strerror(error.errno) if error.errno else error
    return OSError(error.errno, f"cannot write {path}: {reason}; {advice}")


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """Makes a folder that appears under its name only when it is whole.

    What the `with` block writes goes to a temporary folder beside it, which is flushed to the disk
    and renamed when the block ends. A block that fails or is interrupted leaves nothing; after a
    kill a hidden `*.tmp` may stay behind.

    Args:
      folder: Absent or empty; the folders above it are made.

    Yields:
      The temporary folder, to be filled.

    Raises:
      ValueError: If something is there.
      OSError: As `write_bytes_atomically`; one from the block is named as one of `folder`.
    """
    folder = Path(folder)
    check_new_folder(folder)
    with _beside(folder) as temporary:
        yield temporary
        _flush(temporary)
        os.rename(temporary, folder)


@contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """Makes a folder as `new_folder` does, in the place of one that is there.

    The older one goes when the new one stands, and comes back if that fails. A kill between the two
    renamings leaves it beside its place, as a hidden `*.old`.
    """
    folder = Path(folder)
    with _beside(folder) as temporary:
        yield temporary
        _flush(temporary)
        older = _hidden(folder, "old")
        os.rename(folder, older)
        try:
            os.rename(temporary, folder)
        finally:
            if folder.exists():
                shutil.rmtree(older, ignore_errors=True)
            else:
                os.rename(older, folder)


def check_new_folder(folder: str | Path) -> None:
    """Refuses a place where `new_folder` can put nothing, before a long job computes.

    Raises:
      ValueError: If something is there.
      OSError: If the folder above is none, or nothing may be written there.
    """
    folder = Path(folder)
    if folder.name in ("", ".."):
        raise ValueError(f"{folder}: expected a folder by its name, to be made in the one above")
    # a link to nowhere, or to itself, is there and does not exist
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"{folder}: expected a new or empty folder, found something in its place; choose "
            "another folder or remove it first"
        )
    above = next(place for place in folder.absolute().parents if place.exists())
    if not above.is_dir():
        raise _explained(OSError(errno.ENOTDIR, ""), folder)
    if not os.access(above, os.W_OK):
        raise _explained(OSError(errno.EACCES, ""), folder)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder that is gone afterwards, unless it was renamed."""
    temporary = _hidden(folder, "tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
    except OSError as error:
        raise _explained(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Waits until the disk has a folder and all that is in it."""
    for path in (*folder.rglob("*"), folder):
        if _WINDOWS and path.is_dir():
            continue
        descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
