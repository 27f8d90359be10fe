"""Arrays and JSON records in files that carry their own check."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from rrjax.store.files import write_bytes_atomically
from rrjax.store.reading import NPY_ERRORS, read_bytes, read_json_value

Arrays = dict[str, np.ndarray]
"""Named arrays, as a file of results holds them."""

DIGEST_KEY = "sha256"
DIGEST_LENGTH = 64
FORMAT_KEY = "format"
_ROWS_AT_ONCE = 2**16


def format_entry(kind: str, version: int) -> dict[str, str]:
    """Returns the entry of a JSON record that names its format, such as {"format": "model 1"}.

    The version is raised whenever older files can no longer be read.
    """
    return {FORMAT_KEY: f"{kind} {version}"}


def check_format(record: Mapping[str, Any], kind: str, version: int, path: str | Path) -> None:
    """Refuses a record of `read_json` that names another format than this kind and version.

    Raises:
      ValueError: With the path, the format and the one that is read.
    """
    expected, actual = format_entry(kind, version)[FORMAT_KEY], record.get(FORMAT_KEY)
    if actual != expected:
        reason = f"has the format {actual!r}" if actual else "names no format"
        raise ValueError(
            f"{path} {reason}, but this version of rrjax reads {expected!r} only: it was written "
            "by another version"
        )


def check_entries(record: Mapping[str, Any], types: Mapping[str, type], path: str | Path) -> None:
    """Refuses a record that lacks an entry, or has one of another type.

    Args:
      record: The record.
      types: By dotted name the type of an entry; one that may be absent has a `?` at its end.
      path: Where the record comes from, for the message.
    """
    for name, kind in types.items():
        value: Any = record
        for part in name.rstrip("?").split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None and name.endswith("?"):
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(
                f"{path}: expected {_WORDS[kind]} as the entry {name.rstrip('?')}, found "
                f"{_WORDS.get(type(value), 'something else')}"
            )


_WORDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a record",
    list: "a list",
    type(None): "none",
}


def write_json(path: str | Path, record: Mapping[str, Any]) -> None:
    """Writes a record as JSON, atomically; see `encode_json`."""
    write_bytes_atomically(path, encode_json(record))


def encode_json(record: Mapping[str, Any]) -> bytes:
    """Returns a record as JSON.

    NumPy numbers and arrays become plain ones. JSON has neither NaN nor infinities: NaN becomes
    null, an infinity the string "Infinity" or "-Infinity", which `float` reads back.

    Raises:
      TypeError: For a value that JSON cannot hold.
    """
    text = json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def plain(value: Any) -> Any:
    """Returns a value as JSON gives it back: arrays as lists, NaN as None, infinities as words."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a record that `write_json` wrote.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is damaged, holds no record, or is no regular file.
    """
    record = read_json_value(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold a record {{...}}; found a {type(record).__name__}")
    return record


def write_arrays(path: str | Path, arrays: Mapping[str, ArrayLike]) -> str:
    """Writes named arrays as an `.npz` file, atomically; equal arrays give equal bytes.

    The file carries its own check: the comment at the very end of the zip is the SHA-256 of all
    bytes before it. `numpy.load` reads the file like any other.

    Args:
      path: Ends in `.npz`.
      arrays: Names (not empty) and arrays of the types NumPy itself has.

    Returns:
      The SHA-256 of the whole file.

    Raises:
      ValueError: For another ending, or an array of objects or of a type foreign to NumPy, such
        as bfloat16, which would come back as raw bytes.
      OSError: As `write_bytes_atomically`.
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
    """Reads what `write_arrays` wrote; nothing in the file can run code.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If a byte is missing or changed, or the file was written by something else.
    """
    _check_npz_name(path)
    return _decode(path, read_bytes(path))


def _decode(path: str | Path, data: bytes) -> dict[str, np.ndarray]:
    content, digest = data[:-DIGEST_LENGTH], data[-DIGEST_LENGTH:]
    if digest != _digest(content).encode():
        raise ValueError(
            f"{path} is truncated or damaged, or was not written by rrjax: its bytes do not have "
            "the SHA-256 at its end; delete it to have it computed again"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                _array_name(member): _read_member(archive, member) for member in archive.infolist()
            }
    # zipfile raises RuntimeError for what it does not support
    except (*NPY_ERRORS, zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"{path} holds no arrays as rrjax writes them: {error}") from None


def _array_name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy") or member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its member {member.filename!r} is not an array without compression")
    return member.filename.removesuffix(".npy")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def write_result(
    path: str | Path, arrays: Mapping[str, ArrayLike], record: Mapping[str, Any]
) -> None:
    """Writes arrays as `.npz`, then their record as the `.json` beside it.

    The record comes last and holds the file's digest under "sha256": once it is there and the
    digest fits, the pair is complete.

    Raises:
      ValueError, TypeError, OSError: As `write_arrays` and `write_json`.
    """
    digest = write_arrays(path, arrays)
    write_json(Path(path).with_suffix(".json"), {**record, DIGEST_KEY: digest})


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Replaces the record beside the arrays that `write_result` wrote; these stay as they are."""
    record_path = Path(path).with_suffix(".json")
    digest = read_json(record_path)[DIGEST_KEY]
    write_json(record_path, {**record, DIGEST_KEY: digest})


def read_result(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays and the record that `write_result` wrote.

    Raises:
      FileNotFoundError: If one of the two files is absent.
      ValueError: As `read_arrays` and `read_json`, or if the record is that of other arrays.
    """
    _check_npz_name(path)
    record_path = Path(path).with_suffix(".json")
    record, data = read_json(record_path), read_bytes(path)
    expected, digest = record.get(DIGEST_KEY), _digest(data)
    arrays = _decode(path, data)
    if expected != digest:
        raise ValueError(
            f"{path} is not the file that {record_path.name} describes: expected SHA-256 "
            f"{expected}, found {digest}; delete both to have them computed again"
        )
    return arrays, record


def digest_arrays(*arrays: ArrayLike, dtype: DTypeLike | None = None) -> str:
    """Returns the sha256 of dtypes, shapes and contents, in order.

    With a `dtype` it is that of the converted arrays, which are converted piece by piece.
    """
    digest = hashlib.sha256()
    for array in map(np.atleast_1d, arrays):
        kind = array.dtype if dtype is None else np.dtype(dtype)
        digest.update(f"{kind.str}{array.shape}".encode())
        for start in range(0, len(array), _ROWS_AT_ONCE):
            digest.update(array[start : start + _ROWS_AT_ONCE].astype(kind, copy=False).tobytes())
    return digest.hexdigest()
