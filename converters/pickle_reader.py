"""Reads what a torch pickle describes, without running anything that it asks for.

A general unpickler imports and calls whatever the file names. This one knows only the few opcodes
that a dictionary of tensors needs. It imports nothing. Its only "calls" are the three patterns in
`_reduce`, which give plain records; `torch_file` reads the bytes of the tensors.
"""

import pickletools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .records import (
    STORAGE_DTYPES,
    CheckpointError,
    Storage,
    TensorRecord,
    TrainerStateError,
)

_CALLABLES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
# No trainer needs these, and nobody is told to trust a file that asks for them.
_DANGEROUS = {"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__", "importlib"}
_DANGEROUS |= {"runpy", "code", "shutil", "socket", "pty", "ctypes", "webbrowser"}
_HARMLESS = {"set", "frozenset", "bytearray", "complex", "range", "slice"}
_MARK = object()


def read_pickle(data: bytes) -> Any:
    """Returns the value that a torch pickle describes.

    Args:
      data: The bytes of an archive's `data.pkl`.

    Returns:
      Dicts, lists, tuples, strings and numbers as they are, an `OrderedDict` as a dict, and each
      tensor or parameter as its `TensorRecord`.

    Raises:
      CheckpointError: If the pickle is damaged or uses anything beyond that.
      TrainerStateError: If that is an object such as trainers keep.
    """
    machine = _Machine()
    for opcode, argument in _opcodes(data):
        if opcode not in _ACTIONS:
            raise CheckpointError(f"refused: no state dict of tensors uses pickle opcode {opcode}")
        _ACTIONS[opcode](machine, argument)
    return machine.pop()


def _opcodes(data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            yield opcode.name, argument
    except ValueError as error:
        raise CheckpointError(f"its pickle is damaged: {error}") from error


@dataclass(frozen=True)
class _Callable:
    name: str


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise CheckpointError("its pickle is damaged: a value is taken from an empty stack")
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        del self.stack[-1]
        return value

    def pop_tuple(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def pop_to_mark(self) -> list[Any]:
        values: list[Any] = []
        while self.stack:
            if (value := self.stack.pop()) is _MARK:
                return values[::-1]
            values.append(value)
        raise CheckpointError("its pickle is damaged: a mark is missing")

    def memoise(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise CheckpointError(f"its pickle is damaged: nothing was memoised as {index}")
        self.push(self.memo[index])


def _set_items(machine: _Machine, items: Sequence[Any]) -> None:
    target = machine.top()
    if not isinstance(target, dict) or len(items) % 2:
        raise CheckpointError("its pickle is damaged: key-value pairs for something but a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # A tuple is refused, since nested ones can take exponential time to hash.
        if not isinstance(key, str | int | float | None):
            raise TrainerStateError(f"refused: a dict key of type {type(key).__name__}")
        target[key] = value


def _extend(machine: _Machine, items: Sequence[Any]) -> None:
    target = machine.top()
    if not isinstance(target, list):
        raise CheckpointError("its pickle is damaged: items for something but a list")
    target.extend(items)


def _global(machine: _Machine, name: str) -> None:
    module, _, attribute = name.partition(" ")
    if module == "torch" and attribute in STORAGE_DTYPES:
        machine.push(STORAGE_DTYPES[attribute])
    elif name in _CALLABLES:
        machine.push(_Callable(name))
    else:
        harmless = attribute in _HARMLESS or module.partition(".")[0] not in _DANGEROUS
        kind = TrainerStateError if harmless else CheckpointError
        raise kind(f"refused: it asks for {f'{module}.{attribute}'!r}, not for tensors")


def _stack_global(machine: _Machine, _: None) -> None:
    match machine.pop_tuple(2):
        case (str(module), str(attribute)):
            _global(machine, f"{module} {attribute}")
        case _:
            raise CheckpointError("its pickle is damaged: it asks for something without a name")


def _persistent_id(machine: _Machine, _: None) -> None:
    match machine.pop():
        case ("storage", np.dtype() as dtype, str(key), str(), int(num_elements)):
            machine.push(Storage(dtype, key, num_elements))
        case _:
            raise CheckpointError("its pickle is damaged: a storage is not described as torch does")


def _reduce(machine: _Machine, _: None) -> None:
    match machine.pop_tuple(2):
        case (_Callable("collections OrderedDict"), ()):
            machine.push({})
        case (
            _Callable("torch._utils _rebuild_tensor_v2"),
            (Storage() as storage, int(offset), tuple(shape), tuple(strides), bool(), dict(), *_),
        ):
            machine.push(TensorRecord(storage, offset, shape, strides))
        case (
            _Callable("torch._utils _rebuild_parameter"),
            (TensorRecord() as tensor, bool(), dict()),
        ):
            machine.push(tensor)
        case _:
            raise CheckpointError("refused: it makes a call that rebuilds no tensor")


def _build(machine: _Machine, _: None) -> None:
    machine.pop()
    # `Module.state_dict()` attaches `_metadata` to the OrderedDict; nothing here needs it.
    if not isinstance(machine.top(), dict):
        raise CheckpointError("refused: it sets the state of something but an OrderedDict")


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4"), _Machine.push),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BINUNICODE8"), _Machine.push),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.memoise),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(machine.pop_tuple(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.pop_tuple(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.pop_tuple(3)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "MARK": lambda machine, _: machine.push(_MARK),
    "SETITEM": lambda machine, _: _set_items(machine, machine.pop_tuple(2)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_to_mark()),
    "APPEND": lambda machine, _: _extend(machine, machine.pop_tuple(1)),
    "APPENDS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "BINPERSID": _persistent_id,
    "REDUCE": _reduce,
    "BUILD": _build,
}
