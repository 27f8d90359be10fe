"""Points where the segment map stands still or comes back after p segments, and their stability.

Newton's method with the exact product of the Jacobian: a step is the best solution of
(J − I) δ = z − F(z) that a Krylov space holds within a radius, which shrinks until the residual
falls as the linear model says. Nothing is found by waiting, so that unstable points are found as
well as stable ones. The residual of a result is its certificate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float, Int

from rrjax.checks import check_count, check_number
from rrjax.contract import Brief, Dynamics, State, run_segment
from rrjax.dynamics.hookstep import hook, krylov_space
from rrjax.dynamics.precision import exact_products
from rrjax.frames import dimension

ENOUGH, GOOD = 0.1, 0.75
"""A step is taken if the residual falls by this part of what the linear model promises. Where it
falls by the second part, the radius grows to twice the step."""

SHORTEST = 2.0**-20
"""No shorter part of the first trial is tried: the search has come to a minimum of the residual, or
J − I is singular."""

PATIENCE, PROGRESS = 6, 0.9
"""A search ends as well if so many steps leave the residual above this part of what it was."""

LOOSEST, TIGHTEST = 0.1, 1e-10
"""Bounds of the relative residual that a linear solve is asked for: Newton's own residual between
them."""

ROUND_OFFS = 100
"""Nor is a smaller one asked for than so many units of round-off."""

DENSE = 256
"""States of no more components get all eigenvalues from the dense Jacobian."""

Vector = Float[Array, " n"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class FixedPoint(Brief):
    """A point of which F^p(z) = z up to a residual. A pytree.

    Attributes:
      state: z.
      residual: () ‖F^p(z) − z‖₂ over all components, in the unit of the state; NaN where the search
        started from a state that is not finite.
      converged: () whether the residual is not above the tolerance.
      iterations: () Newton's steps.
      distance: () ‖z − z₀‖₂ from where the search began.
    """

    state: State
    residual: Array
    converged: Array
    iterations: Array
    distance: Array


class _Search(NamedTuple):
    z: Vector
    error: Vector  # F^p(z) − z
    radius: Float[Array, ""]
    mark: Float[Array, ""]  # the residual at the last multiple of PATIENCE steps
    iterations: Int[Array, ""]
    stalled: Bool[Array, ""]


class _Trial(NamedTuple):
    z: Vector
    error: Vector
    length: Float[Array, ""]  # of the step
    gain: Float[Array, ""]  # what the residual falls by, in parts of what the model promises


def fixed_point(
    dynamics: Dynamics,
    *,
    initial: State | None = None,
    period: int | Int[Array, ""] = 1,
    tolerance: float = 1e-9,
    max_iterations: int = 50,
    krylov: int = 64,
    linear: Dynamics | None = None,
) -> FixedPoint:
    """Returns the fixed point of the segment map that Newton's method reaches from a state.

    It need not be the nearest one, and the trajectory need not go there: compare `distance`, and
    run the dynamics from `state`. A period p finds points of cycles of p segments, among them the
    fixed points. Float64 is needed for residuals as small as the default tolerance.

    Args:
      dynamics: autonomous dynamics; the segment map is F.
      initial: the state to begin with; None: that of the dynamics.
      period: p, the number of segments after which the point comes back. It may be traced, so that
        one compiled program searches several periods; each product then runs the map again.
      tolerance: the residual at which the search ends, in the unit of the state.
      max_iterations: the largest number of Newton's steps.
      krylov: the largest dimension of the Krylov space of a linear solve: the largest number of
        its products with the Jacobian, and of states in its memory.
      linear: the same dynamics in a narrower type, whose Jacobian the linear solves then use: those
        of float32 cost half. The residual stays that of `dynamics`; the last steps gain some five
        digits each in place of twice as many. None: `dynamics` themselves.

    Returns:
      A `FixedPoint`. Without convergence it is the state of the smallest residual on the way: at a
      minimum of the residual that is no zero, where J − I is singular, or where six steps made the
      residual smaller by less than a tenth.

    Raises:
      ValueError: the dynamics are driven, the numbers are out of range, or `initial` or the state
        of `linear` has other shapes than the state.

    References:
      Dembo, Eisenstat and Steihaug 1982, SIAM J. Numer. Anal. 19, 400 (inexact Newton methods);
      Viswanath 2007, J. Fluid Mech. 580, 339 (steps within a radius of a Krylov space).

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> point = rrjax.fixed_point(shrink, tolerance=1e-6)
      >>> print(point.state.round(3), bool(point.converged))
      [2. 2.] True
    """
    check_count("max_iterations", max_iterations)
    check_count("krylov", krylov, least=1)
    check_number("tolerance", tolerance, least=0)
    start, unravel = ravel_pytree(dynamics.start(initial))
    move = _flat_map(dynamics, unravel, period)
    differentiated, dtype = move, start.dtype
    if linear is not None:
        narrow, unravel_narrow = ravel_pytree(linear.start(unravel(start)))
        differentiated, dtype = _flat_map(linear, unravel_narrow, period), narrow.dtype

    def proceed(search: _Search) -> Bool[Array, ""]:
        norm = jnp.linalg.norm(search.error)
        unfinished = (norm > tolerance) & jnp.isfinite(norm) & ~search.stalled
        return unfinished & (search.iterations < max_iterations)

    with exact_products():
        zero, no = jnp.zeros((), int), jnp.zeros((), bool)
        infinite = jnp.full((), jnp.inf, start.dtype)
        search = _Search(start, move(start) - start, infinite, infinite, zero, no)
        step = partial(_step, move, differentiated, dtype, krylov)
        search = jax.lax.while_loop(proceed, step, search)
    norm = jnp.linalg.norm(search.error)
    distance = jnp.linalg.norm(search.z - start)
    return FixedPoint(unravel(search.z), norm, norm <= tolerance, search.iterations, distance)


def _flat_map(
    dynamics: Dynamics, unravel: Callable[[Vector], State], period: int | Int[Array, ""]
) -> Callable[[Vector], Vector]:
    """Returns F^p on the components of a state."""
    if not isinstance(period, jax.Array):
        check_count("period", period, least=1)
    if dynamics.drive is not None:
        raise ValueError(
            "dynamics must be autonomous: driven ones have another map in each segment, and no "
            "fixed points"
        )

    def segment(_: Any, z: Vector) -> Vector:
        return ravel_pytree(run_segment(dynamics, unravel(z)))[0]

    if isinstance(period, int) and period == 1:
        return partial(segment, 0)
    return lambda z: jax.lax.fori_loop(0, period, segment, z)


def _step(
    move: Callable[[Vector], Vector],
    differentiated: Callable[[Vector], Vector],
    dtype: Any,
    krylov: int,
    search: _Search,
) -> _Search:
    """Takes one step of Newton's method, or finds that none makes the residual smaller."""
    z, error = search.z, search.error
    norm = jnp.linalg.norm(error)
    product = jax.linearize(differentiated, z.astype(dtype))[1]
    tightest = max(TIGHTEST, ROUND_OFFS * float(jnp.finfo(dtype).eps))
    V, H = krylov_space(
        lambda v: product(v) - v,
        (-error / norm).astype(dtype),
        min(krylov, z.size),
        jnp.clip(norm, tightest, LOOSEST).astype(dtype),
    )
    H = H.astype(z.dtype)
    steps = hook(H, norm)

    def attempt(radius: Float[Array, ""]) -> _Trial:
        y = steps.step(radius)
        trial = z + (y.astype(dtype) @ V[:-1]).astype(z.dtype)
        new = move(trial) - trial
        left = jnp.linalg.norm(H @ y - norm * jnp.eye(len(H), dtype=z.dtype)[0])
        gain = (norm - jnp.linalg.norm(new)) / (norm - left)
        return _Trial(trial, new, jnp.linalg.norm(y), gain)

    first = attempt(search.radius)

    def is_worse(trial: _Trial) -> Bool[Array, ""]:
        # a NaN is worse as well
        return ~(trial.gain >= ENOUGH) & (trial.length > SHORTEST * first.length)

    trial = jax.lax.while_loop(is_worse, lambda trial: attempt(trial.length / 2), first)
    new_norm = jnp.linalg.norm(trial.error)
    better = new_norm < norm
    iterations = search.iterations + 1
    is_due = iterations % PATIENCE == 0
    return _Search(
        z=jnp.where(better, trial.z, z),
        error=jnp.where(better, trial.error, error),
        radius=jnp.where(trial.gain >= GOOD, 2, 1) * trial.length,
        mark=jnp.where(is_due, new_norm, search.mark),
        iterations=iterations,
        stalled=~better | (is_due & (new_norm > PROGRESS * search.mark)),
    )


