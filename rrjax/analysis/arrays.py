"""Checks of the arrays that the statistics are given."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

KINDS = {bool: ("b", "booleans"), int: ("biu", "integers or booleans"), float: ("biuf", "numbers")}


def as_array(
    name: str, values: ArrayLike, shape: tuple[Any, ...], kind: type = float, least: int = 0
) -> np.ndarray:
    """Returns the values as an array, or refuses those of another shape or kind.

    Args:
      name: of the argument, for the message.
      values: what was given.
      shape: for each axis its size, or a name where any size will do. A last `...` stands for any
        further axes.
      kind: `bool` and `int` leave the dtype alone; `float` gives float64.
      least: the smallest size of the first axis. Every other named axis needs at least 1.

    Raises:
      ValueError: naming the argument, what was expected and what it is.
    """
    array = np.asarray(values)
    kinds, words = KINDS[kind]
    axes = shape[:-1] if shape[-1] is ... else shape
    sizes_fit = all(
        size == axis if isinstance(axis, int) else size >= (1 if place else least)
        for place, (axis, size) in enumerate(zip(axes, array.shape, strict=False))
    )
    has_axes = array.ndim >= len(axes) if shape[-1] is ... else array.ndim == len(axes)
    if array.dtype.kind not in kinds or not sizes_fit or not has_axes:
        listed = ", ".join("..." if axis is ... else str(axis) for axis in shape)
        listed += "," if len(shape) == 1 else ""
        empty = " with no empty axis" if 0 in array.shape else ""
        raise ValueError(
            f"{name} must be {words} of shape ({listed}){empty}; got {array.dtype} of {array.shape}"
        )
    return array.astype(np.float64) if kind is float else array


def check_no_nan(name: str, values: np.ndarray) -> None:
    """Refuses NaN, which has no rank."""
    missing = np.isnan(values)
    if missing.any():
        num_rows = int(missing.reshape(len(values), -1).any(axis=1).sum())
        raise ValueError(
            f"{name} must hold no NaN, which has no rank; {num_rows} of {len(values)} rows have "
            "one: drop those rows and report how many there were"
        )
