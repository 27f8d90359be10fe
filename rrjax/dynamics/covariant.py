"""Covariant Lyapunov vectors, by the method of Ginelli, in bounded memory."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import Dynamics, State, count_updates
from rrjax.dynamics.ginelli import Carry, Plan, Record, count_vectors, ginelli
from rrjax.dynamics.spectrum import initial_frame, mean_growth
from rrjax.frames import Frame, dimension


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CovariantGrowth:
    """Growth and angles of the covariant Lyapunov vectors of one trajectory. A pytree.

    Attributes:
      exponents: (k,) mean growth over the window, nats per update. NaN where not `resolved`, but
        −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, k) ln ‖J v‖ of every update in the window, in nats, v the unit vector
        before it.
      coefficients: (segments, k, k) C after every segment of the window: column i holds covariant
        vector i in the orthonormal frame there. Upper triangular, columns of length 1,
        diagonal ≥ 0; CᵀC holds the cosines between the vectors.
      backward_error: (segments, k) sine of the angle between each vector and what it would be
        from other coefficients at the end of the run: small where the backward transient was long
        enough, of order 1 throughout where exponents coincide and only the subspace that the
        vectors span together is defined. 0 for the first vector, which needs no backward pass.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its update throughout the window.
      finite: whether the state and all growth and coefficients of the window are numbers (a
        growth of −inf is one). Where it is False nothing here means anything: a failure anywhere
        spreads backwards.
    """

    exponents: Array
    log_growth: Array
    coefficients: Array
    backward_error: Array
    resolved: Array
    finite: Array

    @property
    def angles(self) -> Array:
        """(segments, k, k) angles between the lines of the vectors, in radians, 0 to π/2."""
        columns = jnp.moveaxis(self.coefficients, -1, 0)
        return jnp.moveaxis(jax.lax.map(partial(_angles_to, self.coefficients), columns), 0, -1)

    def subspace_angles(self, dimension: int) -> Array:
        """(segments,) smallest angle between the first vectors and the others, in radians.

        With as many first vectors as positive exponents and no zero one it tells hyperbolic
        dynamics (bounded away from 0) from tangencies of stable and unstable directions.

        Args:
          dimension: how many vectors the first subspace has, 1 to k − 1.

        Raises:
          ValueError: for another number.
        """
        k = self.coefficients.shape[-1]
        if not 1 <= dimension < k:
            raise ValueError(f"dimension must lie in 1..{k - 1}, got {dimension}")
        others = jnp.linalg.qr(self.coefficients[..., dimension:])[0]
        # C is triangular, so the first vectors span the first axes of the frame
        sine = jnp.linalg.svd(others[..., dimension:, :], compute_uv=False)[..., -1]
        cosine = jnp.linalg.svd(others[..., :dimension, :], compute_uv=False)[..., 0]
        return jnp.arctan2(sine, cosine)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CovariantVectors(CovariantGrowth):
    """The covariant Lyapunov vectors of one trajectory, with their growth. A pytree.

    Attributes:
      vectors: after every segment of the window, the k unit vectors: a state with leading axes
        (segments, k).
      states: the states there: a state with a leading axis of segments.
    """

    vectors: Frame
    states: State


def covariant_vectors(
    dynamics: Dynamics,
    num_vectors: int = 8,
    num_segments: int = 16,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    *,
    forward_transient: int,
    backward_transient: int,
    segments_per_checkpoint: int | None = None,
) -> CovariantVectors:
    r"""The k leading covariant Lyapunov vectors, by the method of Ginelli.

    Forwards, as for the spectrum, J_t Q_{t−1} = Q_t R_t with diag(R_t) > 0. Vectors V_t = Q_t C_t
    with C_t upper triangular are covariant, J_t V_{t−1} = V_t D_t with D_t diagonal, if

        C_{t−1} = R_t⁻¹ C_t D_t,

    which is followed backwards from C = 1; D_t, what makes the columns unit vectors again, is their
    growth. The frame turns towards the backward Lyapunov vectors in the forward transient, the
    coefficients towards the covariant ones in the backward transient, both as exp(−t Δλ) with Δλ
    the gap between neighbouring exponents: `backward_error` shows the second.

    Memory: neither frames nor R factors of the run are kept. The run from the window on is cut into
    m blocks of b segments of u updates; state and frame are kept at the start of each, and
    the way back recomputes one block at a time: m (1 + k) states, b u k² numbers of R factors,
    b (1 + k) states for the frames of one block, and the vectors returned. b is
    `segments_per_checkpoint`, by default what makes the sum smallest, about the square root of
    the number of segments. Work: the segments from the window on run twice, except the last block.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      num_vectors: k; ignored where `frame` is given, whose size it then is.
      num_segments: segments to run in all, transients included; of a driven system at most the
        segments of its drive.
      key: draws the initial frame. Exactly one of `key` and `frame` is given.
      frame: the initial frame, orthonormal: a state with a leading axis k.
      initial: the initial state in place of `dynamics.initial`.
      forward_transient: segments at the start of the run that are not returned.
      backward_transient: segments at its end that are not returned. With 0 the vectors after the
        last segment are the orthonormal frame.
      segments_per_checkpoint: b; changes memory and time, not the vectors.

    Returns:
      A `CovariantVectors` of the segments between the transients. Before a direction that is
      annihilated (Rᵢᵢ = 0) its vector lies in the kernel, and its growth is −inf.

    Raises:
      ValueError: for a k beyond the state's dimension, no segments, transients that leave no
        window, both or neither of `key` and `frame`, states that are not float32 or float64, or a
        frame that is not orthonormal (checked where its values are known).

    References:
      Ginelli et al. 2007, "Characterizing dynamics with covariant Lyapunov vectors"; Kuptsov &
      Parlitz 2012, "Theory and computation of covariant Lyapunov vectors".
    """
    start = _start(dynamics, num_vectors, key, frame, initial)
    lengths = _check_lengths(num_segments, forward_transient, backward_transient)
    block = _block_length(dynamics, start, lengths, segments_per_checkpoint, _keep_frame)
    growth, (states, vectors) = _covariant(dynamics, start, Plan(*lengths, block), _keep_frame)
    return CovariantVectors(**vars(growth), vectors=vectors, states=states)


def covariant_growth(
    dynamics: Dynamics,
    num_vectors: int = 8,
    num_segments: int = 16,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    *,
    forward_transient: int,
    backward_transient: int,
    segments_per_checkpoint: int | None = None,
) -> CovariantGrowth:
    """Growth and angles of the covariant vectors without the vectors: see `covariant_vectors`.

    The way back then sees no frame, only (k, k) matrices. Memory: m (1 + k) states and b u k²
    numbers of R factors. By default b makes their sum smallest; where R factors are small beside
    a state, as in recursive reasoners, that is one block, and nothing is run twice.

    Raises:
      ValueError: as `covariant_vectors`.
    """
    start = _start(dynamics, num_vectors, key, frame, initial)
    lengths = _check_lengths(num_segments, forward_transient, backward_transient)
    block = _block_length(dynamics, start, lengths, segments_per_checkpoint, _keep_nothing)
    return _covariant(dynamics, start, Plan(*lengths, block), _keep_nothing)[0]


def _start(
    dynamics: Dynamics,
    num_vectors: int,
    key: jax.Array | None,
    frame: Frame | None,
    initial: State | None,
) -> Carry:
    start = dynamics.start(initial)
    return start, initial_frame(start, key, frame, num_vectors, "num_vectors")


def _check_lengths(segments: int, forward: int, backward: int) -> tuple[int, int, int]:
    if segments < 1:
        raise ValueError(f"num_segments must be at least 1, got {segments}")
    for name, value in (("forward", forward), ("backward", backward)):
        if value < 0:
            raise ValueError(f"{name}_transient must be a number of segments, got {value}")
    if forward + backward >= segments:
        raise ValueError(
            f"forward_transient + backward_transient = {forward + backward} must leave at least "
            f"one segment of num_segments = {segments}"
        )
    return segments, forward, backward


def _block_length(
    dynamics: Dynamics,
    start: Carry,
    lengths: tuple[int, int, int],
    block: int | None,
    record: Record,
) -> int:
    """What is asked for, else b for which m checkpoints and one block's records are smallest."""
    length = lengths[0] - lengths[1]
    if block is None:
        k = count_vectors(start[1])
        checkpoint = dimension(start)
        segment = count_updates(dynamics.schedule) * k**2 + dimension(record(*start))
        block = max(1, round((length * checkpoint / segment) ** 0.5))
    if block < 1:
        raise ValueError(f"segments_per_checkpoint must be at least 1, got {block}")
    return min(block, length)


