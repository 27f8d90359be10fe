"""The check of integer arrays that all kinds of puzzles share."""

import numpy as np


def check_values(name: str, values: np.ndarray, lowest: int, highest: int) -> None:
    """Refuses an array that does not hold integers from `lowest` to `highest` alone."""
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name}: expected integers, found dtype {values.dtype}")
    # the extremes come first, since a mask of a large set may not fit in memory
    if not values.size or lowest <= values.min() <= values.max() <= highest:
        return
    place = tuple(np.argwhere((values < lowest) | (values > highest))[0].tolist())
    raise ValueError(
        f"{name}: expected values {lowest}..{highest}, found {values[place]} at {place}"
    )
