"""The full spectrum of small states, from dense Jacobians."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from rrjax.contract import Context, Drive, Dynamics, State, Update
from rrjax.dynamics.horizons import mean_growth
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.tangent import (
    Carry,
    MayFail,
    check_dtypes,
    first_failure,
    initial_frame,
    push_frame,
)
from rrjax.frames import Frame, above_round_off, dimension, orthonormalize_dense

MAX_DIMENSION = 4096
"""A dense float64 matrix of this size has 128 MB; some five are held at once."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FullSpectrum(MayFail):
    """All finite-time Lyapunov exponents of one trajectory. A pytree.

    Attributes:
      exponents: (n,) finite-time Lyapunov exponents λᵢ, nats per update, in the order of the frame.
        NaN where not `resolved`, but −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, n) ln Rᵢᵢ of every update's QR, in nats. The numbers are raw: below the
        round-off floor they are noise, and so is then their sum over i.
      log_volume: (updates,) ln|det J| of every update, in nats, by LU and not from the QR; −inf
        for a singular Jacobian.
      state: the end state.
      frame: the end frame, orthonormal: a state with a leading axis n.
      failed_at: () the update, counted from 0, after which the state or R was first not finite; −1
        if none was.
      resolved: (n,) whether Rᵢᵢ stood above the round-off of its update at every update.
    """

    exponents: Array
    log_growth: Array
    log_volume: Array
    state: State
    frame: Frame
    failed_at: Array
    resolved: Array

    @property
    def sum_rule_error(self) -> Array:
        """|Σλ − ⟨ln|det J|⟩|, nats per update; NaN where an exponent is not resolved or −inf."""
        return jnp.abs(self.exponents.sum(-1) - self.log_volume.mean(-1))


def full_spectrum(
    dynamics: Dynamics,
    num_segments: int = 16,
    *,
    frame: Frame | None = None,
    initial: State | None = None,
) -> FullSpectrum:
    r"""Returns all n finite-time Lyapunov exponents, with J_t formed by forward differentiation.

    This is `spectrum` with k = n by other means: J_t is a dense (n, n) matrix and
    J_t Q_{t−1} = Q_t R_t a Householder QR. The exponents obey the sum rule

        Σᵢ λᵢ = ⟨ln|det J_t|⟩.

    No transient is dropped. Memory grows as n², time as n³.

    Args:
      dynamics: of one puzzle, with a state of n real components, at most `MAX_DIMENSION`.
      num_segments: how many segments to run. A driven system has at most the segments of its drive.
      frame: the initial frame, n orthonormal vectors: a state with a leading axis n. By default
        the unit vectors of the flattened state.
      initial: the initial state in place of `dynamics.initial`.

    Raises:
      ValueError: for a larger state, no segments, states that are not float32 or float64, or a
        frame that does not have n vectors or is not orthonormal (checked where its values are
        known).

    References:
      Benettin et al. 1980; the sum rule in Eckmann & Ruelle 1985, "Ergodic theory of chaos and
      strange attractors".
    """
    start = dynamics.start(initial)
    check_dtypes(start)
    n = dimension(start)
    if n > MAX_DIMENSION:
        raise ValueError(
            f"the state has dimension {n}, but dense Jacobians are for at most {MAX_DIMENSION}; "
            "rrjax.spectrum gives its leading exponents"
        )
    flat, unravel = ravel_pytree(start)
    if frame is None:
        frame = jax.vmap(unravel)(jnp.eye(n, dtype=flat.dtype))
    frame = initial_frame(start, None, frame, n)
    if (size := jax.tree.leaves(frame)[0].shape[0]) != n:
        raise ValueError(f"frame must have {n} vectors, the dimension of the state; got {size}")
    return _full_spectrum(dynamics, start, frame, num_segments)


@partial(jax.jit, static_argnums=3)
def _full_spectrum(
    dynamics: Dynamics, start: State, frame: Frame, num_segments: int
) -> FullSpectrum:
    def record(R: Array, sound: Array, log_volume: Array) -> tuple[Array, Array, Array, Array]:
        return jnp.log(jnp.diagonal(R)), above_round_off(R), sound, log_volume

    drives = dynamics.drives(num_segments)
    with exact_products():
        (state, frame), records = push_frame(
            dynamics,
            (start, frame),
            drives,
            num_segments,
            record=record,
            push=_push_dense,
            qr=orthonormalize_dense,
        )
    growth, resolved, sound, log_volume = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in records)
    resolved = resolved.all(0)
    return FullSpectrum(
        exponents=mean_growth(growth, resolved),
        log_growth=growth,
        log_volume=log_volume,
        state=state,
        frame=frame,
        failed_at=first_failure(sound),
        resolved=resolved,
    )


def _push_dense(
    context: Context, drive: Drive, update: Update, carry: Carry
) -> tuple[Carry, Array]:
    """Moves the state by an update and the frame by its dense Jacobian; returns ln|det J| too."""
    state, frame = carry
    flat, unravel = ravel_pytree(state)

    def move(z: Array) -> tuple[Array, Array]:
        z = ravel_pytree(update(context, unravel(z), drive))[0]
        return z, z

    J, z = jax.jacfwd(move, has_aux=True)(flat)
    rows = jax.vmap(lambda vector: ravel_pytree(vector)[0])(frame)
    moved = jax.vmap(unravel)((J @ rows.T).T)
    return (unravel(z), moved), jnp.linalg.slogdet(J)[1]
