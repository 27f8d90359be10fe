"""Search and capture: a chaotic search of [0, 1] that ends when it comes near the solution.

It is the smallest model of transient chaos in recursive reasoning. A run that still searches when
it is read out has failed and is chaotic up to then. A captured run contracts. Of T updates of which
t searched, the exponent is (t ln 2 + (T − t) ln ½) / T on average over starts.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from rrjax.contract import Context, Dynamics, Update
from rrjax.systems.maps import logistic
from rrjax.systems.system import System, by_index

CAPTURE_RADIUS = 0.04


def toy_update(x: Array, solution: ArrayLike, radius: ArrayLike = CAPTURE_RADIUS) -> Array:
    """Returns the state after one update of the toy.

      x ↦ s + ½ (x − s)    where |x − s| < ε: captured, λ = ln ½ from then on
          4x (1 − x)       elsewhere: searching, λ = ln 2 on average

    A captured point stays within ε of s, so nothing else has to be remembered.
    """
    return jnp.where(jnp.abs(x - solution) < radius, solution + 0.5 * (x - solution), logistic(x))


def search_and_capture(
    start: Float[Array, ""],
    solution: Float[Array, ""],
    num_updates: int,
    radius: float = CAPTURE_RADIUS,
) -> Dynamics:
    """Returns the toy as driven dynamics of `num_updates` segments of one update.

    The drive makes the first update a search even if the start lies near the solution, because a
    run should be captured only when it has found the solution. The readout is whether the state is
    captured.

    Args:
      start: () where the search begins.
      solution: () where it should end.
      num_updates: How many updates can be run.
      radius: ε, the distance within which the solution captures.
    """
    first = jnp.arange(num_updates) == 0
    context = (solution, jnp.asarray(radius, start.dtype))
    return Dynamics(start, (Update("toy", _driven_update),), _captured, context, first)


def _driven_update(context: Context, x: Array, is_first: Bool[Array, ""]) -> Array:
    solution, radius = context
    # no distance is below 0, so that nothing captures
    return toy_update(x, solution, jnp.where(is_first, jnp.zeros_like(radius), radius))


def _captured(context: Context, x: Array) -> Bool[Array, ""]:
    solution, radius = context
    return jnp.abs(x - solution) < radius


TOYS = (
    System(
        "search and capture",
        lambda x: toy_update(x, 0.6),
        0.123,
        by_index(-np.log(2.0)),
        1e-9,
        "ln ½ once captured; before, ln 2 on average",
        num_segments=1,
        transient=5,
    ),
)
