"""The fixed points and cycles near a trajectory: Newton's method from its states, and what each is.

The trained map runs in its own type. Points are those of the same map in float64: the weights and
the embedded puzzle are the trained ones, and the arithmetic is wider.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from rrjax.contract import (
    Dynamics,
    Repeat,
    State,
    count_updates,
    run_segment,
    run_updates,
    scan_updates,
)
from rrjax.dynamics.fixed_points import FixedPoint, fixed_point
from rrjax.dynamics.krylov import arnoldi
from rrjax.dynamics.precision import exact_products, in_type

SEPARATION = 1e-6
"""Points that lie no farther apart, in the unit of the state, are one."""


@dataclass(frozen=True)
class Settings:
    """How points are searched and what is kept of each.

    Attributes:
      tolerance: the residual ‖F^p(z) − z‖ of a point, in float64 and in the unit of the state.
      max_iterations: the largest number of Newton's steps.
      krylov: the dimension of the Krylov spaces of linear solves and of eigenvalues.
      num_kept: segments that the trained map runs from each point.
    """

    tolerance: float = 1e-9
    max_iterations: int = 16
    krylov: int = 32
    num_kept: int = 8


def states_of(dynamics: Dynamics, num_segments: int) -> State:
    """Returns the states after each segment, along a leading axis."""

    def segment(z: State, _: None) -> tuple[State, State]:
        after = run_segment(dynamics, z)
        return after, after

    with exact_products():
        return jax.lax.scan(segment, dynamics.initial, length=num_segments)[1]


def points_from(
    dynamics: Dynamics,
    states: State,
    starts: State,
    periods: Sequence[int],
    known: Float[Array, "_ n"],
    wanted: Bool[Array, " k"],
    read: Callable[[Dynamics, State], Any],
    settings: Settings,
) -> dict[str, Any]:
    """Returns the points that Newton's method reaches from some states, each of its own period.

    The searches run one after the other. A point that is known already, or that an earlier search
    has reached, is not examined again. Not under `vmap`, which would run what is skipped.

    Args:
      dynamics: autonomous dynamics in the trained type; a segment is F.
      states: the trajectory's states (segments, …), to which distances are measured.
      starts: states (k, …), from which the searches begin.
      periods: p of each search. Different ones share a compiled program, in which products cost
        about twice as much.
      known: points that are not examined.
      wanted: which searches to make; one that is not made ends after 0 steps without convergence.
      read: `read(dynamics, state)` returns a pytree of arrays: what a point says.
      settings: how to search.

    Returns:
      By name arrays with a leading axis of k searches; p is the largest of the periods, and cycles
      of fewer points are filled with their first. Where a search did not converge, and for known
      points, all but the first five are NaN, or 0 for integers and booleans.

      - `residual`, `converged`, `iterations`, `moved`, `point` (k, n): the search, ‖z − start‖, and
        where it ended;
      - `images` (k, p, n): the points of the cycle, z first;
      - `norm`: ‖z‖; `distance` (k, segments): from each state to the nearest point of the cycle;
      - `least_period`: the smallest divisor of the period after which z comes back;
      - `cycle_return`: how far z moves in one pass of the segment's outermost repeat, which is
        round-off at a fixed point of that pass;
      - `update_drift` (k, updates): ‖Δz‖ of each update of the segment that begins at z;
      - `hessenberg` (k, m + 1, m): for `rrjax.dynamics.krylov.ritz_values` of the Jacobian of F^p;
      - `kept`: the distance from the cycle after `num_kept` segments of the trained map from z;
      - `said` (k, p, …): what `read` returns of the points of the cycle; `said_after`: the same of
        the state that the trained map ends in.
    """
    wide = in_type(dynamics, jnp.float64)
    is_wide = jax.tree.leaves(dynamics.initial)[0].dtype == jnp.float64
    search = partial(
        fixed_point,
        wide,
        tolerance=settings.tolerance,
        max_iterations=settings.max_iterations,
        krylov=settings.krylov,
        linear=None if is_wide else dynamics,
    )
    look = partial(_examine, dynamics, wide, states, max(periods), read, settings)
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    empty = jax.tree.map(_blank, jax.eval_shape(look, 1, in_type(first, jnp.float64)))
    known = jnp.concatenate([known, jnp.full((len(periods), known.shape[1]), jnp.nan)])

    def step(before: tuple[Array, Any, Array], item: tuple[Any, ...]) -> tuple[Any, Any]:
        last, facts, known = before
        index, start, is_wanted, own = item
        period = own if len(set(periods)) > 1 else periods[0]
        end = jax.lax.cond(
            is_wanted, lambda: search(initial=start, period=period), lambda: _nothing(start)
        )
        z = ravel_pytree(end.state)[0]
        is_same = jnp.linalg.norm(z - last) <= SEPARATION
        is_known = (jnp.linalg.norm(known - z, axis=1) <= SEPARATION).any()
        facts = jax.lax.cond(
            end.converged & ~is_known,
            lambda: look(period, end.state),
            lambda: jax.tree.map(partial(jnp.where, end.converged & is_same), facts, empty),
        )
        searched = {
            "residual": end.residual,
            "converged": end.converged,
            "iterations": end.iterations,
            "moved": end.distance,
            "point": z,
        }
        reached = jnp.where(end.converged, z, jnp.nan)
        known = known.at[len(known) - len(periods) + index].set(reached)
        return (reached, facts, known), searched | facts

    nowhere = jnp.full_like(ravel_pytree(wide.initial)[0], jnp.nan)
    items = np.arange(len(periods)), starts, wanted, np.array(periods)
    return jax.lax.scan(step, (nowhere, empty, known), items)[1]


def _nothing(start: State) -> FixedPoint:
    unknown = jnp.full((), jnp.nan)
    no, zero = jnp.zeros((), bool), jnp.zeros((), int)
    return FixedPoint(in_type(start, jnp.float64), unknown, no, zero, unknown)


def _blank(shape: Any) -> Array:
    is_real = jnp.issubdtype(shape.dtype, jnp.floating)
    return jnp.full(shape.shape, jnp.nan if is_real else 0, shape.dtype)


def _examine(
    dynamics: Dynamics,
    wide: Dynamics,
    states: State,
    most: int,
    read: Callable[[Dynamics, State], Any],
    settings: Settings,
    period: int | Int[Array, ""],
    z: State,
) -> dict[str, Any]:
    """Returns what is known of a point beside its residual. `most` bounds its period."""
    flat, unravel = ravel_pytree(z)

    def cycle_map(vector: Array) -> Array:
        def segment(_: Any, state: Array) -> Array:
            return ravel_pytree(run_segment(wide, unravel(state)))[0]

        return jax.lax.fori_loop(0, period, segment, vector)

    def advance(state: State, index: Array) -> tuple[State, State]:
        after = jax.lax.cond(index + 1 < period, partial(run_segment, wide), lambda _: z, state)
        return after, state

    with exact_products():
        images = jax.lax.scan(advance, z, jnp.arange(most))[1]
        rows = _as_rows(images)  # (most, n)
        lags = np.arange(most)
        is_back = jnp.linalg.norm(rows - rows[0], axis=1) <= SEPARATION
        is_divisor = (lags > 0) & (lags < period) & (period % np.maximum(lags, 1) == 0)
        least = jnp.where(is_divisor & is_back, lags, period).min()
        once = run_updates(one_cycle(wide), wide, z, None)
        product = jax.linearize(cycle_map, flat)[1]
        start = jax.random.normal(jax.random.key(0, impl="threefry2x32"), flat.shape, flat.dtype)
        hessenberg = arnoldi(product, start, min(settings.krylov, flat.size))
        trained = dynamics.start(z)
        after = _run(dynamics, trained, settings.num_kept)
        said = jax.lax.map(partial(read, wide), images)
        said_after = read(dynamics, after)
    return {
        "images": rows,
        "norm": jnp.linalg.norm(flat),
        "distance": jax.lax.map(partial(_nearest, rows), _as_rows(states)),
        "least_period": least,
        "cycle_return": jnp.linalg.norm(ravel_pytree(once)[0] - flat),
        "update_drift": _update_drift(wide, z),
        "hessenberg": hessenberg,
        "kept": _nearest(rows, ravel_pytree(after)[0]),
        "said": said,
        "said_after": said_after,
    }


def one_cycle(dynamics: Dynamics) -> tuple:
    """Returns the schedule of one pass of a segment that is a repeat, else of the segment."""
    if len(dynamics.schedule) == 1 and isinstance(dynamics.schedule[0], Repeat):
        return dynamics.schedule[0].body
    return dynamics.schedule


def by_cycle(dynamics: Dynamics) -> tuple[Dynamics, int]:
    """Returns dynamics whose segment is one cycle, a pass of the outermost repeat, and how many
    cycles a segment has."""
    body = one_cycle(dynamics)
    return replace(dynamics, schedule=body), count_updates(dynamics.schedule) // count_updates(body)


def _run(dynamics: Dynamics, z: State, num_segments: int) -> State:
    return jax.lax.fori_loop(0, num_segments, lambda _, state: run_segment(dynamics, state), z)


def _as_rows(states: State) -> Float[Array, "k n"]:
    return jax.vmap(lambda state: ravel_pytree(state)[0])(states)


def _nearest(rows: Float[Array, "p n"], state: Float[Array, " n"]) -> Float[Array, ""]:
    return jnp.linalg.norm(rows - state, axis=1).min()


def _update_drift(dynamics: Dynamics, z: State) -> Float[Array, " updates"]:
    def step(update: Any, state: State) -> tuple[State, Array]:
        after = update(dynamics.context, state, None)
        return after, jnp.linalg.norm(ravel_pytree(jax.tree.map(jnp.subtract, after, state))[0])

    return scan_updates(dynamics.schedule, step, z)[1]


def between(points: Float[Array, "k n"], images: Sequence[Array]) -> Float[Array, "k k"]:
    """Returns the distance from each point to the nearest point of each cycle.

    Args:
      points: where each of k searches ended.
      images: (p, n) the points of the cycle of each search, whose numbers p may differ.
    """
    columns = [jax.lax.map(partial(_nearest, rows), points) for rows in images]
    return jnp.stack(columns, axis=1)
