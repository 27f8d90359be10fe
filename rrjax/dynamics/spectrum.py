"""Finite-time Lyapunov spectra: exact tangent dynamics with QR after every update."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from rrjax.contract import Context, Drive, Dynamics, State, Update, fold, run_segment
from rrjax.dynamics.products import PRODUCTS, with_products
from rrjax.dynamics.rollout import drift
from rrjax.frames import (
    Frame,
    above_round_off,
    dimension,
    gram,
    orthonormalize,
    random_frame,
)

Observe = Callable[[Context, State, Frame], Any]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum:
    """The finite-time Lyapunov spectrum of one trajectory. A pytree.

    Attributes:
      exponents: (k,) finite-time Lyapunov exponents λᵢ, nats per update, in the order of the frame
        (decreasing up to the fluctuations of a finite time; they are not sorted). NaN where not
        `resolved`, but −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, k) ln Rᵢᵢ of every update's QR, in nats: exponents of any window are
        its means (`rrjax.dynamics.horizons`). Raw: below the round-off floor it is noise.
      drift: per field of the state, (segments,) norms of its change over each segment.
      state: the end state.
      frame: the end frame, orthonormal: a state with a leading axis k.
      failed_at: the update, counted from 0, after which the state or a growth was first NaN or
        +inf; −1 if none was. From there on the numbers mean nothing.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its update at every update. A
        strongly contracting direction does not, and its ln Rᵢᵢ would measure the arithmetic.
      observed: what `observe` returned, stacked over the segments; None without it.
    """

    exponents: Array
    log_growth: Array
    drift: State
    state: State
    frame: Frame
    failed_at: Array
    resolved: Array
    observed: Any

    @property
    def finite(self) -> Array:
        """Whether the state stayed finite and no growth was NaN or +inf."""
        return self.failed_at < 0

    @property
    def clock(self) -> str:
        """What one step of `log_growth` is."""
        return "update"

    @property
    def unit(self) -> str:
        """The unit of `exponents`."""
        return "nats per update"


@dataclass(frozen=True)
class _Plan:
    """What is fixed when the program is compiled."""

    num_segments: int
    state_transient: int
    frame_transient: int
    products: str
    observe: Observe | None

    def __post_init__(self):
        if self.num_segments < 1:
            raise ValueError(f"num_segments must be at least 1, got {self.num_segments}")
        for name in ("state_transient", "frame_transient"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be a number of segments, got {getattr(self, name)}")
        if self.products not in PRODUCTS:
            raise ValueError(f"products must be one of {', '.join(PRODUCTS)}; got {self.products}")


def spectrum(
    dynamics: Dynamics,
    num_exponents: int = 8,
    num_segments: int = 16,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    *,
    state_transient: int = 0,
    frame_transient: int = 0,
    products: str = "exact",
    observe: Observe | None = None,
) -> Spectrum:
    r"""The k leading finite-time Lyapunov exponents, by the method of Benettin.

    With J_t the Jacobian of update t at the state it meets, Q_0 an orthonormal frame and
    J_t Q_{t−1} = Q_t R_t with diag(R_t) > 0,

        λᵢ = (1/T) Σ_t ln (R_t)ᵢᵢ.

    J_t is never formed: each update is linearised once and its k directional derivatives are
    taken together, at the cost of about 1 + k updates. Matrix products run at the highest
    precision of the device, since TF32 or bfloat16 passes change exponents.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      num_exponents: k; ignored where `frame` is given, whose size it then is.
      num_segments: segments to measure; of a driven system at most the segments of its drive,
        less the transients.
      key: draws the initial frame. Exactly one of `key` and `frame` is given.
      frame: the initial frame, orthonormal: a state with a leading axis k.
      initial: the initial state in place of `dynamics.initial`.
      state_transient: segments that the state runs before the frame starts.
      frame_transient: segments that the frame then turns before anything is counted.
      products: how the tangents' matrix products are computed, the state's always exactly:
        `exact`, or `tf32` or `bf16` for operands of 10 or 7 bits with float32 sums.
      observe: a function `(context, state, frame) -> pytree`, called after every measured segment.

    Returns:
      A `Spectrum` of the measured segments.

    Raises:
      ValueError: for a k beyond the state's dimension, no segments, negative transients, both or
        neither of `key` and `frame`, unknown products, states that are not float32 or float64, or
        a frame that is not orthonormal (checked where its values are known).

    References:
      Benettin et al. 1980; for recurrent networks Engelken, Wolf & Abbott 2023.
    """
    start = dynamics.start(initial)
    plan = _Plan(num_segments, state_transient, frame_transient, products, observe)
    return _spectrum(dynamics, start, initial_frame(start, key, frame, num_exponents), plan)


def initial_frame(
    start: State,
    key: jax.Array | None,
    frame: Frame | None,
    num_vectors: int,
    name: str = "num_exponents",
) -> Frame:
    """The frame given, checked, or one drawn from the key.

    Args:
      start: the state that the vectors are tangent to.
      key: draws the frame. Exactly one of `key` and `frame` is given.
      frame: a state with a leading axis k.
      num_vectors: k of a frame that is drawn.
      name: what the caller calls k.

    Raises:
      ValueError: for a k beyond the state's dimension, both or neither of `key` and `frame`, states
        that are too coarse, or a frame that is not orthonormal.
    """
    check_dtypes(start)
    if (key is None) == (frame is None):
        raise ValueError("give exactly one of key and frame: it sets the initial tangent vectors")
    if frame is None:
        check_size(num_vectors, start, name)
        return _draw_frame(key, start, num_vectors)
    frame = jax.tree.map(jnp.asarray, frame)
    check_frame(frame, start)
    return jax.tree.map(lambda row, leaf: row.astype(leaf.dtype), frame, start)


@partial(jax.jit, static_argnums=2)
def _draw_frame(key: jax.Array, start: State, num_vectors: int) -> Frame:
    with jax.default_matmul_precision("highest"):
        return random_frame(key, start, num_vectors)


@partial(jax.jit, static_argnums=3)
def _spectrum(dynamics: Dynamics, start: State, frame: Frame, plan: _Plan) -> Spectrum:
    before, turning, measured = _split_drives(dynamics, plan)
    measure = partial(_segment, dynamics, plan)
    carry = (start, frame)
    with jax.default_matmul_precision("highest"):
        if plan.state_transient:
            carry = (_run(partial(run_segment, dynamics), start, before), frame)
        if plan.frame_transient:
            carry = _run(lambda carry, drive: measure(carry, drive)[0], carry, turning)
        (state, frame), (steps, moved, observed) = jax.lax.scan(
            measure, carry, measured, length=plan.num_segments
        )
    growth, resolved, sound = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in steps)
    resolved = resolved.all(0)
    failed_at = jnp.where(sound.all(), -1, jnp.argmin(sound)).astype(jnp.int32)
    exponents = mean_growth(growth, resolved)
    return Spectrum(exponents, growth, moved, state, frame, failed_at, resolved, observed)


def mean_growth(
    log_growth: Float[Array, "updates k"], resolved: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """The exponents: NaN where a direction is not resolved, −inf where it is annihilated."""
    mean = log_growth.mean(0)
    return jnp.where(resolved | jnp.isneginf(mean), mean, jnp.nan)


def _run(step: Callable, carry: Any, drives: tuple[Drive, int]) -> Any:
    """The carry after a segment for each of some drives, nothing kept on the way."""
    slices, length = drives
    return jax.lax.scan(lambda carry, drive: (step(carry, drive), None), carry, slices, length)[0]


def _split_drives(dynamics: Dynamics, plan: _Plan) -> tuple[tuple, tuple, Drive]:
    first, second = plan.state_transient, plan.state_transient + plan.frame_transient
    whole = dynamics.drives(second + plan.num_segments)

    def part(start: int, stop: int | None) -> Drive:
        return jax.tree.map(lambda leaf: leaf[start:stop], whole)

    return (
        (part(0, first), plan.state_transient),
        (part(first, second), plan.frame_transient),
        part(second, None),
    )


def _segment(
    dynamics: Dynamics, plan: _Plan, carry: tuple[State, Frame], drive: Drive
) -> tuple[tuple[State, Frame], Any]:
    """One segment: its updates' growth and flags, the drift, and what is observed."""

    def step(update: Update, carry: tuple[State, Frame]) -> tuple[tuple[State, Frame], Any]:
        carry, R = tangent_step(dynamics.context, drive, update, carry, plan.products)
        growth = jnp.log(jnp.diagonal(R))
        sound = all_finite(carry[0]) & (growth < jnp.inf).all()  # NaN is not below anything
        return carry, (growth, above_round_off(R), sound)

    after, steps = fold(dynamics.schedule, step, carry)
    observed = plan.observe(dynamics.context, *after) if plan.observe else None
    return after, (steps, drift(carry[0], after[0]), observed)


