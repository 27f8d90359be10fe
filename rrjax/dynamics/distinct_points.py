"""The distinct fixed points or cycles that many searches reach, and how stable each is."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float, Int

from rrjax.checks import check_count, check_number
from rrjax.contract import Brief, Dynamics, State, check_key, run_segment
from rrjax.dynamics.fixed_points import fixed_point, leading_eigenvalues
from rrjax.dynamics.starts import perturb
from rrjax.frames import dimension

TOGETHER = 8
"""Searches that run at once. Each holds its Krylov space."""


@dataclass(frozen=True, repr=False)
class FixedPoints(Brief):
    """The distinct points that were found, those that most searches reached first.

    Attributes:
      states: One state for each of p points, along a leading axis.
      residual: (p,) ‖F^period(z) − z‖₂ in the unit of the state.
      hits: (p,) the number of searches that reached it.
      eigenvalues: (p, m) complex, of the Jacobian of F^period, the largest modulus first.
      num_unstable: (p,) the number of these outside of the unit circle: 0 for a stable point. Where
        it is m there may be more.
      reached: (starts,) the point that each search reached; −1 where it did not converge.
      distance: (starts,) ‖z − z₀‖₂ between start and end of each search.
    """

    states: State
    residual: Float[np.ndarray, " p"]
    hits: Int[np.ndarray, " p"]
    eigenvalues: Complex[np.ndarray, "p m"]
    num_unstable: Int[np.ndarray, " p"]
    reached: Int[np.ndarray, " starts"]
    distance: Float[np.ndarray, " starts"]


def fixed_points(
    dynamics: Dynamics,
    starts: State | int = 64,
    *,
    key: jax.Array | None = None,
    period: int = 1,
    num_eigenvalues: int = 8,
    separation: float = 1e-6,
    **options: Any,
) -> FixedPoints:
    """Returns the distinct fixed points that Newton's method reaches from many starts.

    There may be others that no start leads to. A period p gives cycles of p segments, each by one
    of its points; fixed points are among them. Runs on the host: not under `jit` or `vmap`.

    Args:
      dynamics: Autonomous dynamics, in float64 for the default tolerance.
      starts: States along a leading axis, such as those of a trajectory; or a number of them, which
        are drawn as the initial state plus N(0, 1) in every component.
      key: Draws the starts; needed where `starts` is a number.
      period: p.
      num_eigenvalues: m; no more than the state has components, of which all are then taken.
      separation: Points that lie no farther apart are one, in the unit of the state.
      options: `tolerance`, `max_iterations` and `krylov` of `rrjax.fixed_point`.

    Raises:
      ValueError: As `rrjax.fixed_point`, or there is no start or no key to draw them.

    Example:
      >>> double = rrjax.Dynamics.from_map(lambda z: jnp.tanh(2 * z), jnp.zeros(1))
      >>> points = rrjax.fixed_points(
      ...     double,
      ...     32,
      ...     key=jax.random.key(0),
      ...     num_eigenvalues=1,
      ...     tolerance=1e-5,
      ...     separation=1e-3,
      ... )
      >>> sorted(float(x) for x in points.states[:, 0].round(3))
      [-0.9580000042915344, -0.0, 0.9580000042915344]
      >>> sorted(int(n) for n in points.num_unstable)
      [0, 0, 1]
    """
    check_count("num_eigenvalues", num_eigenvalues, least=1)
    check_number("separation", separation, least=0)
    states = _draw(dynamics, starts, key) if isinstance(starts, int) else starts
    number = _count(dynamics, states)
    search = partial(fixed_point, period=period, **options)
    searches = jax.jit(
        lambda all_states: jax.lax.map(
            lambda z: search(dynamics, initial=z), all_states, batch_size=min(TOGETHER, number)
        )
    )(states)
    ends = [jax.tree.map(lambda leaf, at=at: leaf[at], searches.state) for at in range(number)]
    reached = _group(dynamics, ends, np.asarray(searches.converged), period, separation)

    hits = np.bincount(reached[reached >= 0])
    order = np.argsort(-hits, kind="stable")
    places = np.argsort(order)
    reached = np.where(reached >= 0, places[reached] if len(places) else -1, -1)
    firsts = [int(np.flatnonzero(reached == point)[0]) for point in range(len(order))]
    size = min(num_eigenvalues, dimension(dynamics.initial))
    spectra = [leading_eigenvalues(dynamics, ends[at], size, period=period) for at in firsts]
    empty = np.empty((0, size), np.complex128)
    return FixedPoints(
        states=jax.tree.map(lambda leaf: np.asarray(leaf)[np.array(firsts, int)], searches.state),
        residual=np.asarray(searches.residual)[np.array(firsts, int)],
        hits=hits[order],
        eigenvalues=np.stack([each.values for each in spectra]) if spectra else empty,
        num_unstable=np.array([each.num_unstable for each in spectra], int),
        reached=reached,
        distance=np.asarray(searches.distance),
    )


def _draw(dynamics: Dynamics, number: int, key: jax.Array | None) -> State:
    check_count("starts", number, least=1)
    if key is None:
        raise ValueError(
            "starts: a number of starts needs a key to draw them, such as jax.random.key(0)"
        )
    check_key(key)
    keys = jax.random.split(key, number)
    return jax.vmap(lambda one: perturb(one, dynamics.initial, 1.0))(keys)


def _count(dynamics: Dynamics, states: State) -> int:
    """Returns the number of states along the leading axis, which must have the state's shapes."""
    shapes = jax.tree.map(lambda leaf: jnp.shape(leaf)[1:], states)
    expected = jax.tree.map(jnp.shape, dynamics.initial)
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(states)}
    if shapes != expected or len(lengths) != 1 or not min(lengths)[0]:
        raise ValueError(
            f"starts must be states along a leading axis, each of the shapes {expected}; got "
            f"{jax.tree.map(jnp.shape, states)}"
        )
    return min(lengths)[0]


def _group(
    dynamics: Dynamics, ends: list[State], converged: np.ndarray, period: int, separation: float
) -> np.ndarray:
    """Returns for each end the number of its point, from 0 in the order of their first ends."""
    segment = jax.jit(lambda z: run_segment(dynamics, z))
    points: list[np.ndarray] = []  # (period, n): all points of a cycle
    reached = np.full(len(ends), -1)
    for index in np.flatnonzero(converged):
        cycle = [ends[index]]
        for _ in range(period - 1):
            cycle.append(segment(cycle[-1]))
        images = np.stack([ravel_pytree(z)[0] for z in cycle])
        near = [np.linalg.norm(known - images[0], axis=1).min() <= separation for known in points]
        if not any(near):
            points.append(images)
            near.append(True)
        reached[index] = near.index(True)
    return reached
