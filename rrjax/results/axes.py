"""What the arrays of a result are: the names of their axes, and their units in words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rrjax.store import Arrays


class ArraySpec(NamedTuple):
    """The axes and the unit of an array.

    Attributes:
      axes: A name for each axis.
      unit: The unit of its numbers, in words.
      kind: f for numbers, i for integers, b for truth values.
    """

    axes: tuple[str, ...]
    unit: str
    kind: str = "f"


def describe_arrays(arrays: Arrays, specs: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """Returns the `axes` and `units` of every array, for the record beside a result.

    A spec whose name ends in `_` is that of all arrays whose names begin so.

    Raises:
      ValueError: An array has no spec or other axes, or an axis has two sizes.
    """
    by_name = {name: _spec(name, specs) for name in arrays}
    axes = {name: list(spec.axes) for name, spec in by_name.items()}
    check_axes(arrays, axes)
    return {"axes": axes, "units": {name: spec.unit for name, spec in by_name.items()}}


def check_axes(arrays: Arrays, axes: Mapping[str, Sequence[str]]) -> None:
    """Refuses arrays that are not those whose axes are named, or have other axes.

    Raises:
      ValueError: An array is missing or not named, has another number of axes, or an axis has two
        sizes.
    """
    if arrays.keys() != axes.keys():
        names = ", ".join(sorted(arrays.keys() ^ axes.keys()))
        raise ValueError(f"arrays and the names of their axes differ in {names}")
    sizes: dict[str, int] = {}
    for name, names in axes.items():
        shape = arrays[name].shape
        if len(names) != len(shape):
            raise ValueError(f"{name} has {len(shape)} axes, its spec names {', '.join(names)}")
        for axis, size in zip(names, shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"{axis} has {size} places in {name}, {sizes[axis]} elsewhere")


def check_kinds(arrays: Arrays, specs: Mapping[str, ArraySpec]) -> None:
    """Refuses arrays of another kind than their specs say; those without a spec pass."""
    for name, array in arrays.items():
        spec = _find_spec(name, specs)
        if spec is not None and array.dtype.kind not in _DTYPES[spec.kind]:
            raise ValueError(f"{name} must be of {_KINDS[spec.kind]}, found {array.dtype}")


_KINDS = {"f": "floating-point numbers", "i": "integers", "b": "truth values"}
_DTYPES = {"f": "f", "i": "iu", "b": "b"}


def _spec(name: str, specs: Mapping[str, ArraySpec]) -> ArraySpec:
    spec = _find_spec(name, specs)
    if spec is None:
        raise ValueError(
            f"the array {name} has no axes and unit: add it to the experiment's arrays"
        )
    return spec


def _find_spec(name: str, specs: Mapping[str, ArraySpec]) -> ArraySpec | None:
    if name in specs:
        return specs[name]
    prefixes = (prefix for prefix in specs if prefix.endswith("_") and name.startswith(prefix))
    return specs.get(next(prefixes, ""))
