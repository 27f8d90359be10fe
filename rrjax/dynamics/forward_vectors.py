"""Forward Lyapunov vectors: the perturbations of a state that grow most over some segments."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import Brief, Drive, Dynamics, State, run_segment
from rrjax.dynamics.precision import (
    check_precision,
    exact_products,
    in_precision,
    linearize,
    state_precision,
    transpose,
)
from rrjax.dynamics.tangent import (
    initial_frame,
    push_forward,
    push_frame_coarsely,
    raw_growth,
)
from rrjax.frames import Frame, as_matrix, count_vectors, orthonormalize


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class ForwardVectors(Brief):
    """The leading forward Lyapunov vectors at a state. A pytree.

    Attributes:
      frame: k orthonormal tangent vectors, a state with a leading axis k; each up to its sign.
      log_growth: (k,) ln σᵢ from the last pass, nats over the whole horizon.
      residual: () how far their span may still be off, as a sine: t/(1 − r) where t is the sine by
        which the last pass turned it and r is t over that of the pass before; inf if t did not
        fall.
      passes: () how many passes, forwards and back, were made.
      converged: () whether the residual came down to the tolerance.
    """

    frame: Frame
    log_growth: Array
    residual: Array
    passes: Array
    converged: Array


def forward_vectors(
    dynamics: Dynamics,
    num_vectors: int = 2,
    num_segments: int = 4,
    *,
    key: jax.Array,
    initial: State | None = None,
    max_passes: int = 100,
    tolerance: float = 1e-3,
    precision: str = "exact",
) -> ForwardVectors:
    r"""Returns the finite-time forward Lyapunov vectors at the initial state.

        M = ∂z_n/∂z_0 = J_n ⋯ J_1,    MᵀM vᵢ = σᵢ² vᵢ

    They are the right singular vectors of the Jacobian of the first n segments: of all
    perturbations of z0 those that grow most until then. They differ from the vectors of a
    `Spectrum`, which are frames at the end of a run (backward Lyapunov vectors). The method is
    orthogonal iteration on MᵀM: a frame goes through the segments by forward differentiation and
    back by reverse differentiation, with a QR after every segment on both ways, so that neither the
    growth nor the condition of M matters. Memory: the states at n segments and one linearised
    segment.

    Args:
      dynamics, initial, precision: As in `rrjax.spectrum`.
      num_vectors: k.
      num_segments: n.
      key: Draws the first frame.
      max_passes: The largest number of passes forwards and back.
      tolerance: Of the residual. The span converges by (σ_{k+1}/σ_k)² a pass.

    Returns:
      A `ForwardVectors`. Where σ_k and σ_{k+1} are equal the last vector is not unique, and the
      residual says so.

    Raises:
      ValueError: For no segments, a drive with fewer, a k beyond the state's dimension, states
        that are not float32 or float64, or a precision that `rrjax.spectrum` would refuse.

    References:
      Legras & Vautard 1996; Kuptsov & Parlitz 2012, "Theory and computation of covariant Lyapunov
      vectors", whose forward vectors these are.

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> vectors = rrjax.forward_vectors(linear, 1, 4, key=jax.random.key(0))
      >>> abs(vectors.frame[0]).round(3)
      Array([1., 0.], dtype=float32)
      >>> round(float(vectors.log_growth[0] / jnp.log(2)), 3)
      4.0
    """
    drives, start = dynamics.drives(num_segments), dynamics.start(initial)
    frame = initial_frame(start, key, None, num_vectors, "num_vectors")
    check_precision(precision, start)
    sizes = num_segments, max_passes, precision
    return _forward_vectors(dynamics, start, drives, frame, tolerance, *sizes)


@partial(jax.jit, static_argnums=(5, 6, 7))
def _forward_vectors(
    dynamics: Dynamics,
    start: State,
    drives: Drive,
    frame: Frame,
    tolerance: Any,
    num_segments: int,
    max_passes: int,
    precision: str,
) -> ForwardVectors:
    push = partial(push_forward, precision=precision)
    running = in_precision(dynamics, state_precision(precision))

    def forwards(frame: Frame) -> tuple[Frame, Float[Array, " k"]]:
        """Returns the frame after the segments, and Σ ln diag R."""
        (_, end), (growth, *_) = push_frame_coarsely(
            dynamics, (start, frame), drives, num_segments, 1, record=raw_growth, push=push
        )
        return end, growth.sum(0)

    def unfinished(carry: tuple[ForwardVectors, Array]) -> Array:
        vectors, turned = carry
        return ~vectors.converged & (vectors.passes < max_passes) & jnp.isfinite(turned)

    def one_pass(carry: tuple[ForwardVectors, Array]) -> tuple[ForwardVectors, Array]:
        vectors, before = carry
        end, growth = forwards(vectors.frame)
        frame = _backwards(dynamics, states, drives, end, precision)
        turned = _distance(vectors.frame, frame)
        # what is left of a geometric series: slow turning alone is no convergence
        ratio = turned / before
        left = jnp.where(ratio < 1, turned / (1 - ratio), jnp.inf)
        return ForwardVectors(frame, growth, left, vectors.passes + 1, left <= tolerance), turned

    with exact_products():
        states = jax.lax.scan(
            lambda z, drive: (run_segment(running, z, drive), z), start, drives, num_segments
        )[1]
        dtype = jax.tree.leaves(frame)[0].dtype
        unknown = jnp.full(count_vectors(frame), jnp.nan, dtype)
        infinity, one = jnp.full((), jnp.inf, dtype), jnp.ones((), dtype)
        first = ForwardVectors(frame, unknown, infinity, jnp.zeros((), jnp.int32), jnp.array(False))
        return jax.lax.while_loop(unfinished, one_pass, (first, one))[0]


def _backwards(
    dynamics: Dynamics, states: State, drives: Drive, frame: Frame, precision: str
) -> Frame:
    """Returns the frame before the segments, by their transposed Jacobians in reverse order."""

    def segment(frame: Frame, at: tuple[State, Drive]) -> tuple[Frame, None]:
        state, drive = at
        _, jacobian = linearize(lambda z: run_segment(dynamics, z, drive), state, precision)
        return orthonormalize(jax.vmap(transpose(jacobian, state))(frame))[0], None

    return jax.lax.scan(segment, frame, (states, drives), reverse=True)[0]


def _distance(old: Frame, new: Frame) -> Float[Array, ""]:
    """Returns the size of the part of an orthonormal frame outside the span of another."""
    before, after = as_matrix(old), as_matrix(new)
    return jnp.linalg.norm(after - (after @ before.T) @ before)
