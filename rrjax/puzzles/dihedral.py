"""The eight symmetries of a square grid, numbered as in the official TRM and HRM code.

0 to 3 turn by so many quarters counter-clockwise; 4 mirrors left and right, 5 up and down; 6
transposes; 7 mirrors at the other diagonal.
"""

import numpy as np

NUM_SYMMETRIES = 8
INVERSES = (0, 3, 2, 1, 4, 5, 6, 7)

# whether each symmetry exchanges rows and columns, and the steps in which it then runs over both
SWAPS = (False, True, False, True, False, False, True, True)
_ROW_STEPS = (1, -1, -1, 1, 1, -1, 1, -1)
_COLUMN_STEPS = (1, 1, -1, -1, -1, 1, 1, -1)


def transform(grids: np.ndarray, symmetry: int) -> np.ndarray:
    """Moves the last two axes (rows, columns) of grids by one symmetry, 0 to 7.

    Returns:
        (..., rows, columns), or (..., columns, rows) for 1, 3, 6 and 7; a view.
    """
    turned = grids.swapaxes(-2, -1) if SWAPS[symmetry] else grids
    return turned[..., :: _ROW_STEPS[symmetry], :: _COLUMN_STEPS[symmetry]]


def invert(grids: np.ndarray, symmetry: int) -> np.ndarray:
    """Undoes `transform` by the same symmetry."""
    return transform(grids, INVERSES[symmetry])
