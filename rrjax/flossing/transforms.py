"""Lyapunov exponents in ordinary training, for users of optax: penalise, log or clip them.

Each takes a function `measure(params, batch) -> Exponents` of the user's, made with
`rrjax.flossing.exponents`, and calls it at every E-th step alone. Over E steps logging costs one
spectrum, and penalising its gradient besides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from rrjax.checks import check_count, check_number
from rrjax.flossing.differentiable import Exponents
from rrjax.flossing.losses import Loss, two_sided

Measure = Callable[[Any, Any], Exponents]
"""`measure(params, batch)` returns the exponents of one trajectory."""


class Penalty(NamedTuple):
    """The parts of a penalised loss.

    Attributes:
      loss: Without the penalty.
      penalty: Before its weight; NaN where it was not measured.
      exponents: (k,) nats per update; NaN where not resolved or not measured.
    """

    loss: Float[Array, ""]
    penalty: Float[Array, ""]
    exponents: Float[Array, " k"]


def penalized_loss(
    loss: Callable[[Any, Any], Array],
    measure: Measure,
    penalty: Loss = two_sided,
    *,
    weight: float,
    every: int = 1,
) -> Callable[[Any, Any, Any], tuple[Array, Penalty]]:
    """Returns the loss plus weight · penalty at every E-th step, for `jax.grad(…, has_aux=True)`.

    Where no direction of a measured step is resolved, the penalty and with it the value is NaN.
    `rrjax.flossing.steps.apply_gradient` with a `skip_nonfinite` optimizer skips such a step and
    counts it.

    Args:
      loss: `loss(params, batch)`.
      measure: `measure(params, batch)` returns the exponents of one trajectory.
      penalty: a loss of `rrjax.flossing`, with its target bound by `functools.partial`.
      weight: ≥ 0.
      every: E; between measured steps the gradient is that of `loss`.

    Returns:
      `f(params, batch, step) -> (value, Penalty)`, with the step counted from 0.

    Raises:
      ValueError: For a negative weight or E < 1.

    Example:
      >>> def measure(scale, batch):
      ...     linear = rrjax.Dynamics.from_updates(
      ...         jnp.ones(1), lambda c, z, d: c * z, lambda c, z: z, scale
      ...     )
      ...     return rrjax.flossing.exponents(linear, 1, 4, frame=jnp.eye(1))
      ...
      >>> loss = rrjax.flossing.penalized_loss(lambda scale, batch: scale**2, measure, weight=1.0)
      >>> value, parts = loss(jnp.array(2.0), None, step=0)
      >>> round(float(value), 3), round(float(parts.penalty), 3)  # 2² + (ln 2)²
      (4.48, 0.48)
    """
    check_count("every", every, least=1)
    check_number("weight", weight, least=0)

    def penalty_of(params: Any, batch: Any) -> tuple[Array, Array]:
        exponents = measure(params, batch)
        return penalty(exponents), exponents.values

    def total(params: Any, batch: Any, step: Any) -> tuple[Array, Penalty]:
        shapes = jax.eval_shape(penalty_of, params, batch)

        def nothing(params: Any, batch: Any) -> tuple[Array, Array]:
            return jnp.zeros_like(shapes[0]), jnp.full_like(shapes[1], jnp.nan)

        value, due = loss(params, batch), step % every == 0
        extra, values = jax.lax.cond(due, penalty_of, nothing, params, batch)
        shown = jnp.where(due, extra, jnp.nan)
        return value + weight * extra, Penalty(value, shown, values)

    return total


class PenalizedState(NamedTuple):
    """The steps counted, the penalty last measured (before its weight), the optimizer's state."""

    step: Int[Array, ""]
    penalty: Float[Array, ""]
    optimizer: optax.OptState


def penalized(
    optimizer: optax.GradientTransformation,
    measure: Measure,
    penalty: Loss = two_sided,
    *,
    weight: float,
    every: int = 1,
) -> optax.GradientTransformationExtraArgs:
    """Returns the optimizer, which adds the gradient of weight · penalty at every E-th step.

    Up to round-off it takes the steps of `penalized_loss`. Where the penalty or its gradient is not
    finite (no direction is resolved), the step is that of the optimizer alone.

    Use: `optimizer.update(gradient, state, params, batch=batch)`.

    Args:
      optimizer: Takes the sum of both gradients.
      measure, penalty, weight, every: As in `penalized_loss`.

    Raises:
      ValueError: For a negative weight or E < 1; from `update`, without params.

    Example:
      >>> def measure(scale, batch):
      ...     linear = rrjax.Dynamics.from_updates(
      ...         jnp.ones(1), lambda c, z, d: c * z, lambda c, z: z, scale
      ...     )
      ...     return rrjax.flossing.exponents(linear, 1, 4, frame=jnp.eye(1))
      ...
      >>> optimizer = rrjax.flossing.penalized(optax.sgd(0.1), measure, weight=1.0)
      >>> scale = jnp.array(2.0)
      >>> step, state = optimizer.update(jnp.array(0.0), optimizer.init(scale), scale, batch=None)
      >>> round(float(step), 3)  # −0.1 · 2 ln 2 / 2
      -0.069
    """
    check_count("every", every, least=1)
    check_number("weight", weight, least=0)
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> PenalizedState:
        return PenalizedState(jnp.zeros([], jnp.int32), jnp.asarray(jnp.nan), inner.init(params))

    def add(updates: Any, params: Any, batch: Any, kept: Array) -> tuple[Any, Array]:
        value, slope = jax.value_and_grad(lambda p: penalty(measure(p, batch)))(params)
        finite = jnp.isfinite(value) & jnp.isfinite(jnp.asarray(optax.tree.norm(slope)))
        total = jax.tree.map(
            lambda u, g: jnp.where(finite, u + weight * g, u).astype(u.dtype), updates, slope
        )
        return total, value.astype(kept.dtype)

    def update(updates: Any, state: Any, params: Any = None, *, batch: Any = None, **extra: Any):
        _check_params(params)
        updates, value = jax.lax.cond(
            state.step % every == 0,
            lambda: add(updates, params, batch, state.penalty),
            lambda: (updates, state.penalty),
        )
        updates, after = inner.update(updates, state.optimizer, params, batch=batch, **extra)
        return updates, PenalizedState(state.step + 1, value, after)

    return optax.GradientTransformationExtraArgs(init, update)