def _keep_frame(state: State, frame: Frame) -> tuple[State, Frame]:
    return state, frame


def _keep_nothing(state: State, frame: Frame) -> tuple[None, None]:
    return None, None


def _covariant(
    dynamics: Dynamics, start: Carry, plan: Plan, record: Record
) -> tuple[CovariantGrowth, tuple[State | None, Frame | None]]:
    (log_growth, resolved, pairs, kept), sound = ginelli(dynamics, start, plan, record)
    log_growth, resolved = log_growth.reshape(-1, log_growth.shape[-1]), resolved.all(0)
    exponents = mean_growth(log_growth, resolved)
    finite = sound & (log_growth < jnp.inf).all() & jnp.isfinite(pairs).all()
    error = _sine(pairs[:, 0], pairs[:, 1])
    return CovariantGrowth(exponents, log_growth, pairs[:, 0], error, resolved, finite), kept


def _sine(a: Float[Array, "*_ k k"], b: Float[Array, "*_ k k"]) -> Float[Array, "*_ k"]:
    """Of the angles between the columns of a and b, unit vectors."""
    half = jnp.linalg.norm(a - b, axis=-2) / 2
    return 2 * half * jnp.sqrt(jnp.maximum(0, 1 - half**2))


def _angles_to(columns: Float[Array, "*_ k k"], column: Float[Array, "*_ k"]) -> Array:
    """By Kahan's formula, which unlike the arc cosine is exact for small angles."""
    difference = jnp.linalg.norm(columns - column[..., None], axis=-2)
    total = jnp.linalg.norm(columns + column[..., None], axis=-2)
    return 2 * jnp.arctan2(jnp.minimum(difference, total), jnp.maximum(difference, total))
