"""Words for numbers: fractions in %, intervals, ranges."""

import numpy as np


def bracketed(value: float, low: float, high: float, precision: str) -> str:
    """A number with its interval in words; `precision` is that of a format, such as `.3f`."""
    if np.isnan(value):
        return "undefined"
    return f"{value:{precision}} [{low:{precision}}, {high:{precision}}]"
