"""Frames of tangent vectors on pytrees: random ones, orthonormal ones, and their thin QR.

A frame of k vectors in the tangent space of a state is a state with a leading axis k.
"""

import operator
from collections.abc import Callable
from functools import partial, reduce
from itertools import accumulate

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rrjax.contract import State

Frame = State
Rows = list[Float[Array, "batch k _"]]
"""A batch of frames: for each leaf of the state, its k vectors as rows."""


def dimension(state: State) -> int:
    """Returns the number of real components of a state."""
    return sum(leaf.size for leaf in jax.tree.leaves(state))


def count_vectors(frame: Frame) -> int:
    """Returns the number k of a frame's vectors."""
    return jax.tree.leaves(frame)[0].shape[0]


def random_frame(key: jax.Array, state: State, num_vectors: int) -> Frame:
    """Returns a uniformly distributed orthonormal frame: the Q factor of a Gaussian matrix."""
    leaves, treedef = jax.tree.flatten(state)
    keys = jax.random.split(key, len(leaves))
    draws = [
        jax.random.normal(k, (num_vectors, *leaf.shape), leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return orthonormalize(jax.tree.unflatten(treedef, draws))[0]


@jax.custom_jvp
def orthonormalize(frame: Frame) -> tuple[Frame, Float[Array, "k k"]]:
    """Returns the thin QR of a frame, V = Q R with diag(R) > 0.

    The method is Cholesky-QR done twice: VᵀV = RᵀR gives Q = V R⁻¹, and then the same for Q. Its
    orthogonality then reaches round-off while the condition of V is below about u^(−1/2) (4,000 in
    float32). Beyond that a Cholesky factor does not exist, or the first pass leaves Q too skew for
    the second to mend, and Householder reflections take over. Under `vmap` they are computed only
    if some frame of the batch needs them, and they are used for such frames alone.

    It can be differentiated forwards and in reverse, by the differential in closed form: with
    M = Qᵀ dV R⁻¹ and Ω the skew matrix that has M's entries below its diagonal,

        dR = (M − Ω) R,    dQ = dV R⁻¹ − Q (M − Ω).

    It has a pole where Rᵢᵢ → 0. A direction i that round-off leaves open (`above_round_off`) counts
    as constant: it does not depend on V, and no other direction does through it. The derivative of
    its Rᵢᵢ is then 0, which must not be mistaken for a gradient.

    Returns:
      The frame Q, and R as an upper triangular (k, k) matrix. A vanishing direction has 0 on the
      diagonal of R; non-finite vectors make R non-finite.

    References:
      Yamamoto et al. 2015, "Roundoff error analysis of the CholeskyQR2 algorithm"; for the
      differential Walter & Lehmann 2013, "Algorithmic differentiation of linear algebra functions".
    """
    return _on_rows(_batched_qr, frame)


def orthonormalize_once(frame: Frame) -> tuple[Frame, Float[Array, "k k"]]:
    """Returns the QR of `orthonormalize` by a single pass where the frame's condition allows it.

    It moves half as much through memory. It leaves Q orthonormal up to κ²u, at most 1e-4 for 8
    vectors in float32 (`ONE_PASS`). R is right for that Q, so that what is missing enters the R of
    the next QR, and sums of ln R along a run are right. It cannot be differentiated.
    """
    return _on_rows(_batched_qr_once, frame)


def _on_rows(qr: Callable, frame: Frame) -> tuple[Frame, Float[Array, "k k"]]:
    leaves, treedef = jax.tree.flatten(frame)
    rows, r = qr([leaf.reshape(1, leaf.shape[0], -1) for leaf in leaves])
    shaped = [row.reshape(leaf.shape) for row, leaf in zip(rows, leaves, strict=True)]
    return jax.tree.unflatten(treedef, shaped), r[0]


@jax.custom_jvp
def orthonormalize_dense(frame: Frame) -> tuple[Frame, Float[Array, "k k"]]:
    """Returns the same as `orthonormalize` by the QR of the platform's library (LAPACK on a CPU).

    It is faster for many vectors of a small state (25 times for 75 vectors of 80 components) and
    slower for 8 vectors of a large one.
    """
    q, r = jnp.linalg.qr(as_matrix(frame).T)
    signs = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(r.dtype)
    return _as_frame(q.T * signs[:, None], frame), r * signs[:, None]


def _differential(qr: Callable, primals: tuple[Frame], tangents: tuple[Frame]) -> tuple:
    """Returns Q, R and their differentials for a V that moves by its tangent."""
    out = qr(*primals)
    q, r = as_matrix(out[0]), out[1]
    resolved = above_round_off(r)
    dV = jnp.where(resolved[:, None], as_matrix(*tangents), 0)  # also where the tangent is NaN
    both = resolved[:, None] & resolved[None]
    safe = jnp.where(both, r, jnp.eye(len(r), dtype=r.dtype))
    with jax.default_matmul_precision("highest"):
        slopes = jax.lax.linalg.triangular_solve(
            safe, dV, lower=False, transpose_a=True, left_side=True
        )
        m = q @ slopes.T
        upper = jnp.triu(m) + jnp.tril(m, -1).T
        dq, dr = slopes - upper.T @ q, upper @ r
    return out, (_as_frame(dq, out[0]), dr)


orthonormalize.defjvp(partial(_differential, orthonormalize))
orthonormalize_dense.defjvp(partial(_differential, orthonormalize_dense))


def as_matrix(frame: Frame) -> Float[Array, "k n"]:
    """Returns a frame's vectors as the rows of a matrix."""
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(frame)], 1)