class Eigenvalues(NamedTuple):
    """The leading eigenvalues of J at a fixed point, the largest modulus first.

    Attributes:
      values: (m,) complex, per segment (per p segments for a period p). A complex pair counts as
        two. An exponent in nats per update is ln|μ| over the number of updates.
      num_unstable: number of eigenvalues outside of the unit circle; where all m are, at least so
        many.
    """

    values: Complex[np.ndarray, " m"]
    num_unstable: int


def leading_eigenvalues(
    dynamics: Dynamics, state: State, number: int = 8, *, period: int = 1
) -> Eigenvalues:
    """Returns the eigenvalues of largest modulus of the Jacobian of F^p at a state.

    Small states get them from the dense Jacobian, larger ones by Arnoldi's iteration (ARPACK) with
    exact products. They tell about stability at a fixed point only. Runs on the host: not under
    `jit` or `vmap`.

    Args:
      dynamics: autonomous dynamics.
      state: the point, usually the state of a `FixedPoint`.
      number: m; no more than the state has components.
      period: p.

    Raises:
      ValueError: the dynamics are driven, a number is out of range, or the Jacobian is not finite.
      scipy.sparse.linalg.ArpackNoConvergence: Arnoldi's iteration did not converge.

    References:
      Lehoucq, Sorensen and Yang 1998, "ARPACK Users' Guide".

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> values = rrjax.leading_eigenvalues(shrink, jnp.array([2.0, 2.0]), 2)
      >>> print(values.values.real, int(values.num_unstable))
      [0.5 0.5] 0
    """
    check_count("number", number, least=1, most=dimension(state))
    z, unravel = ravel_pytree(dynamics.start(state))
    move = _flat_map(dynamics, unravel, period)
    with exact_products():
        if z.size <= DENSE or number > z.size - 2:  # which ARPACK cannot do
            matrix = np.asarray(jax.jit(jax.jacfwd(move))(z))
            _check_finite(matrix)
            values = np.linalg.eigvals(matrix)
        else:
            values = _arnoldi(move, z, number)
    values = values[np.argsort(-np.abs(values), kind="stable")][:number].astype(np.complex128)
    return Eigenvalues(values, int(np.sum(np.abs(values) > 1)))


def _arnoldi(move: Callable[[Vector], Vector], z: Vector, number: int) -> Complex[np.ndarray, " m"]:
    product = jax.jit(lambda v: jax.jvp(move, (z,), (v,))[1])

    def apply(v: np.ndarray) -> np.ndarray:
        image = np.asarray(product(jnp.asarray(v.ravel(), z.dtype)))
        _check_finite(image)
        return image

    size = z.size
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=apply, dtype=z.dtype)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).normal(size=size)  # ARPACK's own start is another each time
    values: Any = scipy.sparse.linalg.eigs(
        operator, number, which="LM", v0=start, return_eigenvectors=False
    )
    return values


def _check_finite(image: np.ndarray) -> None:
    if not np.isfinite(image).all():
        raise ValueError("the Jacobian at this state is not finite, and has no eigenvalues")
