"""Tangent vectors that wait for their QR over a group of segments.

Between two QRs the vectors turn towards each other, and their rounding is magnified by as much. All
inner products of the vectors are therefore recorded after every update. Their lengths are divided
out before the next update, so that no length leaves the range of the floating-point numbers. The
inner products tell afterwards how close to each other the vectors came.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rrjax.contract import Context, Drive, Dynamics, Update, count_updates
from rrjax.dynamics.horizons import mean_growth
from rrjax.dynamics.precision import linearize
from rrjax.dynamics.tangent import Carry, failing_update, first_failure
from rrjax.frames import FLOOR, Frame, cholesky, gram, orthonormalize

Loose = tuple[Frame, Array]
"""k tangent vectors after an update, and the (k,) lengths that the next update divides out."""


def loosen(frame: Frame) -> Loose:
    """Returns an orthonormal frame as loose vectors, all of length 1."""
    leaf = jax.tree.leaves(frame)[0]
    return frame, jnp.ones(len(leaf), leaf.dtype)


def push_loosely(
    context: Context, drive: Drive, update: Update, carry: Carry, precision: str = "exact"
) -> tuple[Carry, Float[Array, "k k"]]:
    """Returns the state and its loose vectors after an update, and the inner products of these."""
    z, (V, lengths) = carry
    z, jacobian = linearize(lambda z: update(context, z, drive), z, precision)
    V = jax.vmap(lambda vector, length: jacobian(_divide(vector, length)))(V, lengths)
    products = gram(V)
    return (z, (V, _nonzero(jnp.sqrt(jnp.diagonal(products))))), products


def orthonormalize_loose(loose: Loose) -> tuple[Loose, Float[Array, "k k"]]:
    """Returns the QR of loose vectors."""
    frame, R = orthonormalize(loose[0])
    return loosen(frame), R


def loose_growth(
    R: Float[Array, "k k"], sound: Array, products: Float[Array, "segments updates k k"]
) -> tuple[Array, Array, Array]:
    """Returns a record of one QR: the growth since the last QR, the least sines, and `sound`.

    With G_t the inner products after update t of T, the first T − 1 lengths were divided out:

        growth_i = ln R_ii + Σ_{t<T} ln √(G_t)_ii.

    The sine of the angle between vector i and the span of those before it is the i-th diagonal
    entry of the Cholesky factor of G_t scaled to a diagonal of ones. The least over the updates is
    returned, and 0 where rounding left no such factor.
    """
    products = products.reshape(-1, *R.shape)
    lengths = jnp.sqrt(jnp.diagonal(products, axis1=1, axis2=2))
    growth = jnp.log(jnp.diagonal(R)) + jnp.log(lengths[:-1]).sum(0)
    lengths = _nonzero(lengths)
    factor, _ = cholesky(products / (lengths[:, :, None] * lengths[:, None]))
    sines = jnp.diagonal(factor, axis1=1, axis2=2)
    return growth, jnp.where(jnp.isnan(sines), 0, sines).min(0), sound


def read_loose_growth(
    dynamics: Dynamics, num_segments: int, segments_per_qr: int, records: Any
) -> dict[str, Any]:
    """Returns by name what the records of a run say, as `rrjax.dynamics.tangent.read_growth`."""
    growth, sines, sound = records
    sines = sines.min(0)
    kept_apart = apart(sines)
    per_update = len(growth) / (num_segments * count_updates(dynamics.schedule))
    return {
        "exponents": per_update * mean_growth(growth, kept_apart),
        "log_growth": growth,
        "failed_at": failing_update(
            dynamics.schedule, first_failure(sound), segments_per_qr, num_segments
        ),
        "resolved": kept_apart,
        "least_sine": sines.min(),
    }


def apart(sines: Float[Array, " k"]) -> Bool[Array, " k"]:
    """Returns which vectors stayed so far from those before them that inner products show it.

    The square of a sine is a difference of inner products, whose rounding is some `FLOOR` units in
    the last place: in float32 the least sine is .002.
    """
    return sines > math.sqrt(FLOOR * float(jnp.finfo(sines.dtype).eps))


def _divide(vector: Any, length: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf / length, vector)


def _nonzero(lengths: Array) -> Array:
    return jnp.where(lengths == 0, 1, lengths)
