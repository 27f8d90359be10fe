"""The full spectrum of small states, from dense Jacobians."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rrjax.contract import Drive, Dynamics, State, Update, fold
from rrjax.dynamics.spectrum import above_round_off, check_dtypes, check_frame, mean_growth
from rrjax.frames import Frame, dimension

MAX_DIMENSION = 4096
"""A dense float64 matrix of this size has 128 MB; some five are held at once."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FullSpectrum:
    """All finite-time Lyapunov exponents of one trajectory. A pytree.

    Attributes:
      exponents: (n,) finite-time Lyapunov exponents λᵢ, nats per update, in the order of the frame.
        NaN where not `resolved`, but −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, n) ln Rᵢᵢ of every update's QR, in nats. Raw: below the round-off floor
        it is noise, and takes the sum over i with it.
      log_volume: (updates,) ln|det J| of every update, in nats, by LU and apart from the QR; −inf
        for a singular Jacobian.
      state: the end state.
      frame: the end frame, orthonormal: a state with a leading axis n.
      resolved: (n,) whether Rᵢᵢ stood above the round-off of its update at every update.
      finite: whether the state stayed finite and no growth was NaN or +inf.
    """

    exponents: Array
    log_growth: Array
    log_volume: Array
    state: State
    frame: Frame
    resolved: Array
    finite: Array

    @property
    def sum_rule_error(self) -> Array:
        """|Σλ − ⟨ln|det J|⟩|, nats per update; NaN where an exponent is not resolved or −inf."""
        return jnp.abs(self.exponents.sum(-1) - self.log_volume.mean(-1))


def full_spectrum(
    dynamics: Dynamics,
    num_segments: int = 16,
    frame: Frame | None = None,
    initial: State | None = None,
) -> FullSpectrum:
    r"""Returns all n finite-time Lyapunov exponents, with J_t formed by forward differentiation.

    As `spectrum` with k = n, by other means throughout: J_t is a dense (n, n) matrix and
    J_t Q_{t−1} = Q_t R_t a Householder QR. The exponents obey the sum rule

        Σᵢ λᵢ = ⟨ln|det J_t|⟩.

    No transient is dropped. Memory grows as n², time as n³.

    Args:
      dynamics: of one puzzle, with a state of n real components, at most `MAX_DIMENSION`.
      num_segments: segments to run; of a driven system at most the segments of its drive.
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
            f"the state has dimension {n}, dense Jacobians are for at most {MAX_DIMENSION}; "
            "rrjax.spectrum gives its leading exponents"
        )
    flat, unravel = ravel_pytree(start)
    if frame is None:
        frame = jax.vmap(unravel)(jnp.eye(n, dtype=flat.dtype))
    frame = jax.tree.map(jnp.asarray, frame)
    check_frame(frame, start)
    if (found := jax.tree.leaves(frame)[0].shape[0]) != n:
        raise ValueError(f"frame must have {n} vectors, the dimension of the state; got {found}")
    return _full_spectrum(dynamics, start, frame, num_segments)


@partial(jax.jit, static_argnums=3)
def _full_spectrum(
    dynamics: Dynamics, start: State, frame: Frame, num_segments: int
) -> FullSpectrum:
    flat, unravel = ravel_pytree(start)
    rows = jax.vmap(lambda vector: ravel_pytree(vector)[0])(frame).astype(flat.dtype)

    def step(drive: Drive, update: Update, carry: tuple[Array, Array]) -> tuple:
        def move(z: Array) -> tuple[Array, Array]:
            z = ravel_pytree(update(dynamics.context, unravel(z), drive))[0]
            return z, z

        z, Q = carry
        J, z = jax.jacfwd(move, has_aux=True)(z)
        Q, R = _positive_qr(J @ Q)
        volume, finite = jnp.linalg.slogdet(J)[1], jnp.isfinite(z).all()
        return (z, Q), (jnp.log(jnp.diagonal(R)), volume, above_round_off(R), finite)

    def segment(carry: tuple[Array, Array], drive: Drive) -> tuple:
        return fold(dynamics.schedule, partial(step, drive), carry)

    with jax.default_matmul_precision("highest"):
        (z, Q), steps = jax.lax.scan(
            segment, (flat, rows.T), dynamics.drives(num_segments), length=num_segments
        )
    growth, volume, resolved, finite = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in steps)
    resolved = resolved.all(0)
    exponents = mean_growth(growth, resolved)
    finite = finite.all() & (growth < jnp.inf).all()  # NaN is not below anything
    end = jax.vmap(unravel)(Q.T)
    return FullSpectrum(exponents, growth, volume, unravel(z), end, resolved, finite)


def _positive_qr(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    q, r = jnp.linalg.qr(matrix)
    signs = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(r.dtype)
    return q * signs, signs[:, None] * r
