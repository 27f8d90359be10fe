"""Random sketches: a few numbers of a large state that keep the distances between states."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NUM_NUMBERS = 64
"""Numbers of a sketch. The relative error of a distance is then √(1/128), nearly 9 %."""


def sketch_matrix(key: jax.Array, size: int) -> Float[Array, "numbers n"]:
    """Returns the matrix of signs, ±1 with equal chances, that sketches n numbers."""
    return jax.random.rademacher(key, (NUM_NUMBERS, size), jnp.float32)


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
