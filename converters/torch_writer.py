"""Writes state dicts as `torch.save` writes them, without torch."""

import io
import math
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.store import write_bytes_atomically

from .records import STORAGE_DTYPES

_STORAGE_NAMES = {dtype: name for name, dtype in STORAGE_DTYPES.items()}
# with a fixed date the file is a function of the weights
_DATE = (1980, 1, 1, 0, 0, 0)


def write_state_dict(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays so that `torch.load(path, weights_only=True)` returns them with equal bits.

    Args:
      path: a file that must not exist; it appears whole or not at all.
      arrays: The arrays by name, of any dtype that torch stores (bfloat16 by ml_dtypes).

    Raises:
      ValueError: If the file exists, or torch has no such dtype.
      OSError: If it cannot be written.
    """
    if os.path.lexists(path):  # a link to nowhere too
        raise ValueError(f"{path} exists already and is not overwritten; name another file")
    for name, array in arrays.items():
        if array.dtype not in _STORAGE_NAMES:
            raise ValueError(f"{name} has dtype {array.dtype}, which no torch file stores")
    write_bytes_atomically(path, _archive(arrays))


def _archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        records = {"data.pkl": _pickle(arrays), "byteorder": b"little"}
        records |= {f"data/{key}": array.tobytes() for key, array in enumerate(arrays.values())}
        # this is the version of the layout of records, not of torch
        records["version"] = b"3\n"
        for name, content in records.items():
            archive.writestr(zipfile.ZipInfo(f"weights/{name}", _DATE), content)
    return buffer.getvalue()


def _pickle(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns opcodes of protocol 2 for a dict from names to tensors over the storages 0, 1, …."""
    items = [_literal(name) + _tensor(key, a) for key, (name, a) in enumerate(arrays.items())]
    opening = [pickle.PROTO, b"\x02", pickle.EMPTY_DICT, pickle.MARK]
    return b"".join([*opening, *items, pickle.SETITEMS, pickle.STOP])


def _tensor(key: int, array: np.ndarray) -> bytes:
    """Returns `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`."""
    storage_type = _global("torch", _STORAGE_NAMES[array.dtype])
    parts = [_literal("storage"), storage_type, *map(_literal, (str(key), "cpu", array.size))]
    storage = b"".join([pickle.MARK, *parts, pickle.TUPLE, pickle.BINPERSID])
    strides = tuple(math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
    hooks = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    arguments = [storage, _literal(0), _literal(array.shape), _literal(strides), _literal(False)]
    function = _global("torch._utils", "_rebuild_tensor_v2")
    return b"".join([function, pickle.MARK, *arguments, hooks, pickle.TUPLE, pickle.REDUCE])


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _literal(value: Any) -> bytes:
    """Returns the opcodes that push a string, an integer, a boolean or a tuple of integers."""
    # without the PROTO that pickle puts first and its final STOP
    return pickle.dumps(value, protocol=2)[2:-1]
