"""Lyapunov exponents in ordinary training, for optax users: log, penalise or clip them.

Each takes a function `exponents_of(params, batch) -> Exponents` of the user's, made of
`rrjax.flossing.differentiable.exponents`, and measures at every E-th step only: over E steps the
extra cost is that of one spectrum to log, of its gradient besides to penalise or clip.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from rrjax.flossing.differentiable import Exponents, Loss

ExponentsOf = Callable[[Any, Any], Exponents]


class Penalty(NamedTuple):
    """What a penalised loss saw.

    Attributes:
      loss: without the penalty.
      penalty: before its weight; NaN where it was not measured.
      exponents: (k,) nats per update; NaN where not resolved or not measured.
    """

    loss: Float[Array, ""]
    penalty: Float[Array, ""]
    exponents: Float[Array, " k"]


def penalized(
    loss: Callable[[Any, Any], Array],
    exponents_of: ExponentsOf,
    penalty: Loss,
    weight: float,
    every: int = 1,
) -> Callable[[Any, Any, Any], tuple[Array, Penalty]]:
    """loss + weight · penalty, the penalty at every E-th step: for `jax.grad(…, has_aux=True)`.

    Args:
      loss: `loss(params, batch)`.
      exponents_of: `exponents_of(params, batch)`, of one trajectory.
      penalty: a loss of `rrjax.flossing.differentiable`, its target bound by `functools.partial`.
      weight: ≥ 0.
      every: E; between measured steps the gradient is that of `loss`.

    Where no direction of a measured step is resolved, the penalty and with it the value is NaN:
    `rrjax.training.flossing.move` with a `guarded` optimizer skips such a step and counts it.

    Returns:
      `f(params, batch, step) -> (value, Penalty)`, with the step counted from 0.

    Raises:
      ValueError: for a negative weight or E < 1.
    """
    _check_every(every)
    if not weight >= 0:
        raise ValueError(f"weight must not be negative; got {weight}")

    def measure(params: Any, batch: Any) -> tuple[Array, Array]:
        found = exponents_of(params, batch)
        return penalty(found), found.values

    def total(params: Any, batch: Any, step: Any) -> tuple[Array, Penalty]:
        value = loss(params, batch)
        due = step % every == 0
        extra, values = _measured(due, measure, params, batch)
        seen = jnp.where(due, extra, jnp.nan)
        return value + weight * extra, Penalty(value, seen, values)

    return total


class LogState(NamedTuple):
    """The exponents last measured, and the steps counted."""

    step: Int[Array, ""]
    exponents: Float[Array, " k"]


def log_exponents(
    exponents_of: ExponentsOf, num_exponents: int, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    """Changes no update; its state holds the exponents of the last measured step.

    Use: `optimizer.update(gradient, state, params, batch=batch)`.

    Args:
      exponents_of: `exponents_of(params, batch)`, of one trajectory.
      num_exponents: k of what it returns.
      every: E.

    Raises:
      ValueError: for E < 1; from `update`, without params.
    """
    _check_every(every)

    def init(params: Any) -> LogState:
        del params
        return LogState(jnp.zeros([], jnp.int32), jnp.full(num_exponents, jnp.nan))

    def update(updates: Any, state: Any, params: Any = None, *, batch: Any = None, **extra: Any):
        del extra
        _check_params(params)
        values = jax.lax.cond(
            state.step % every == 0,
            lambda: exponents_of(params, batch).values.astype(state.exponents.dtype),
            lambda: state.exponents,
        )
        return updates, LogState(state.step + 1, values)

    return optax.GradientTransformationExtraArgs(init, update)


class ClipState(NamedTuple):
    """λ₁ where it was last measured, how often an update was clipped, the steps counted."""

    step: Int[Array, ""]
    exponent: Float[Array, ""]
    num_clipped: Int[Array, ""]


def clip_exponent(
    exponents_of: ExponentsOf, limit: float, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    r"""Keep updates from raising λ₁ above a limit, to first order; last in an `optax.chain`.

    With g = ∇λ₁, an update u is replaced by the nearest one with λ₁ + g·u ≤ limit:

        u − relu(λ₁ + g·u − limit) g / ‖g‖².

    Where λ₁ is not resolved or its gradient is zero or not finite, updates stay as they are.

    Use: `optimizer.update(gradient, state, params, batch=batch)`.

    Raises:
      ValueError: for a limit that is not finite or E < 1; from `update`, without params.
    """
    _check_every(every)
    if not -float("inf") < limit < float("inf"):
        raise ValueError(f"limit must be finite, in nats per update; got {limit}")

    def init(params: Any) -> ClipState:
        del params
        zero = jnp.zeros([], jnp.int32)
        return ClipState(zero, jnp.asarray(jnp.nan), zero)

    def first(params: Any, batch: Any) -> Array:
        return exponents_of(params, batch).values[0]

    def clip(updates: Any, params: Any, batch: Any, kept: Array) -> tuple[Any, Array, Array]:
        exponent, slope = jax.value_and_grad(first)(params, batch)
        square = jnp.asarray(optax.tree.vdot(slope, slope))
        excess = exponent + jnp.asarray(optax.tree.vdot(slope, updates)) - limit
        active = (excess > 0) & (square > 0) & jnp.isfinite(square)
        factor = jnp.where(active, excess / jnp.where(active, square, 1), 0)
        moved = jax.tree.map(
            lambda u, g: jnp.where(active, u - factor * g, u).astype(u.dtype), updates, slope
        )
        return moved, exponent.astype(kept.dtype), active

    def update(updates: Any, state: Any, params: Any = None, *, batch: Any = None, **extra: Any):
        del extra
        _check_params(params)
        moved, exponent, active = jax.lax.cond(
            state.step % every == 0,
            lambda: clip(updates, params, batch, state.exponent),
            lambda: (updates, state.exponent, jnp.asarray(False)),
        )
        return moved, ClipState(state.step + 1, exponent, state.num_clipped + active)

    return optax.GradientTransformationExtraArgs(init, update)


def _measured(due: Any, measure: Callable, params: Any, batch: Any) -> tuple[Array, Array]:
    """What `measure` returns where it is due, else 0 and NaN."""
    shapes = jax.eval_shape(measure, params, batch)

    def nothing(params: Any, batch: Any) -> tuple[Array, Array]:
        del params, batch
        return jnp.zeros(shapes[0].shape, shapes[0].dtype), jnp.full(
            shapes[1].shape, jnp.nan, shapes[1].dtype
        )

    return jax.lax.cond(due, measure, nothing, params, batch)


def _check_every(every: int) -> None:
    if every < 1:
        raise ValueError(f"every must be at least 1 step; got {every}")


def _check_params(params: Any) -> None:
    if params is None:
        raise ValueError("update needs params: optimizer.update(gradient, state, params, …)")
