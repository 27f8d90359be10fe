"""How far the state still moves at the end of a run."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def late_drift(drift: ArrayLike, window: int = 4) -> Any:
    """The mean step of the state over the last segments.

      late drift = (1/w) Σ ‖Δz(s)‖ over the last w segments s

    Args:
      drift: (..., segments) ‖Δz‖ between the ends of consecutive segments, of z_H for TRM and HRM.
      window: w. Of 16 segments the published statistics use the last 4.

    Returns:
      An array (...), a number for drift (segments,), in the unit of `drift`. NaN and infinities of
      the window carry over.

    Raises:
      ValueError: if there are fewer than `window` segments, or the window is empty.
    """
    drift = np.asarray(drift, dtype=np.float64)
    num_segments = drift.shape[-1] if drift.ndim else 0
    if not 1 <= window <= num_segments:
        raise ValueError(
            f"window must lie in 1..{num_segments}, the segments of drift; got {window}"
        )
    return drift[..., -window:].mean(axis=-1)
