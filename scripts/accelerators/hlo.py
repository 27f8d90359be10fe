"""Reads the text of a program that XLA has optimised: its computations and their instructions."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}
_ARRAY = re.compile(r"\b(pred|bf16|c64|c128|[suf]\d+\w*)\[([\d,]*)\]")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{\s*$")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_CALLED = re.compile(r"\b(?:calls|to_apply|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a computation.

    Attributes:
      name: The name by which other instructions of the computation refer to it.
      type: The type of its result, which may be a tuple.
      opcode: What it does, such as `dot` or `fusion`.
      operands: The names of the instructions whose results it takes.
      attributes: The rest of its line.
      is_root: Whether its result is that of the computation.
    """

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str
    is_root: bool

    @property
    def called(self) -> list[str]:
        """The names of the computations that it runs; the branches of a choice are several."""
        branches = _BRANCHES.search(self.attributes)
        if branches:
            return [name.strip(" %") for name in branches[1].split(",")]
        return _CALLED.findall(self.attributes)

    @property
    def trips(self) -> int:
        """How often a loop runs its body; 1 where the compiler does not know it."""
        return int(self.attribute(r'"known_trip_count":\{"n":"(\d+)"') or 1)

    def attribute(self, pattern: str) -> str | None:
        """Returns the first group of a pattern among the attributes."""
        match = re.search(pattern, self.attributes)
        return match[1] if match else None

    def numbers(self, *names: str) -> list[int]:
        """Returns the list of integers that the first of these attributes holds."""
        for name in names:
            text = self.attribute(rf'"?{name}"?[=:][{{\[]([\d,"]*)')
            if text is not None:
                return [int(number) for number in text.replace('"', "").split(",") if number]
        return []


@dataclass(frozen=True)
class Program:
    """The computations of a program by name, and the name of the one that is run."""

    computations: Mapping[str, list[Instruction]]
    entry: str


def parse(text: str) -> Program:
    """Returns the computations of an optimised program, which `compiled.as_text()` prints.

    Raises:
      ValueError: The text has no entry computation.
    """
    computations: dict[str, list[Instruction]] = {}
    current, entry = None, None
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            current = computations.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (instruction := _instruction(line)):
            current.append(instruction)
    if entry is None:
        raise ValueError("expected the text of an optimised program, found no ENTRY in it")
    return Program(computations, entry)


def _instruction(line: str) -> Instruction | None:
    match = _LINE.match(line)
    if not match:
        return None
    end = _end_of_group(match[3], " ")
    call = re.match(r"([\w\-]+)\(", match[3][end + 1 :])
    if not call:
        return None
    rest = match[3][end + 1 + call.end() - 1 :]
    close = _end_of_group(rest[1:], ")") + 1
    operands = tuple(re.findall(r"%([\w.\-]+)", rest[:close]))
    return Instruction(
        match[2], match[3][:end], call[1], operands, rest[close + 1 :], bool(match[1])
    )


def _end_of_group(text: str, end: str) -> int:
    """Returns the first place of a character that no bracket encloses."""
    depth = 0
    for place, character in enumerate(text):
        if depth == 0 and character == end:
            return place
        depth += (character in "({[") - (character in ")}]")
    return len(text)


def shape(type_: str) -> tuple[str, list[int]]:
    """Returns the dtype and the dimensions of the first array of a type."""
    match = _ARRAY.search(type_)
    if match is None:
        raise ValueError(f"expected the type of an array, got {type_!r}")
    return match[1], _dimensions(match[2])


def size_in_bytes(type_: str) -> int:
    """Returns the bytes of all arrays of a type."""
    return sum(
        math.prod(_dimensions(dimensions)) * _bits(dtype) // 8
        for dtype, dimensions in _ARRAY.findall(type_)
    )


def _dimensions(text: str) -> list[int]:
    return [int(dimension) for dimension in text.split(",") if dimension]


def _bits(dtype: str) -> int:
    return _BITS.get(dtype) or int(re.findall(r"\d+", dtype)[0])
