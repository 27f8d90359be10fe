"""Known facts about a dynamical system, and how long a run takes to show them."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from rrjax.contract import Dynamics, Repeat


@dataclass(frozen=True)
class System:
    """A map with known Lyapunov exponents, in nats per unit of time.

    An exponent per unit of time is the exponent per update divided by `time_step`; for a map proper
    the two are the same. A run of `num_segments` segments of `segment_updates` updates, after
    `transient` segments that are not counted, has every exponent within `tolerance` in float64.

    Attributes:
      name: Its key in the table of systems.
      step: One update, `step(state) -> state`, computed in the dtype of the state.
      initial: The start, a number or an array.
      exponents: The known exponents by their index i, counted from 1.
      tolerance: The largest error of an exponent in a run of the stated length.
      reference: The source of the numbers.
      total: The sum of all exponents, where it is known.
      total_tolerance: The largest error of the sum; round-off for maps of constant determinant.
      dimension: The Kaplan-Yorke dimension, where the source quotes one.
      time_step: The time that one update takes.
      num_segments: How many segments to measure.
      transient: Segments to run first, in which the state settles and the frame turns.
      segment_updates: How many updates a segment has.
    """

    name: str
    step: Callable[[Array], Array]
    initial: float | np.ndarray
    exponents: Mapping[int, float]
    tolerance: float
    reference: str
    _: KW_ONLY
    total: float | None = None
    total_tolerance: float = 1e-9
    dimension: float | None = None
    time_step: float = 1.0
    num_segments: int = 100
    transient: int = 1
    segment_updates: int = 100

    @property
    def size(self) -> int:
        """The number of real components of the state."""
        return np.size(self.initial)

    @property
    def num_updates(self) -> int:
        """The updates that are measured."""
        return self.num_segments * self.segment_updates

    def dynamics(self, dtype: Any = "float32") -> Dynamics:
        """Returns the system as `Dynamics`, from `initial` in the given dtype.

        Raises:
          ValueError: For float64 while JAX has its 64-bit types switched off.
        """
        if jax.dtypes.canonicalize_dtype(dtype) != np.dtype(dtype):
            raise ValueError(
                f"dtype {np.dtype(dtype)} of {self.name} needs JAX's 64-bit types: call this "
                "under jax.enable_x64(True)"
            )
        once = Dynamics.from_map(self.step, jnp.asarray(self.initial, dtype))
        return replace(once, schedule=(Repeat(self.segment_updates, once.schedule),))


def by_index(*exponents: float) -> dict[int, float]:
    """Returns a full spectrum as the table keeps it, from index 1."""
    return dict(enumerate(exponents, start=1))