def _as_frame(matrix: Float[Array, "k n"], like: Frame) -> Frame:
    leaves, treedef = jax.tree.flatten(like)
    ends = list(accumulate(leaf[0].size for leaf in leaves))[:-1]
    parts = jnp.split(matrix, ends, axis=1)
    return jax.tree.unflatten(
        treedef, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    )


FLOOR = 32
"""Rᵢᵢ counts as round-off below this many units in the last place of the largest growth of the same
frame, because the products behind it are sums of some hundred rounded terms."""


def above_round_off(R: Float[Array, "k k"]) -> Bool[Array, " k"]:
    """Returns which Rᵢᵢ are more than the round-off of the products behind them (`FLOOR`)."""
    largest = jnp.sqrt(jnp.sum(jnp.square(R), axis=0).max())
    return jnp.diagonal(R) > FLOOR * jnp.finfo(R.dtype).eps * largest


def gram(frame: Frame) -> Float[Array, "k k"]:
    """Returns all inner products of a frame's vectors."""
    return _gram_of_rows([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(frame)])


def norms(state: State) -> State:
    """Returns the Euclidean norm of every field."""
    return jax.tree.map(lambda leaf: jnp.sqrt(jnp.sum(jnp.square(leaf))), state)


ONE_PASS = 4
"""One pass of Cholesky-QR will do for k vectors with ‖R‖ ‖R⁻¹‖ below this times k, its least value,
in the Frobenius norm."""


def _qr_of_rows(rows: Rows) -> tuple[Rows, Float[Array, "batch k k"]]:
    q, r, sound = _cholesky_qr2(rows)
    return _mended((q, r), sound, _householder, rows)


def _qr_of_rows_once(rows: Rows) -> tuple[Rows, Float[Array, "batch k k"]]:
    with jax.default_matmul_precision("highest"):
        r, inverse = cholesky(_gram_of_rows(rows))
        q = [inverse @ row for row in rows]
    condition = jnp.linalg.norm(r, axis=(1, 2)) * jnp.linalg.norm(inverse, axis=(1, 2))
    return _mended((q, r), condition < ONE_PASS * r.shape[-1], _qr_of_rows, rows)


def _mended(fast: tuple[Rows, Array], sound: Array, method: Callable, rows: Rows) -> tuple:
    """Returns Q and R, by the slower method for frames that are not sound, if there are any."""

    def mended() -> tuple[Rows, Array]:
        def choose(fast: Array, slow: Array) -> Array:
            return jnp.where(sound[:, None, None], fast, slow)

        return jax.tree.map(choose, fast, method(rows))

    return jax.lax.cond(sound.all(), lambda: fast, mended)


def _for_batches(qr: Callable) -> Callable:
    """Returns a QR that decides for a whole batch; `cond` under vmap would run both branches."""
    batched_qr = jax.custom_batching.custom_vmap(qr)

    @batched_qr.def_vmap
    def merge_batches(axis_size: int, in_batched: list, rows: list) -> tuple:
        (batched,) = in_batched
        full = [
            row if flag else jnp.broadcast_to(row, (axis_size, *row.shape))
            for row, flag in zip(rows, batched, strict=True)
        ]
        q, r = batched_qr([row.reshape(-1, *row.shape[2:]) for row in full])
        out = [new.reshape(old.shape) for new, old in zip(q, full, strict=True)]
        return (out, r.reshape(axis_size, -1, *r.shape[1:])), ([True] * len(out), True)

    return batched_qr


_batched_qr, _batched_qr_once = _for_batches(_qr_of_rows), _for_batches(_qr_of_rows_once)


def _gram_of_rows(rows: list[Float[Array, "*batch k _"]]) -> Float[Array, "*batch k k"]:
    return reduce(operator.add, [row @ row.mT for row in rows])


def _cholesky_qr2(rows: Rows) -> tuple[Rows, Array, Bool[Array, " batch"]]:
    # here and not around the caller: under vmap this is traced anew, outside of what surrounds it
    with jax.default_matmul_precision("highest"):
        q, first, _ = _cholesky_qr(rows)
        q, second, skew = _cholesky_qr(q)
        r = second @ first
    # one pass leaves Q orthonormal up to κ²u; the next mends what is left while it is small
    return q, r, jnp.isfinite(r).all((1, 2)) & (skew < 0.1)


