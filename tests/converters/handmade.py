"""Torch files written by hand, opcode by opcode and record by record, without torch."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from converters.records import STORAGE_DTYPES, CheckpointError
from converters.torch_file import read_torch_file
from converters.torch_writer import write_state_dict

BASE = np.arange(24, dtype=np.float32)


def push(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


ORDERED_DICT = called(named("collections", "OrderedDict"))


def storage(kind: str = "FloatStorage", key: str = "0", size: int = 24) -> bytes:
    described = [push("storage"), named("torch", kind), push(key), push("cuda:0"), push(size)]
    return b"(" + b"".join(described) + b"tQ"


def tensor(source: bytes, shape: Any, strides: Any, offset: Any = 0, hooks=ORDERED_DICT) -> bytes:
    arguments = [source, *map(push, (offset, shape, strides, False)), hooks]
    return called(named("torch._utils", "_rebuild_tensor_v2"), *arguments)


def mapping(**values: bytes) -> bytes:
    return b"}(" + b"".join(push(key) + value for key, value in values.items()) + b"u"


def write(path: Path, value: bytes, **records: bytes) -> Path:
    """An archive whose pickle has protocol 2 and builds `value`; `__` in a name stands for `/`."""
    contents = {"data.pkl": b"\x80\x02" + value + b".", "byteorder": b"little"}
    contents |= {"data/0": BASE.tobytes()} | {k.replace("__", "/"): v for k, v in records.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"archive/{name}", content)
    return path


def nested(content: Any, arrays: list[np.ndarray]) -> bytes:
    """Opcodes of nested dicts of plain values and arrays, which are appended to the list."""
    if isinstance(content, dict):
        items = [push(key) + nested(value, arrays) for key, value in content.items()]
        return b"}(" + b"".join(items) + b"u"
    if not isinstance(content, np.ndarray):
        return content if isinstance(content, bytes) else push(content)
    kind = next(name for name, dtype in STORAGE_DTYPES.items() if dtype == content.dtype)
    arrays.append(content)
    strides = tuple(stride // content.itemsize for stride in np.array(content, order="C").strides)
    return tensor(storage(kind, str(len(arrays)), content.size), content.shape, strides)


def write_nested(path: Path, content: Any) -> Path:
    """What `torch.save` makes of nested dicts; bytes stand for opcodes."""
    arrays: list[np.ndarray] = []
    value = nested(content, arrays)
    records = {f"data__{key}": array.tobytes() for key, array in enumerate(arrays, start=1)}
    return write(path, value, **records)


WHOLE = tensor(storage(), (24,), (1,))


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    return read_torch_file(path).tensors


def read_or_refusal(path: Path) -> dict[str, np.ndarray] | str:
    try:
        return read_state_dict(path)
    except CheckpointError as error:
        return str(error)


def check_outcome(outcome: Any, path: Path) -> None:
    """Damage ends in arrays (where it hit nothing that matters) or in the one error, no other."""
    if isinstance(outcome, str):
        assert outcome.startswith(f"{path}: ")
    else:
        assert outcome
        assert {(type(k), type(v)) for k, v in outcome.items()} == {(str, np.ndarray)}


def rewrite(source: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Change the state dict of a checkpoint."""
    tensors = read_state_dict(source / "weights.pt")
    change(tensors)
    (source / "weights.pt").unlink()
    write_state_dict(source / "weights.pt", tensors)
