"""Local stability: how one segment's Jacobian stretches, at one state of a trajectory."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rrjax.contract import Drive, Dynamics, State, run_segment
from rrjax.dynamics.krylov import Dominant, Vector, dominant_eigenvalue
from rrjax.frames import random_frame


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LocalGrowth:
    """The strongest growth that one segment's Jacobian allows, in a sense. A pytree.

    Attributes:
      value: () the growth factor over one segment, dimensionless; NaN for a state that is not
        finite before or after the segment.
      vector: a unit tangent vector, of the state's structure, that belongs to it, up to sign.
      residual: () relative to `value`: how far `vector` is from satisfying its equation.
      iterations: () of the Krylov space.
      converged: () whether the residual came down to the tolerance.
    """

    value: Array
    vector: State
    residual: Array
    iterations: Array
    converged: Array

    @property
    def unit(self) -> str:
        """The unit of `value`."""
        return "factor per segment"


def largest_singular_value(
    dynamics: Dynamics,
    state: State,
    key: jax.Array,
    drive: Drive = None,
    *,
    max_iterations: int = 20,
    tolerance: float = 1e-3,
) -> LocalGrowth:
    r"""The largest factor by which one segment stretches a tangent vector, with that vector.

        σ_max = max ‖J w‖ / ‖w‖,    J = ∂(state one segment later)/∂(state)

    By Lanczos' iteration on JᵀJ with full reorthogonalisation, which is Golub and Kahan's
    bidiagonalisation of J: from the same products it is never worse than power iteration. The
    segment is linearised once, then an iteration costs one product with J and one with Jᵀ.
    Reverse mode keeps every update's intermediate results: memory grows with the updates of a
    segment, and under `vmap` with the puzzles.

    Args:
      dynamics: of one puzzle; `vmap` over it for many, which then iterate until all have ended.
      state: where to linearise.
      key: draws the first vector.
      drive: the drive's slice for this segment; None for an autonomous system.
      max_iterations: at most; also the memory, in states.
      tolerance: on the residual ‖Jᵀu − σ w‖/σ at w = `vector`, u = J w/σ. The error of σ is of
        second order in the residual where σ_max stands apart from the next singular value.

    Returns:
      A `LocalGrowth`; `vector` is the right singular vector. Up to round-off the value never
      exceeds σ_max. A vanishing Jacobian has the value 0, as has in float32 one below 1e-18.

    Raises:
      ValueError: for a state or a drive of another structure or shape, states that are not float32
        or float64, no iterations, or a tolerance that is not positive.

    References:
      Golub & Kahan 1965; Krishna et al. 2026 use power iteration (10 iterations, 1e-3).
    """
    _check(dynamics, state, drive, max_iterations, tolerance)
    return _largest_singular_value(dynamics, state, key, drive, tolerance, max_iterations)


@partial(jax.jit, static_argnums=5)
def _largest_singular_value(
    dynamics: Dynamics, state: State, key: jax.Array, drive: Drive, tolerance, max_iterations: int
) -> LocalGrowth:
    with jax.default_matmul_precision("highest"):
        apply, start, unravel = _jacobian(dynamics, state, key, drive)
        transpose = jax.linear_transpose(apply, start)
        # of the order of σ: its square would leave float32's range long before σ does
        scale = jnp.linalg.norm(apply(start))
        scale = jnp.where(scale == 0, 1, scale)

        def normal(vector: Vector) -> Vector:
            return transpose(apply(vector) / scale)[0] / scale

        found = dominant_eigenvalue(normal, start, max_iterations, tolerance)
    growth = _on_state(found, unravel)
    return dataclasses.replace(growth, value=scale * jnp.sqrt(found.value))


def spectral_radius(
    dynamics: Dynamics,
    state: State,
    key: jax.Array,
    drive: Drive = None,
    *,
    max_iterations: int = 30,
    tolerance: float = 1e-3,
) -> LocalGrowth:
    r"""The largest modulus of an eigenvalue of one segment's Jacobian.

        ρ = max |μ|,    J w = μ w

    At a fixed point of the segment, perturbations die out if and only if ρ < 1. Elsewhere ρ says
    little: the next segment has another Jacobian, and ρ may lie far below σ_max. By Arnoldi's
    iteration, which sees complex pairs; needs no reverse mode, but the segment is linearised once
    and its intermediate results are kept, as for `largest_singular_value`.

    Args:
      dynamics: of one puzzle; `vmap` over it for many, which then iterate until all have ended.
      state: where to linearise.
      key: draws the first vector.
      drive: the drive's slice for this segment; None for an autonomous system.
      max_iterations: at most; also the memory, in states.
      tolerance: on the residual: the part of J W outside the Krylov space, relative to ρ, for W in
        the invariant subspace of the eigenvalues of modulus ρ. A backward error: ρ is that of a
        Jacobian perturbed by so much, and far from normal ones amplify it.

    Returns:
      A `LocalGrowth`; `vector` is the eigenvector if the eigenvalue is real and else a vector of
      its plane. A nilpotent Jacobian has the value 0 up to the root of round-off.

    Raises:
      ValueError: as `largest_singular_value`.

    References:
      Saad 2011, "Numerical Methods for Large Eigenvalue Problems", chapter 6.
    """
    _check(dynamics, state, drive, max_iterations, tolerance)
    return _spectral_radius(dynamics, state, key, drive, tolerance, max_iterations)


@partial(jax.jit, static_argnums=5)
def _spectral_radius(
    dynamics: Dynamics, state: State, key: jax.Array, drive: Drive, tolerance, max_iterations: int
) -> LocalGrowth:
    with jax.default_matmul_precision("highest"):
        apply, start, unravel = _jacobian(dynamics, state, key, drive)
        found = dominant_eigenvalue(apply, start, max_iterations, tolerance)
    return _on_state(found, unravel)


def _on_state(found: Dominant, unravel: Callable[[Vector], State]) -> LocalGrowth:
    return LocalGrowth(
        found.value, unravel(found.vector), found.residual, found.iterations, found.converged
    )


def _jacobian(
    dynamics: Dynamics, state: State, key: jax.Array, drive: Drive
) -> tuple[Callable[[Vector], Vector], Vector, Callable[[Vector], State]]:
    """The Jacobian of a segment on flat vectors, a random one, and how to make a state of it.

    The vector is NaN where the state is not finite before or after the segment: a Jacobian may
    look healthy there (a saturated tanh has derivative 0).
    """
    flat, unravel = ravel_pytree(state)

    def segment(flat: Vector) -> Vector:
        return ravel_pytree(run_segment(dynamics, unravel(flat), drive))[0]

    after, apply = jax.linearize(segment, flat)
    finite = jnp.isfinite(flat).all() & jnp.isfinite(after).all()
    start = ravel_pytree(random_frame(key, state, 1))[0]
    return apply, jnp.where(finite, start, jnp.nan), unravel


def natural_growth(
    dynamics: Dynamics, state: State, previous: State, drive: Drive = None
) -> Float[Array, ""]:
    r"""The factor by which one segment stretches the step that led to the state.

        γ_nat = ‖J d‖ / ‖d‖,    d = state − previous

    Below 1 the trajectory's own steps shrink at first order. One forward-mode product, no memory
    beyond the segment's own.

    Args:
      dynamics: of one puzzle; `vmap` over it for many.
      state: where to linearise.
      previous: the state one segment earlier.
      drive: the drive's slice for the segment after `state`; None for an autonomous system.

    Returns:
      γ_nat, a factor per segment. NaN for a zero step and for states that are not finite. Near a
      fixed point d is the round-off of the state, and γ_nat the growth of that.

    Raises:
      ValueError: for states or a drive of another structure or shape, or states that are not
        float32 or float64.

    References:
      Krishna et al. 2026, "When recursive models finish computing".
    """
    _check_state("state", state, dynamics)
    _check_state("previous", previous, dynamics)
    _check_drive(drive, dynamics)
    return _natural_growth(dynamics, state, previous, drive)


@jax.jit
def _natural_growth(
    dynamics: Dynamics, state: State, previous: State, drive: Drive
) -> Float[Array, ""]:
    step, unravel = ravel_pytree(jax.tree.map(jnp.subtract, state, previous))
    direction = unravel(step / jnp.linalg.norm(step))
    with jax.default_matmul_precision("highest"):
        after, image = jax.jvp(lambda z: run_segment(dynamics, z, drive), (state,), (direction,))
    growth = jnp.linalg.norm(ravel_pytree(image)[0])
    finite = jnp.isfinite(ravel_pytree((state, previous, after))[0]).all()
    return jnp.where(finite & jnp.isfinite(growth), growth, jnp.nan)


def _check(
    dynamics: Dynamics, state: State, drive: Drive, max_iterations: int, tolerance: float
) -> None:
    _check_state("state", state, dynamics)
    _check_drive(drive, dynamics)
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")


def _check_state(name: str, state: State, dynamics: Dynamics) -> None:
    expected, found = _shapes(dynamics.initial), _shapes(state)
    if expected != found:
        raise ValueError(f"{name} must have the shapes {expected} of dynamics.initial, got {found}")
    for leaf in jax.tree.leaves(state):
        if jnp.result_type(leaf) not in (jnp.float32, jnp.float64):
            raise ValueError(
                f"{name} must be of float32 or float64 to be linearised, got "
                f"{jnp.result_type(leaf)}; load the model with dtype='float32'"
            )


def _check_drive(drive: Drive, dynamics: Dynamics) -> None:
    expected = jax.tree.map(lambda leaf: leaf.shape[1:], dynamics.drive)
    if expected != _shapes(drive):
        raise ValueError(
            f"drive must be one segment's slice of dynamics.drive, of shapes {expected}; got "
            f"{_shapes(drive)}"
        )


def _shapes(tree: Any) -> Any:
    return jax.tree.map(jnp.shape, tree)
