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
      name: Name of the argument, for the message.
      values: What was given.
      shape: Size of each axis, or a name where any size will do. `...` stands for any number
        of further axes.
      kind: `bool` and `int` leave the dtype alone; `float` gives float64.
      least: The smallest size of the first axis. Every other named axis needs at least 1.
    """
    array = np.asarray(values)
    kinds, words = KINDS[kind]
    axes = shape
    if ... in shape:
        place = shape.index(...)
        free = max(0, array.ndim - len(shape) + 1) * (...,)
        axes = (*shape[:place], *free, *shape[place + 1 :])
    fits = len(axes) == array.ndim and all(
        axis is ... or (size == axis if isinstance(axis, int) else size >= (1 if place else least))
        for place, (axis, size) in enumerate(zip(axes, array.shape, strict=True))
    )
    if array.dtype.kind not in kinds or not fits:
        listed = ", ".join("..." if axis is ... else str(axis) for axis in shape)
        listed += "," if len(shape) == 1 else ""
        empty = " with no empty axis" if 0 in array.shape else ""
        raise ValueError(
            f"{name} must be {words} of shape ({listed}){empty}; got {array.dtype} of {array.shape}"
        )
    return array.astype(np.float64) if kind is float else array


def updates_per_segment(name: str, num_updates: int, num_segments: int) -> int:
    """Returns how many updates a segment has, or refuses segments that are not whole."""
    updates, rest = divmod(num_updates, num_segments)
    if rest:
        raise ValueError(
            f"{name} must have whole segments of {num_segments}; it has {num_updates} updates"
        )
    return updates


def largest_first(exponents: ArrayLike) -> np.ndarray:
    """Returns the exponents (..., k) of each run sorted, those before the first NaN.

    A frame leaves finite-time exponents in the order of its vectors, which is not always that of
    their sizes. Runs are compared by the i-th largest exponent. From the first NaN on, which is a
    direction below the round-off floor, nothing is known, and NaN is returned.
    """
    exponents = np.asarray(exponents)
    unknown = np.logical_or.accumulate(np.isnan(exponents), axis=-1)
    return -np.sort(np.where(unknown, np.nan, -exponents), axis=-1)


def check_no_nan(name: str, values: np.ndarray) -> None:
    """Refuses NaN, which has no rank."""
    missing = np.isnan(values)
    if missing.any():
        num_rows = int(missing.reshape(len(values), -1).any(axis=1).sum())
        raise ValueError(
            f"{name} must hold no NaN, which has no rank; {num_rows} of {len(values)} rows have "
            "one: drop those rows and report how many there were"
        )


def first_right(right: Any) -> Any:
    """Returns (...) the segment, from 1, of the first right answer of (..., segments); 0: none.

    It takes arrays of NumPy and of JAX.
    """
    return right.any(-1) * (right.argmax(-1) + 1)
