"""Random sketches: a few numbers of a large state that keep the distances between states."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import Dynamics, named_fields
from rrjax.keys import fixed_generator, make_key

NUM_NUMBERS = 64
"""Numbers of a sketch. The relative error of a distance is then √(1/128), nearly 9 %."""


def sketch_matrix(dynamics: Dynamics, field: str) -> Float[Array, "numbers n"]:
    """Returns the matrix of signs, ±1 with equal chances, that sketches a field of n components.

    It depends on n alone, so that states of all runs of a model have comparable sketches.

    Args:
      dynamics: of any puzzle.
      field: a name of `rrjax.contract.named_fields`.
    """
    size = named_fields(dynamics.initial)[field].size
    with fixed_generator():
        return jax.random.rademacher(make_key(0), (NUM_NUMBERS, size), jnp.float32)


def sketch(
    matrix: Float[Array, "numbers n"], values: Float[Array, "..."]
) -> Float[Array, " numbers"]:
    """Returns R z in float32, the sketch of a field z with n components.

    The differences of two sketches estimate the distance of the states without bias,
    E |R z − R z'|² = m |z − z'|² for m numbers, and it scatters by a factor of 1 ± √(1/2m)
    (Johnson and Lindenstrauss). States that differ in one direction only have the same factor.

    References:
      Achlioptas 2003, J. Comput. Syst. Sci. 66, 671, for signs in place of normal numbers.
    """
    return jnp.dot(matrix, values.ravel().astype(jnp.float32), precision="highest")