class LogState(NamedTuple):
    """The steps counted, and the exponents last measured."""

    step: Int[Array, ""]
    exponents: Float[Array, " k"]


def log_exponents(
    measure: Measure, num_exponents: int, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    """Returns a transformation that changes nothing; its state holds the last measured exponents.

    Use: `optimizer.update(gradient, state, params, batch=batch)`.

    Args:
      measure, every: As in `penalized_loss`.
      num_exponents: k, the number of exponents that `measure` returns.

    Raises:
      ValueError: For E < 1; from `update`, without params.

    Example:
      >>> def measure(scale, batch):
      ...     linear = rrjax.Dynamics.from_updates(
      ...         jnp.ones(1), lambda c, z, d: c * z, lambda c, z: z, scale
      ...     )
      ...     return rrjax.flossing.exponents(linear, 1, 4, frame=jnp.eye(1))
      ...
      >>> log = rrjax.flossing.log_exponents(measure, 1)
      >>> scale = jnp.array(2.0)
      >>> _, state = log.update(jnp.array(0.0), log.init(scale), scale, batch=None)
      >>> state.exponents.round(3)
      Array([0.693], dtype=float32)
    """
    check_count("every", every, least=1)

    def init(params: Any) -> LogState:
        return LogState(jnp.zeros([], jnp.int32), jnp.full(num_exponents, jnp.nan))

    def update(updates: Any, state: Any, params: Any = None, *, batch: Any = None, **extra: Any):
        _check_params(params)
        values = jax.lax.cond(
            state.step % every == 0,
            lambda: measure(params, batch).values.astype(state.exponents.dtype),
            lambda: state.exponents,
        )
        return updates, LogState(state.step + 1, values)

    return optax.GradientTransformationExtraArgs(init, update)


class ClipState(NamedTuple):
    """The steps counted, λ₁ where it was last measured, and how often an update was clipped."""

    step: Int[Array, ""]
    exponent: Float[Array, ""]
    num_clipped: Int[Array, ""]


def clip_exponent(
    measure: Measure, limit: float, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    r"""Returns a transformation that keeps updates from raising λ₁ above a limit, to first order.

    It comes last in an `optax.chain`. With g = ∇λ₁, an update u is replaced by the nearest one with
    λ₁ + g·u ≤ limit:

        u − relu(λ₁ + g·u − limit) g / ‖g‖².

    Where λ₁ is not resolved or its gradient is zero or not finite, updates stay as they are.

    Use: `optimizer.update(gradient, state, params, batch=batch)`.

    Raises:
      ValueError: For a limit that is not finite or E < 1; from `update`, without params.

    Example:
      >>> def measure(scale, batch):
      ...     linear = rrjax.Dynamics.from_updates(
      ...         jnp.ones(1), lambda c, z, d: c * z, lambda c, z: z, scale
      ...     )
      ...     return rrjax.flossing.exponents(linear, 1, 4, frame=jnp.eye(1))
      ...
      >>> clip = rrjax.flossing.clip_exponent(measure, limit=0.7)
      >>> scale = jnp.array(2.0)
      >>> step, state = clip.update(jnp.array(1.0), clip.init(scale), scale, batch=None)
      >>> round(float(step), 3)  # λ₁ = ln 2 may rise by 0.007 only
      0.014
    """
    check_count("every", every, least=1)
    check_number("limit", limit)

    def init(params: Any) -> ClipState:
        zero = jnp.zeros([], jnp.int32)
        return ClipState(zero, jnp.asarray(jnp.nan), zero)

    def first(params: Any, batch: Any) -> Array:
        return measure(params, batch).values[0]

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
        _check_params(params)
        moved, exponent, active = jax.lax.cond(
            state.step % every == 0,
            lambda: clip(updates, params, batch, state.exponent),
            lambda: (updates, state.exponent, jnp.asarray(False)),
        )
        return moved, ClipState(state.step + 1, exponent, state.num_clipped + active)

    return optax.GradientTransformationExtraArgs(init, update)


def _check_params(params: Any) -> None:
    if params is None:
        raise ValueError("update needs params: optimizer.update(gradient, state, params, …)")
