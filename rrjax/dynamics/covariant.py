"""Covariant Lyapunov vectors, by the method of Ginelli, in bounded memory."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.checks import check_count
from rrjax.contract import Dynamics, State, count_updates
from rrjax.dynamics.ginelli import Plan, ginelli
from rrjax.dynamics.horizons import mean_growth
from rrjax.dynamics.precision import check_precision
from rrjax.dynamics.tangent import GrowthAlongRun, by_update, initial_frame
from rrjax.frames import Frame, count_vectors, dimension


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class CovariantVectors(GrowthAlongRun):
    """The covariant Lyapunov vectors of one trajectory, with their growth and angles. A pytree.

    Attributes:
      exponents: (k,) mean growth over the window, nats per update. NaN where not `resolved`, but
        −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, k) ln ‖J v‖ of every update in the window, in nats, v the unit vector
        before it.
      coefficients: (segments, k, k) C after every segment of the window: column i holds covariant
        vector i in the orthonormal frame there. Upper triangular, with columns of length 1 and a
        diagonal ≥ 0; CᵀC holds the cosines between the vectors.
      backward_error: (segments, k) sine of the angle between each vector and what it would be
        from other coefficients at the end of the run. It is small where the backward transient was
        long enough, and of order 1 throughout where exponents coincide and only the subspace that
        the vectors span together is defined. It is 0 for the first vector, which needs no backward
        pass.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its update throughout the window.
      failed_at: () the update of the whole run, counted from 0, after which the state or R was
        first not finite; the last update if only the way back failed; −1 if nothing did. A failure
        spreads backwards: after one nothing here means anything.
      vectors: After every segment of the window, the k unit vectors: a state with leading axes
        (segments, k).
      states: The states there: a state with a leading axis of segments.
    """

    exponents: Array
    log_growth: Array
    coefficients: Array
    backward_error: Array
    resolved: Array
    failed_at: Array
    vectors: Frame
    states: State

    @property
    def angles(self) -> Array:
        """(segments, k, k) angles between the lines of the vectors, in radians, 0 to π/2."""
        columns = jnp.moveaxis(self.coefficients, -1, 0)
        return jnp.moveaxis(jax.lax.map(partial(_angles_to, self.coefficients), columns), 0, -1)

    def subspace_angles(self, dimension: int) -> Array:
        """Returns (segments,) smallest angles between the first vectors and the others, in radians.

        Take as many first vectors as there are positive exponents. Without a zero exponent the
        angle is then bounded away from 0 for hyperbolic dynamics, and comes close to it where
        stable and unstable directions are tangent.

        Args:
          dimension: The number of first vectors, 1 to k − 1.

        Raises:
          ValueError: For another number.
        """
        k = self.coefficients.shape[-1]
        if not 1 <= dimension < k:
            raise ValueError(f"dimension must lie in 1..{k - 1}, got {dimension}")
        others = jnp.linalg.qr(self.coefficients[..., dimension:])[0]
        # C is triangular, so the first vectors span the first axes of the frame
        sine = jnp.linalg.svd(others[..., dimension:, :], compute_uv=False)[..., -1]
        cosine = jnp.linalg.svd(others[..., :dimension, :], compute_uv=False)[..., 0]
        return jnp.arctan2(sine, cosine)


def covariant_vectors(
    dynamics: Dynamics,
    num_vectors: int = 8,
    num_segments: int = 16,
    *,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    forward_transient: int | None = None,
    backward_transient: int | None = None,
    segments_per_checkpoint: int | None = None,
    precision: str = "exact",
) -> CovariantVectors:
    r"""Returns the k leading covariant Lyapunov vectors, by the method of Ginelli.

    The frame runs forwards as for the spectrum, J_t Q_{t−1} = Q_t R_t with diag(R_t) > 0. Vectors
    V_t = Q_t C_t with C_t upper triangular are covariant, J_t V_{t−1} = V_t D_t with D_t diagonal,
    if

        C_{t−1} = R_t⁻¹ C_t D_t,

    which is followed backwards from C = 1. D_t makes the columns unit vectors again and is their
    growth. In the forward transient the frame turns towards the backward Lyapunov vectors, and in
    the backward transient the coefficients turn towards the covariant ones, both as exp(−t Δλ) with
    Δλ the gap between neighbouring exponents. `backward_error` shows the second.

    Memory: neither the frames nor the R factors of the run are kept. The run from the window on is
    cut into m blocks of b segments. State and frame are kept at the start of each, and the way back
    computes one block at a time again, so that all but the last run twice. This takes the memory of
    (m + b)(1 + k) states and of one block's R factors, besides the vectors returned.

    Args:
      dynamics, key, frame, initial, precision: As in `rrjax.spectrum`.
      num_vectors: The number k. Where `frame` is given, its size counts instead.
      num_segments: How many segments to run in all, transients included. A driven system has at
        most the segments of its drive.
      forward_transient: Segments at the start of the run that are not returned; None: a quarter.
      backward_transient: Segments at its end that are not returned; None: a quarter. With 0 the
        vectors after the last segment are the orthonormal frame.
      segments_per_checkpoint: b; changes memory and time, not the vectors. None: what takes the
        least memory, about the square root of the number of segments.

    Returns:
      A `CovariantVectors` of the segments between the transients. Before a direction is
      annihilated (Rᵢᵢ = 0) its vector lies in the kernel, and its growth is −inf.

    Raises:
      ValueError: As `rrjax.spectrum`, and for transients that leave no window.

    References:
      Ginelli et al. 2007, "Characterizing dynamics with covariant Lyapunov vectors"; Kuptsov &
      Parlitz 2012, "Theory and computation of covariant Lyapunov vectors".

    Example:
      >>> henon = rrjax.systems.SYSTEMS["henon"].dynamics()
      >>> run = rrjax.covariant_vectors(henon, 2, 8, key=jax.random.key(0))
      >>> run.vectors.shape
      (4, 2, 2)
      >>> bool(run.backward_error.max() < 1e-3)
      True
    """
    state = dynamics.start(initial)
    start = state, initial_frame(state, key, frame, num_vectors, "num_vectors")
    quarter = num_segments // 4
    forward = quarter if forward_transient is None else forward_transient
    backward = quarter if backward_transient is None else backward_transient
    check_precision(precision, state)
    check_count("num_segments", num_segments, least=1)
    check_count("forward_transient", forward)
    check_count("backward_transient", backward)
    check_count("segments_per_checkpoint", segments_per_checkpoint, least=1)
    if forward + backward >= num_segments:
        raise ValueError(
            f"forward_transient + backward_transient = {forward + backward} must leave at least "
            f"one segment of num_segments = {num_segments}"
        )
    length, updates = num_segments - forward, count_updates(dynamics.schedule)
    block = segments_per_checkpoint
    if block is None:  # what makes m checkpoints and one block's records smallest
        per_segment = updates * count_vectors(start[1]) ** 2 + dimension(start)
        block = max(1, round((length * dimension(start) / per_segment) ** 0.5))
    plan = Plan(num_segments, forward, backward, min(block, length), precision)
    window, failed_at = ginelli(dynamics, start, plan)
    log_growth = by_update(window.log_growth)
    resolved, pairs = window.resolved.all(0), window.pair
    came_back = (log_growth < jnp.inf).all() & jnp.isfinite(pairs).all()
    last = num_segments * updates - 1
    return CovariantVectors(
        exponents=mean_growth(log_growth, resolved),
        log_growth=log_growth,
        coefficients=pairs[:, 0],
        backward_error=_sine(pairs[:, 0], pairs[:, 1]),
        resolved=resolved,
        failed_at=jnp.where((failed_at >= 0) | came_back, failed_at, last),
        vectors=window.vectors,
        states=window.states,
    )


def _sine(a: Float[Array, "*_ k k"], b: Float[Array, "*_ k k"]) -> Float[Array, "*_ k"]:
    """Returns the sines of the angles between the columns of a and b, which are unit vectors."""
    half = jnp.linalg.norm(a - b, axis=-2) / 2
    return 2 * half * jnp.sqrt(jnp.maximum(0, 1 - half**2))


def _angles_to(columns: Float[Array, "*_ k k"], column: Float[Array, "*_ k"]) -> Array:
    """Returns angles by Kahan's formula, which unlike the arc cosine is exact for small ones."""
    difference = jnp.linalg.norm(columns - column[..., None], axis=-2)
    total = jnp.linalg.norm(columns + column[..., None], axis=-2)
    return 2 * jnp.arctan2(jnp.minimum(difference, total), jnp.maximum(difference, total))
