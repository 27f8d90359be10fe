"""The full spectrum of small states, from dense Jacobians."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from rrjax.contract import Context, Drive, Dynamics, State, Update
from rrjax.dynamics.precision import check_precision, exact_products, linearize
from rrjax.dynamics.tangent import (
    Carry,
    GrowthAlongRun,
    initial_frame,
    push_frame,
    raw_growth,
    read_growth,
)
from rrjax.frames import Frame, as_matrix, count_vectors, dimension, orthonormalize_dense

MAX_DIMENSION = 4096
"""A dense float64 matrix of this size has 128 MB; some five are held at once."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class FullSpectrum(GrowthAlongRun):
    """All finite-time Lyapunov exponents of one trajectory. A pytree.

    Attributes:
      exponents, log_growth, state, frame, failed_at, resolved: As in `rrjax.Spectrum`, with k = n.
        Where a direction is not resolved, the sum of the growth over i is noise too.
      log_volume: (updates,) ln|det J| of every update, in nats, by LU and not from the QR; −inf
        for a singular Jacobian.
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
    precision: str = "exact",
) -> FullSpectrum:
    r"""Returns all n finite-time Lyapunov exponents, with J_t formed by forward differentiation.

    This is `spectrum` with k = n by other means: J_t is a dense (n, n) matrix and
    J_t Q_{t−1} = Q_t R_t a Householder QR. The exponents obey the sum rule

        Σᵢ λᵢ = ⟨ln|det J_t|⟩.

    No transient is dropped. Memory grows as n², time as n³.

    Args:
      dynamics: Of one puzzle, with a state of n real components, at most `MAX_DIMENSION`.
      num_segments, initial, precision: As in `rrjax.spectrum`.
      frame: The initial frame, n orthonormal vectors: a state with a leading axis n. By default
        the unit vectors of the flattened state.

    Raises:
      ValueError: As `rrjax.spectrum`, and for a larger state or a frame of other than n vectors.

    References:
      Benettin et al. 1980; the sum rule in Eckmann & Ruelle 1985, "Ergodic theory of chaos and
      strange attractors".

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> rrjax.full_spectrum(linear, 4).exponents.round(3)
      Array([ 0.693, -0.693], dtype=float32)
    """
    start = dynamics.start(initial)
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
    if (k := count_vectors(frame)) != n:
        raise ValueError(f"frame must have {n} vectors, the dimension of the state; got {k}")
    check_precision(precision, start)
    return _full_spectrum(dynamics, start, frame, num_segments, precision)


@partial(jax.jit, static_argnums=(3, 4))
def _full_spectrum(
    dynamics: Dynamics, start: State, frame: Frame, num_segments: int, precision: str
) -> FullSpectrum:
    run = dynamics, (start, frame), dynamics.drives(num_segments), num_segments
    with exact_products():
        (state, frame), records = push_frame(
            *run,
            record=raw_growth,
            push=partial(_push_dense, precision),
            qr=orthonormalize_dense,
        )
    growth, log_volume = read_growth(records)
    return FullSpectrum(**growth, log_volume=log_volume, state=state, frame=frame)


def _push_dense(
    precision: str, context: Context, drive: Drive, update: Update, carry: Carry
) -> tuple[Carry, Array]:
    """Moves the state by an update and the frame by its dense Jacobian; returns ln|det J| too."""
    state, frame = carry
    flat, unravel = ravel_pytree(state)

    def step(z: Array) -> Array:
        return ravel_pytree(update(context, unravel(z), drive))[0]

    z, jacobian = linearize(step, flat, precision)
    J = jax.vmap(jacobian, out_axes=1)(jnp.eye(flat.size, dtype=flat.dtype))
    pushed = jax.vmap(unravel, in_axes=1)(J @ as_matrix(frame).T)
    return (unravel(z), pushed), jnp.linalg.slogdet(J)[1]