def _cholesky_qr(rows: Rows) -> tuple[Rows, Array, Float[Array, " batch"]]:
    """Returns Q, R, and how far the Gram matrix was from the identity."""
    products = _gram_of_rows(rows)
    r, inverse = cholesky(products)
    identity = jnp.eye(products.shape[-1], dtype=products.dtype)
    skew = jnp.abs(products - identity[None]).max((1, 2))
    return [inverse @ row for row in rows], r, skew


def cholesky(
    products: Float[Array, "batch k k"],
) -> tuple[Float[Array, "batch k k"], Float[Array, "batch k k"]]:
    """Returns R and R⁻ᵀ for RᵀR, by eliminating [RᵀR | 1] row by row; NaN if there is no such R.

    LAPACK's factorisation would be called matrix by matrix, and only exists where there is LAPACK.
    """
    k = products.shape[-1]
    identity = jnp.broadcast_to(jnp.eye(k, dtype=products.dtype), products.shape)

    def eliminate(j: Array, work: Array) -> Array:
        row = jnp.take(work, j, axis=1)  # (batch, 2k)
        row = row / jnp.sqrt(jnp.take(row, j, axis=1))[:, None]
        below = (jnp.arange(k) > j)[None, :, None]
        work = work - jnp.where(below, row[:, :k, None] * row[:, None, :], 0)
        return jnp.where((jnp.arange(k) == j)[None, :, None], row[:, None, :], work)

    work = jax.lax.fori_loop(0, k, eliminate, jnp.concatenate([products, identity], axis=-1))
    return jnp.triu(work[..., :k]), jnp.tril(work[..., k:])


def _householder(rows: Rows) -> tuple[Rows, Array]:
    """Returns Q and R by reflections: slower, and backward stable for every frame.

    Our own: the program of a library's QR grows with the dimension of the state on a TPU, and
    calls a library elsewhere.
    """
    vectors = jnp.concatenate(rows, axis=-1)
    size = jnp.abs(vectors).max((1, 2), keepdims=True)
    size = jnp.where(size > 0, size, 1)
    columns, r = _reflections(vectors / size)
    ends = list(accumulate(row.shape[-1] for row in rows))[:-1]
    return jnp.split(columns, ends, axis=-1), r * size


def _reflections(
    vectors: Float[Array, "batch k n"],
) -> tuple[Float[Array, "batch k n"], Float[Array, "batch k k"]]:
    """Returns Q's vectors and R with diag(R) ≥ 0, by k Householder reflections 1 − 2vvᵀ."""
    k, n = vectors.shape[1:]
    axes = jnp.arange(n)[None]

    def reflect(v: Array, work: Array) -> Array:
        # a sum, not a matrix product: no choice of precision, no rearranged copy
        return work - 2 * jnp.sum(work * v[:, None], axis=-1, keepdims=True) * v[:, None]

    def eliminate(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        work, normals, lower = carry
        x = jnp.where(axes >= j, jax.lax.dynamic_index_in_dim(work, j, 1, keepdims=False), 0)
        corner = jnp.sum(jnp.where(axes == j, x, 0), axis=1)
        length = jnp.sqrt(jnp.sum(jnp.square(x), axis=1))
        v = x + jnp.where(axes == j, jnp.where(corner < 0, -length, length)[:, None], 0)
        norm = jnp.sqrt(jnp.sum(jnp.square(v), axis=1, keepdims=True))
        v = jnp.where(norm == 0, 0, v / jnp.where(norm == 0, 1, norm))
        work = reflect(v, work)
        # row by row: a slice of the whole would be laid out anew, 32 times as large, on a TPU
        row = jax.lax.dynamic_index_in_dim(work, j, 1, keepdims=False)[:, :k]
        lower = jax.lax.dynamic_update_index_in_dim(lower, row, j, 1)
        return work, jax.lax.dynamic_update_index_in_dim(normals, v, j, 1), lower

    start = (vectors, jnp.zeros_like(vectors), jnp.zeros((len(vectors), k, k), vectors.dtype))
    _, normals, lower = jax.lax.fori_loop(0, k, eliminate, start)
    r = jnp.triu(lower.mT)
    signs = jnp.where(jnp.diagonal(r, axis1=1, axis2=2) < 0, -1, 1).astype(r.dtype)
    units = signs[..., None] * jnp.eye(k, n, dtype=vectors.dtype)[None]

    def restore(i: Array, work: Array) -> Array:
        return reflect(jax.lax.dynamic_index_in_dim(normals, k - 1 - i, 1, keepdims=False), work)

    return jax.lax.fori_loop(0, k, restore, units), signs[:, :, None] * r
