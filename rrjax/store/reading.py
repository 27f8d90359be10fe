"""Reads files that anybody may have written: regular ones alone, of bounded size and depth."""

import json
import os
import stat
import tokenize
from pathlib import Path
from typing import Any

LARGEST_RECORD = 2**26
"""Bytes of the largest JSON record that is read; those that rrjax writes have some kilobytes."""

DEEPEST = 64
"""How deep lists and mappings may be nested: functions that walk through them call themselves."""

NPY_ERRORS = (
    *(ValueError, EOFError, TypeError, OverflowError, MemoryError, RecursionError, SyntaxError),
    *(LookupError, tokenize.TokenError),
)
"""What NumPy raises for a damaged `.npy` file. It reads the header as Python's parser does, which
refuses deep parentheses in several ways."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_file(path: str | Path) -> None:
    """Refuses a path to anything but a regular file: reading a pipe or a device may never end.

    Raises:
      OSError: If nothing is there.
      ValueError: If it is no file; the message says what it is.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ValueError(f"{path} is {kind}, where a file was expected")


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Returns the content of a regular file.

    Args:
      path: The file.
      most: Number of bytes that such a file has at most; None for no limit.

    Raises:
      OSError: If it cannot be read.
      ValueError: If it is no regular file, or a larger one.
    """
    check_file(path)
    size = os.stat(path).st_size
    if most is not None and size > most:
        raise ValueError(f"{path} has {size:,} bytes, where at most {most:,} were expected")
    try:
        return Path(path).read_bytes()
    except OSError as error:  # one of reading does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from None


def read_text(path: str | Path, most: int | None = None) -> str:
    """Returns the content of a regular file as text, which must be UTF-8.

    Raises:
      OSError, ValueError: As `read_bytes`, or if it is no text.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text file (UTF-8), found {error}") from None


def read_json_value(path: str | Path, most: int = LARGEST_RECORD) -> Any:
    """Returns what a JSON file holds.

    Raises:
      OSError: If it cannot be read.
      ValueError: If it is no JSON, no regular file, too large, or nested too deep.
    """
    data = read_bytes(path, most)
    try:
        value = json.loads(data)
    except RecursionError:
        raise too_deep(path) from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, or it is damaged: {error}") from None
    if _depth(value) > DEEPEST:
        raise too_deep(path)
    return value


def too_deep(path: str | Path) -> ValueError:
    """Returns the error of a file that is nested deeper than `DEEPEST`."""
    return ValueError(f"{path} nests lists and mappings deeper than {DEEPEST} levels")


def _depth(value: Any) -> int:
    """Returns how deep lists and mappings are nested, without calling itself."""
    depth, level = 0, [[value]]
    while level := [
        leaf
        for branch in level
        for leaf in (branch.values() if isinstance(branch, dict) else branch)
        if isinstance(leaf, dict | list)
    ]:
        depth += 1
    return depth
