"""Where tangent vectors point: the shares of their squared norms in the rows of a state."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import State
from rrjax.frames import Frame


def participation(frame: Frame) -> State:
    r"""Returns the share of each tangent vector's squared norm in every row of every field.

    For a vector v with components v_{f,r,c} in field f, row r (for cells a token) and the rest c,

        p_{f,r} = Σ_c v²_{f,r,c} / ‖v‖²,    Σ_f Σ_r p_{f,r} = 1.

    Shares change neither with the length or sign of a vector nor with rotations within a row. In
    the end frame of a spectrum only the first vector has a direction of its own. The others are
    what is left of theirs without the earlier ones, which depends on the inner product. All
    remember the initial frame until they have aligned.

    Args:
      frame: Vectors, orthonormal or not: a state with a leading axis k.

    Returns:
      A state whose fields are (k, rows), where the rows are the first axis of the field. Each
      component of a one-dimensional field is a row, and a single number is one row. NaN for a
      vector that is zero or not finite.

    References:
      Pikovsky & Politi 2016, "Lyapunov Exponents", on the localisation of Lyapunov vectors.

    Example:
      >>> share = rrjax.participation(
      ...     {"fast": jnp.array([[0.6, 0.0]]), "slow": jnp.array([[0.8]])}
      ... )
      >>> share["fast"].round(2), share["slow"].round(2)
      (Array([[0.35999998, 0.        ]], dtype=float32), Array([[0.64]], dtype=float32))
    """

    def by_row(leaf: Array) -> Float[Array, "k rows rest"]:
        rows = leaf.shape[1] if leaf.ndim > 1 else 1
        return jnp.reshape(leaf, (leaf.shape[0], rows, -1))

    rows = jax.tree.map(by_row, frame)
    # squares of very small or very large components would leave the range of the dtype
    largest = jax.tree.reduce(jnp.maximum, jax.tree.map(lambda row: jnp.abs(row).max((1, 2)), rows))
    scaled = jax.tree.map(lambda row: row / largest[:, None, None], rows)
    squares = jax.tree.map(lambda row: jnp.square(row).sum(2), scaled)
    total = jax.tree.reduce(jnp.add, jax.tree.map(lambda square: square.sum(1), squares))
    return jax.tree.map(lambda square: square / total[:, None], squares)
