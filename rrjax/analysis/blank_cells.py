"""States of the cells that a puzzle leaves open, as one vector for each puzzle."""

import numpy as np


def blank_features(cells: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Returns one vector for each puzzle: its states, centred, with 0 where a cell is given.

      x_ic = b_ic (z_ic − Σ_j b_jc z_jc / Σ_j b_jc),    b = 1 in blank cells, else 0

    A given cell stands at the mean, so that it adds nothing to a covariance between puzzles.

    Args:
      cells: (N, cells, channels) states after one segment.
      blank: (N, cells) booleans.

    Returns:
      (N, cells · channels) float32; zero in a cell that is given everywhere.

    Raises:
      ValueError: A state is not finite, or no cell is blank.
    """
    if not blank.any():
        raise ValueError("blank: no cell of these puzzles is to be found")
    mask = blank[..., None].astype(np.float32)
    z = np.where(blank[..., None], cells, 0).astype(np.float32)
    if not np.isfinite(z).all():
        puzzle = int(np.flatnonzero(~np.isfinite(z).all(axis=(1, 2)))[0])
        raise ValueError(f"the state of puzzle {puzzle} is not finite: leave the puzzle out")
    mean = z.sum(0, dtype=np.float64) / np.maximum(mask.sum(0), 1)
    return (mask * (z - mean.astype(np.float32))).reshape(len(z), -1)
