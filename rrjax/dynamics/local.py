"""Local stability: how the Jacobian of one segment stretches, at one state of a trajectory."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rrjax.checks import check_count
from rrjax.contract import Brief, Drive, Dynamics, State, check_key, run_segment
from rrjax.dynamics.krylov import Dominant, Vector, dominant_eigenvalue
from rrjax.dynamics.precision import check_precision, exact_products, linearize, transpose
from rrjax.dynamics.tangent import check_dtypes
from rrjax.frames import random_frame


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class LocalGrowth(Brief):
    """How one segment's Jacobian J stretches tangent vectors. A pytree; factors per segment.

    All values are NaN for a state that is not finite before or after the segment.

    Attributes:
      singular_value: The largest factor σ = max ‖J w‖ / ‖w‖ as `value`, with the right singular
        vector w as `vector` and ‖Jᵀu − σ w‖/σ at u = J w/σ as `residual`. The error of σ is of
        second order in the residual where σ stands apart from the next singular value. Up to
        round-off `value` never exceeds σ. A vanishing Jacobian has the value 0, as has in float32
        one below 1e-18.
      spectral_radius: The largest modulus of an eigenvalue, ρ = max |μ| with J w = μ w, as `value`,
        and the eigenvector as `vector` (some vector of the plane of a complex pair). `residual` is
        a backward error: ρ is that of a Jacobian perturbed by so much, relative to ρ, and a
        Jacobian far from normal amplifies it. A nilpotent Jacobian has the value 0 up to the root
        of round-off.
      natural: γ = ‖J d‖ / ‖d‖ for the step d that led to the state; None without `previous`. NaN
        for a zero step.
    """

    unit: ClassVar[str] = "factor per segment"
    singular_value: Dominant
    spectral_radius: Dominant
    natural: Array | None


def local_growth(
    dynamics: Dynamics,
    state: State,
    *,
    key: jax.Array,
    drive: Drive = None,
    previous: State | None = None,
    max_iterations: int = 30,
    tolerance: float = 1e-3,
    precision: str = "exact",
) -> LocalGrowth:
    r"""Returns three measures of how the Jacobian J of one segment stretches at a state.

    - The largest singular value bounds what one segment does to any perturbation. It comes from
      Lanczos' iteration on JᵀJ, which with the same products is never worse than power iteration.
    - The spectral radius decides at a fixed point of the segment: perturbations die out if and only
      if ρ < 1. Elsewhere it says little, because the next segment has another Jacobian. It comes
      from Arnoldi's iteration, which also sees complex pairs.
    - The natural growth is the factor by which the segment stretches the trajectory's own last
      step. Below 1 the steps shrink at first order. Near a fixed point the step is the round-off of
      the state, and γ the growth of that.

    The segment is linearised once. Reverse mode keeps every update's intermediate results: memory
    grows with the updates of a segment, and under `vmap` with the puzzles.

    Args:
      dynamics: Of one puzzle; `vmap` over it for many, which then iterate until all have ended.
      state: Where to linearise.
      key: Draws the first vector of both iterations.
      drive: The drive's slice for the segment after `state`; None for an autonomous system.
      previous: The state one segment earlier, for the natural growth.
      max_iterations: The largest number of iterations; also the memory, in states.
      tolerance: Of the residuals.
      precision: As in `rrjax.spectrum`.

    Raises:
      ValueError: For states or a drive of another structure or shape, states that are not float32
        or float64, no iterations, a tolerance that is not positive, or a precision that
        `rrjax.spectrum` would refuse.

    References:
      Golub & Kahan 1965; Saad 2011, "Numerical Methods for Large Eigenvalue Problems", chapter 6;
      Krishna et al. 2026, "When recursive models finish computing", who use power iteration.

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> growth = rrjax.local_growth(linear, jnp.ones(2), key=jax.random.key(0))
      >>> print(growth.singular_value.value.round(3), growth.spectral_radius.value.round(3))
      2.0 2.0
    """
    one_slice = jax.tree.map(lambda leaf: leaf[0], dynamics.drive)
    for name, given, like, of in (
        ("state", state, dynamics.initial, "dynamics.initial"),
        ("previous", state if previous is None else previous, dynamics.initial, "the state"),
        ("drive", drive, one_slice, "one segment's slice of dynamics.drive"),
    ):
        shapes, expected = (jax.tree.map(jnp.shape, tree) for tree in (given, like))
        if shapes != expected:
            raise ValueError(f"{name} must have the shapes of {of}, {expected}; got {shapes}")
    check_dtypes((state, previous))
    check_count("max_iterations", max_iterations, least=1)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    check_precision(precision, state)
    sizes = max_iterations, precision
    check_key(key)
    return _local_growth(dynamics, state, previous, key, drive, tolerance, *sizes)


@partial(jax.jit, static_argnums=(6, 7))
def _local_growth(
    dynamics: Dynamics,
    state: State,
    previous: State | None,
    key: jax.Array,
    drive: Drive,
    tolerance: Any,
    max_iterations: int,
    precision: str,
) -> LocalGrowth:
    flat, unravel = ravel_pytree(state)
    with exact_products():
        after, jacobian = linearize(lambda z: run_segment(dynamics, z, drive), state, precision)
        # a Jacobian may look healthy at a state that is not finite: a saturated tanh has slope 0
        finite = jnp.isfinite(ravel_pytree((state, after))[0]).all()
        start = ravel_pytree(random_frame(key, state, 1))[0]
        start = jnp.where(finite, start, jnp.nan)

        def apply(vector: Vector) -> Vector:
            return ravel_pytree(jacobian(unravel(vector)))[0]

        transposed = transpose(jacobian, state)

        def apply_transpose(vector: Vector) -> Vector:
            return ravel_pytree(transposed(unravel(vector)))[0]

        both = apply, apply_transpose
        largest = _largest_singular_value(*both, start, max_iterations, tolerance)
        dominant = dominant_eigenvalue(apply, start, max_iterations, tolerance)
        natural = None
        if previous is not None:
            step = flat - ravel_pytree(previous)[0]
            growth = jnp.linalg.norm(apply(step / jnp.linalg.norm(step)))
            natural = jnp.where(finite & jnp.isfinite(growth), growth, jnp.nan)
    singular, radius = (replace(one, vector=unravel(one.vector)) for one in (largest, dominant))
    return LocalGrowth(singular, radius, natural)


def _largest_singular_value(
    apply: Callable[[Vector], Vector],
    apply_transpose: Callable[[Vector], Vector],
    start: Vector,
    max_iterations: int,
    tolerance: Any,
) -> Dominant:
    # of the order of σ: its square would leave float32's range long before σ does
    scale = jnp.linalg.norm(apply(start))
    scale = jnp.where(scale == 0, 1, scale)

    def normal(vector: Vector) -> Float[Array, " n"]:
        return apply_transpose(apply(vector) / scale) / scale

    dominant = dominant_eigenvalue(normal, start, max_iterations, tolerance)
    return replace(dominant, value=scale * jnp.sqrt(dominant.value))
