"""Finite-time Lyapunov spectra: exact tangent dynamics with QR after every update."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from rrjax.contract import Context, Drive, Dynamics, State, Update, fold
from rrjax.linalg import Frame, dimension, gram, norms, orthonormalize, random_frame


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum:
    """The finite-time Lyapunov spectrum of one trajectory. A pytree.

    Attributes:
      exponents: (k,) finite-time Lyapunov exponents λᵢ, nats per update, in the order of the frame
        (decreasing up to the fluctuations of a finite time; they are not sorted).
      log_growth: (updates, k) ln Rᵢᵢ of every update's QR, in nats: exponents of any window are
        its means.
      drift: per field of the state, (segments,) norms of its change over each segment.
      state: the end state.
      frame: the end frame, orthonormal: a state with a leading axis k.
      finite: whether the state stayed finite and no growth was NaN or +inf (−inf is an annihilated
        direction). Where it is False the numbers after the failure mean nothing.
    """

    exponents: Array
    log_growth: Array
    drift: State
    state: State
    frame: Frame
    finite: Array

    @property
    def clock(self) -> str:
        """What one step of `log_growth` is."""
        return "update"

    @property
    def unit(self) -> str:
        """The unit of `exponents`."""
        return "nats per update"


def spectrum(
    dynamics: Dynamics,
    num_exponents: int = 8,
    num_segments: int = 16,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
) -> Spectrum:
    r"""The k leading finite-time Lyapunov exponents, by the method of Benettin.

    With J_t the Jacobian of update t at the state it meets, Q_0 an orthonormal frame and
    J_t Q_{t−1} = Q_t R_t with diag(R_t) > 0,

        λᵢ = (1/T) Σ_t ln (R_t)ᵢᵢ.

    J_t is never formed: each update is linearised once and its k directional derivatives are
    taken together, at the cost of about 1 + k updates. No transient is dropped. Matrix products
    run at the highest precision of the device, since TF32 or bfloat16 passes change exponents.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      num_exponents: k; ignored where `frame` is given, whose size it then is.
      num_segments: segments to run; of a driven system at most the segments of its drive.
      key: draws the initial frame. Exactly one of `key` and `frame` is given.
      frame: the initial frame, orthonormal: a state with a leading axis k.
      initial: the initial state in place of `dynamics.initial`.

    Returns:
      A `Spectrum`. A direction that is annihilated has ln R = −inf, and so has its exponent.

    Raises:
      ValueError: for a k beyond the state's dimension, no segments, both or neither of `key` and
        `frame`, states that are not float32 or float64, or a frame that is not orthonormal
        (checked where its values are known).

    References:
      Benettin et al. 1980; for transformers' ancestors Engelken, Wolf & Abbott 2023.
    """
    start = dynamics.start(initial)
    _check_dtypes(start)
    if (key is None) == (frame is None):
        raise ValueError("give exactly one of key and frame: it sets the initial tangent vectors")
    if frame is None:
        _check_size(num_exponents, start)
        return _spectrum_from_key(dynamics, start, key, num_exponents, num_segments)
    frame = jax.tree.map(jnp.asarray, frame)
    _check_frame(frame, start)
    return _spectrum(dynamics, start, frame, num_segments)


@partial(jax.jit, static_argnums=(3, 4))
def _spectrum_from_key(dynamics, start, key, num_exponents, num_segments) -> Spectrum:
    with jax.default_matmul_precision("highest"):
        frame = random_frame(key, start, num_exponents)
    return _spectrum(dynamics, start, frame, num_segments)


@partial(jax.jit, static_argnums=3)
def _spectrum(dynamics: Dynamics, start: State, frame: Frame, num_segments: int) -> Spectrum:
    def segment(carry: tuple[State, Frame], drive: Drive) -> tuple[tuple[State, Frame], Any]:
        step = partial(_tangent_step, dynamics.context, drive)
        after, growth = fold(dynamics.schedule, step, carry)
        drift = norms(jax.tree.map(jnp.subtract, after[0], carry[0]))
        return after, (growth, drift)

    with jax.default_matmul_precision("highest"):
        (state, frame), (growth, drift) = jax.lax.scan(
            segment, (start, frame), dynamics.drives(num_segments), length=num_segments
        )
    growth = growth.reshape(-1, growth.shape[-1])
    finite = _all_finite(state) & (growth < jnp.inf).all()  # NaN is not below anything
    return Spectrum(growth.mean(0), growth, drift, state, frame, finite)


def _tangent_step(
    context: Context, drive: Drive, update: Update, carry: tuple[State, Frame]
) -> tuple[tuple[State, Frame], Float[Array, " k"]]:
    """Move the state by an update, the frame by its Jacobian, and orthonormalise."""
    z, Q = carry
    z, jacobian = jax.linearize(lambda z: update.apply(context, z, drive), z)
    Q, R = orthonormalize(jax.vmap(jacobian)(Q))
    return (z, Q), jnp.log(jnp.diagonal(R))


def _all_finite(tree: Any) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _check_dtypes(start: State) -> None:
    for leaf in jax.tree.leaves(start):
        if leaf.dtype not in (jnp.float32, jnp.float64):
            raise ValueError(
                f"tangent dynamics need states of float32 or float64, got {leaf.dtype}; load the "
                "model with dtype='float32'"
            )


def _check_size(num_exponents: int, start: State) -> None:
    if not 1 <= num_exponents <= dimension(start):
        raise ValueError(
            f"num_exponents must lie in 1..{dimension(start)}, the dimension of the state; "
            f"got {num_exponents}"
        )


def _check_frame(frame: Frame, start: State) -> None:
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(frame)}
    expected = jax.tree.map(lambda leaf: (max(sizes), *leaf.shape), start)
    found = jax.tree.map(jnp.shape, frame)
    if len(sizes) != 1 or found != expected:
        raise ValueError(f"frame must be a state with a leading axis k, {expected}; got {found}")
    _check_size(max(sizes), start)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(frame)):
        return  # inside a transformation values are unknown
    skew = float(jnp.max(jnp.abs(gram(frame) - jnp.eye(max(sizes)))))
    if not skew < 1e-3:
        raise ValueError(
            f"frame must be orthonormal; its Gram matrix differs from the identity by {skew:.2g}; "
            "rrjax.linalg.orthonormalize makes it so"
        )
