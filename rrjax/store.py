"""Files and folders that are whole or absent, and a record of how they were made."""

import errno
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

DIGEST_KEY = "sha256"
DIGEST_LENGTH = 64

STRAY_SECONDS = 3600
"""Age from which a temporary file or folder is what a kill left behind. Nobody takes an hour from
one write to the next, and the clocks of machines that share a disk differ by less."""

_HIDDEN = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(tmp|old)")

_ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "your quota is used up: free some space or choose another folder",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOENT: "create its folder first",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.EISDIR: "a folder has this name: choose another",
    errno.ENOTEMPTY: "something appeared there meanwhile: choose another folder",
}


def write_bytes_atomically(path: str | Path, data: bytes) -> None:
    """Write a file that appears under its name only when it is whole.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is
    renamed. A failed or interrupted write removes the temporary file and leaves an older file of
    that name as it was; after a kill a hidden `*.tmp` may stay behind.

    Raises:
      OSError: with the path and what to do (`strerror` is the message without the number).
    """
    path = Path(path)
    temporary = _hidden(path, "tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _hidden(path: Path, ending: str) -> Path:
    """A name beside `path` that `_HIDDEN` matches and nothing has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}")


def _explained(error: OSError, path: Path) -> OSError:
    advice = _ADVICE.get(error.errno or 0, "check the disk and the folder")
    # the system's own words: `strerror` may be an explanation already, of a file in a folder
    reason = os.strerror(error.errno) if error.errno else error
    return OSError(error.errno, f"cannot write {path}: {reason}; {advice}")


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """Make a folder that appears under its name only when it is whole.

    What the `with` block writes goes to a temporary folder beside it, which is flushed to the disk
    and renamed when the block ends. A block that fails or is interrupted leaves nothing; after a
    kill a hidden `*.tmp` may stay behind.

    Args:
      folder: absent or empty; the folders above it are made.

    Yields:
      The temporary folder, to be filled.

    Raises:
      ValueError: if something is there.
      OSError: as `write_bytes_atomically`; one from the block is named as one of `folder`.
    """
    folder = Path(folder)
    check_new_folder(folder)
    with _beside(folder) as temporary:
        yield temporary
        _flush(temporary)
        os.rename(temporary, folder)


@contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """As `new_folder`, for a folder that is there: it goes when the new one stands.

    A kill between the two renamings leaves the older one beside its place, as a hidden `*.old`.
    """
    folder = Path(folder)
    with _beside(folder) as temporary:
        yield temporary
        _flush(temporary)
        _replace(temporary, folder)


def check_new_folder(folder: str | Path) -> None:
    """Refuse a place where `new_folder` can put nothing; a long job asks before it computes.

    Raises:
      ValueError: if something is there.
      OSError: if the folder above is none, or nothing may be written there.
    """
    folder = Path(folder)
    if folder.name in ("", ".."):
        raise ValueError(f"{folder}: expected a folder by its name, to be made in the one above")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
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
    """A temporary folder that is gone afterwards, unless it was renamed."""
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
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace(temporary: Path, folder: Path) -> None:
    """Rename a folder; the older one goes only when the new one stands, or comes back."""
    older = _hidden(folder, "old")
    os.rename(folder, older)
    try:
        os.rename(temporary, folder)
    finally:
        if folder.exists():
            shutil.rmtree(older, ignore_errors=True)
        else:
            os.rename(older, folder)


def write_json(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, atomically.

    NumPy numbers and arrays become plain ones. JSON has neither NaN nor infinities: NaN becomes
    null, an infinity the string "Infinity" or "-Infinity", which `float` reads back.

    Raises:
      TypeError: for a value that JSON cannot hold.
      OSError: as `write_bytes_atomically`.
    """
    text = json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomically(path, (text + "\n").encode())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a record that `write_json` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is damaged or holds no record.
    """
    try:
        record = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON, or damaged: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold a record {{...}}; found a {type(record).__name__}")
    return record


def write_arrays(path: str | Path, arrays: Mapping[str, ArrayLike]) -> str:
    """Write named arrays as an `.npz` file, atomically; equal arrays give equal bytes.

    The file carries its own check: the comment at the very end of the zip is the SHA-256 of all
    bytes before it. `numpy.load` reads the file like any other.

    Args:
      path: ends in `.npz`.
      arrays: names (not empty) and arrays of the types NumPy itself has.

    Returns:
      The SHA-256 of the whole file.

    Raises:
      ValueError: for another ending, or an array of objects or of a type foreign to NumPy, such
        as bfloat16, which would come back as raw bytes.
      OSError: as `write_bytes_atomically`.
    """
    _check_npz_name(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = b"0" * DIGEST_LENGTH
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _storable(name, array), allow_pickle=False)
    content = buffer.getvalue()[:-DIGEST_LENGTH]
    data = content + _digest(content).encode()
    write_bytes_atomically(path, data)
    return _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_npz_name(path: str | Path) -> None:
    if Path(path).suffix != ".npz":
        raise ValueError(f"path must end in .npz; got {path}")


def _storable(name: str, array: ArrayLike) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "biufcUSmM":
        raise ValueError(
            f"arrays[{name!r}] has type {array.dtype}, which an .npz file cannot keep: convert it "
            "first, bfloat16 for instance to float32"
        )
    return array


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; nothing in the file can run code.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if a byte is missing or changed, or the file was written by something else.
    """
    _check_npz_name(path)
    return _decode(path, Path(path).read_bytes())


def _decode(path: str | Path, data: bytes) -> dict[str, np.ndarray]:
    content, digest = data[:-DIGEST_LENGTH], data[-DIGEST_LENGTH:]
    if digest != _digest(content).encode():
        raise ValueError(
            f"{path} is truncated or damaged, or was not written by rrjax: its bytes do not have "
            "the SHA-256 at its end; delete it to have it computed again"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file.items())


def write_result(
    path: str | Path, arrays: Mapping[str, ArrayLike], record: Mapping[str, Any]
) -> None:
    """Write arrays as `.npz`, then their record as the `.json` beside it.

    The record comes last and holds the file's digest under "sha256": once it is there and the
    digest fits, the pair is complete.

    Raises:
      ValueError, TypeError, OSError: as `write_arrays` and `write_json`.
    """
    digest = write_arrays(path, arrays)
    write_json(Path(path).with_suffix(".json"), {**record, DIGEST_KEY: digest})


def read_result(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and the record that `write_result` wrote.

    Raises:
      FileNotFoundError: if one of the two files is absent.
      ValueError: as `read_arrays` and `read_json`, or if the record is that of other arrays.
    """
    _check_npz_name(path)
    record_path = Path(path).with_suffix(".json")
    record, data = read_json(record_path), Path(path).read_bytes()
    wanted, found = record.get(DIGEST_KEY), _digest(data)
    arrays = _decode(path, data)
    if wanted != found:
        raise ValueError(
            f"{path} is not the file that {record_path.name} describes: expected SHA-256 {wanted}, "
            f"found {found}; delete both to have them computed again"
        )
    return arrays, record


def describe_run() -> dict[str, Any]:
    """How a result was made: versions, devices, state of the source, time and command.

    Nothing in it names the machine, its user or its folders.

    Returns:
      A record for `write_json`; `git` is None unless rrjax runs from a checkout of its source.
    """
    import jax

    devices = jax.devices()
    packages = ("rrjax", "jax", "jaxlib", "flax", "numpy")
    return {
        "versions": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "backend": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "num_devices": len(devices),
        "git": _git_state(Path(__file__)),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [PurePath(sys.argv[0]).name, *map(_without_folders, sys.argv[1:])],
    }


def version() -> str | None:
    """The installed version of rrjax."""
    return _version("rrjax")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _without_folders(argument: str) -> str:
    """The argument, an absolute path in it cut down to its last part."""
    option, equals, value = argument.rpartition("=")
    return option + equals + PurePath(value).name if PurePath(value).is_absolute() else argument


def _git_state(source: Path) -> dict[str, Any] | None:
    """Commit of the checkout that tracks `source`, and whether its folder differs from it."""
    try:
        # An environment inside some other project's checkout does not track this file.
        _git(source.parent, "ls-files", "--error-unmatch", source.name)
        commit = _git(source.parent, "rev-parse", "HEAD").strip()
        changes = _git(source.parent, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changes.strip())}


def _git(folder: Path, *arguments: str) -> str:
    # Inside a hook, GIT_DIR and the like would point git at another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        ["git", "--no-optional-locks", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout


def digest_arrays(*arrays: ArrayLike) -> str:
    """sha256 over dtypes, shapes and contents, in order: tells whether two inputs are the same."""
    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def claim_folder(
    folder: str | Path, name: str, identity: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Take a folder for a job: a new or empty one, or that of the same job, to be continued.

    What killed writers left in it more than `STRAY_SECONDS` ago is removed.

    Args:
      folder: made where it does not exist.
      name: of the JSON file in it that says what job it belongs to.
      identity: what makes two jobs the same; JSON-able.
      record: what else a new file says.

    Raises:
      ValueError: if the folder holds another job, naming what differs, or anything else.
    """
    folder, mine = Path(folder), _plain(identity)
    if (folder / name).exists():
        _check_same(folder, mine, read_json(folder / name).get("identity", {}))
    elif _is_free(folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / name, {"identity": mine, **record})
    else:
        raise ValueError(
            f"{folder} is not empty and holds no run (no {name}): choose another --out"
        )
    _remove_strays(folder)


def _check_same(folder: Path, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    differences = list(_differences(mine, theirs, ""))
    if differences:
        raise ValueError(
            f"{folder} holds another run: " + "; ".join(differences[:3]) + "; "
            "choose another --out or remove that folder"
        )


def _is_free(folder: Path, name: str) -> bool:
    """Whether nothing is there but what a kill may have left of writing `name`."""
    if not folder.is_dir():
        return not folder.exists()
    found = (_HIDDEN.fullmatch(path.name) for path in folder.iterdir())
    return all(match is not None and match[1] == name for match in found)


def _differences(mine: Any, theirs: Any, path: str) -> Iterator[str]:
    """One phrase for each leaf that differs."""
    if not (isinstance(mine, Mapping) and isinstance(theirs, Mapping)):
        if mine != theirs:
            yield f"its {path or 'identity'} is {theirs}, asked for {mine}"
        return
    for key in [*mine, *(key for key in theirs if key not in mine)]:
        yield from _differences(mine.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))


def _remove_strays(folder: Path) -> None:
    """Remove what killed writers left in a folder and below it."""
    for above, folders, files in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *files)):
            # another worker may be at the same: what cannot be removed does no harm
            with suppress(OSError):
                if _is_stray(path):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        folders[:] = [name for name in folders if not _HIDDEN.fullmatch(name)]


def _is_stray(path: Path) -> bool:
    """Whether it is ours and abandoned; an `.old` is needed until its successor stands."""
    match = _HIDDEN.fullmatch(path.name)
    if match is None or (match[2] == "old" and not path.with_name(match[1]).exists()):
        return False
    newest = max(item.stat().st_mtime for item in (path, *path.rglob("*")))
    return time.time() - newest > STRAY_SECONDS