def tangent_step(
    context: Context,
    drive: Drive,
    update: Update,
    carry: tuple[State, Frame],
    products: str = "exact",
) -> tuple[tuple[State, Frame], Float[Array, "k k"]]:
    """Move the state by an update and the frame by its Jacobian; orthonormalise, J Q = Q' R.

    Returns:
      The new state and frame, and R, upper triangular with a diagonal ≥ 0.
    """
    z, V = push_forward(context, drive, update, carry, products)
    Q, R = orthonormalize(V)
    return (z, Q), R


def push_forward(
    context: Context,
    drive: Drive,
    update: Update,
    carry: tuple[State, Frame],
    products: str = "exact",
) -> tuple[State, Frame]:
    """Move the state by an update and tangent vectors by its Jacobian."""
    z, V = carry
    z, jacobian = jax.linearize(lambda z: update(context, z, drive), z)
    return z, jax.vmap(with_products(jacobian, z, products))(V)


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every number of a pytree is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def check_dtypes(start: State) -> None:
    """Refuse states that are too coarse for tangents."""
    for leaf in jax.tree.leaves(start):
        if leaf.dtype not in (jnp.float32, jnp.float64):
            raise ValueError(
                f"tangent dynamics need states of float32 or float64, got {leaf.dtype}; load the "
                "model with dtype='float32'"
            )


def check_size(num_vectors: int, start: State, name: str = "num_exponents") -> None:
    """Refuse a k that the state's tangent space does not have room for."""
    if not 1 <= num_vectors <= dimension(start):
        raise ValueError(
            f"{name} must lie in 1..{dimension(start)}, the dimension of the state; "
            f"got {num_vectors}"
        )


def check_frame(frame: Frame, start: State) -> None:
    """Refuse a frame of the wrong shape, or (where values are known) not orthonormal."""
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(frame)}
    expected = jax.tree.map(lambda leaf: (max(sizes), *leaf.shape), start)
    found = jax.tree.map(jnp.shape, frame)
    if len(sizes) != 1 or found != expected:
        raise ValueError(f"frame must be a state with a leading axis k, {expected}; got {found}")
    check_size(max(sizes), start)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(frame)):
        return  # inside a transformation values are unknown
    with jax.ensure_compile_time_eval():  # a frame from outside of a `jit` is known in it too
        skew = float(jnp.max(jnp.abs(gram(frame) - jnp.eye(max(sizes)))))
    if not skew < 1e-3:
        raise ValueError(
            f"frame must be orthonormal; its Gram matrix differs from the identity by {skew:.2g}; "
            "rrjax.frames.orthonormalize makes it so"
        )
