"""What the arrays of a command's result are: names of their axes, and units in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rrjax.store import Arrays


class ArraySpec(NamedTuple):
    """What an array is.

    Attributes:
      axes: a name for each of its axes.
      unit: of its numbers, in words.
    """

    axes: tuple[str, ...]
    unit: str


def describe_arrays(arrays: Arrays, meanings: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """`axes` and `units` of every array, for the record beside a result.

    Args:
      arrays: of the result.
      meanings: by array; a name that ends in `_` is that of every array that starts so.

    Raises:
      ValueError: for an array without a meaning or with other axes, or an axis of two sizes.
    """
    found = {name: _meaning(name, meanings) for name in arrays}
    sizes: dict[str, int] = {}
    for name, meaning in found.items():
        shape = arrays[name].shape
        if len(meaning.axes) != len(shape):
            raise ValueError(f"{name} has {len(shape)} axes, its meaning names {meaning.axes}")
        for axis, size in zip(meaning.axes, shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"{axis} has {size} places in {name}, {sizes[axis]} elsewhere")
    return {
        "axes": {name: list(meaning.axes) for name, meaning in found.items()},
        "units": {name: meaning.unit for name, meaning in found.items()},
    }


def _meaning(name: str, meanings: Mapping[str, ArraySpec]) -> ArraySpec:
    if name in meanings:
        return meanings[name]
    for start, meaning in meanings.items():
        if start.endswith("_") and name.startswith(start):
            return meaning
    raise ValueError(f"the array {name} has no axes and unit: add it to the command's meanings")


def answer_drift(arrays: Mapping[str, Any]) -> str:
    """The array of the drift of the state that answers are read from: z_H, or the only one."""
    return "drift_z_H" if "drift_z_H" in arrays else "drift_z_L"
