"""What the arrays of a result are: the names of their axes, and their units in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rrjax.store import Arrays


class ArraySpec(NamedTuple):
    """The axes and the unit of an array.

    Attributes:
      axes: A name for each axis.
      unit: The unit of its numbers, in words.
    """

    axes: tuple[str, ...]
    unit: str


def describe_arrays(arrays: Arrays, specs: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """Returns the `axes` and `units` of every array, for the record beside a result.

    A spec whose name ends in `_` is that of all arrays whose names begin so.

    Raises:
      ValueError: An array has no spec or other axes, or an axis has two sizes.
    """
    by_name = {name: _spec(name, specs) for name in arrays}
    sizes: dict[str, int] = {}
    for name, spec in by_name.items():
        shape = arrays[name].shape
        if len(spec.axes) != len(shape):
            raise ValueError(f"{name} has {len(shape)} axes, its spec names {spec.axes}")
        for axis, size in zip(spec.axes, shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"{axis} has {size} places in {name}, {sizes[axis]} elsewhere")
    return {
        "axes": {name: list(spec.axes) for name, spec in by_name.items()},
        "units": {name: spec.unit for name, spec in by_name.items()},
    }


def _spec(name: str, specs: Mapping[str, ArraySpec]) -> ArraySpec:
    if name in specs:
        return specs[name]
    for prefix, spec in specs.items():
        if prefix.endswith("_") and name.startswith(prefix):
            return spec
    raise ValueError(f"the array {name} has no axes and unit: add it to the experiment's arrays")
