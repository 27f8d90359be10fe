"""Pieces of an optimizer for flossing: which parameters move, and what if a step is not finite."""

import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import named_fields

Params = Any


def matching(params: Params, patterns: Sequence[str]) -> Params:
    """Returns a tree of booleans that says which leaves some pattern names.

    Args:
      params: Nested parameters; a leaf's name is the path to it, its parts joined by dots.
      patterns: Names in which `*` stands for any part, e.g. `L_level.*`.

    Raises:
      ValueError: For no patterns, or one that matches no parameter.

    Example:
      >>> rrjax.flossing.matching({"L_level": {"w": 1.0}, "head": 2.0}, ["L_level.*"])
      {'L_level': {'w': True}, 'head': False}
    """
    names = list(named_fields(params))
    if isinstance(patterns, str) or not patterns:
        raise ValueError(f"patterns must be a sequence of names, not empty; got {patterns!r}")
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ValueError(
                f"pattern {pattern!r} matches no parameter; there are {', '.join(names)}"
            )
    flags = [any(fnmatch.fnmatchcase(name, p) for p in patterns) for name in names]
    return jax.tree.unflatten(jax.tree.structure(params), flags)


def masked(optimizer: optax.GradientTransformation, mask: Params) -> optax.GradientTransformation:
    """Returns the optimizer for the leaves where `mask` is true; the others do not change.

    Example:
      >>> params = {"w": jnp.ones(1), "b": jnp.ones(1)}
      >>> optimizer = rrjax.flossing.masked(optax.sgd(0.5), {"w": True, "b": False})
      >>> optimizer.update(params, optimizer.init(params))[0]
      {'b': Array([0.], dtype=float32), 'w': Array([-0.5], dtype=float32)}
    """
    labels = jax.tree.map(lambda flag: "moved" if flag else "kept", mask)
    return optax.partition({"moved": optimizer, "kept": optax.set_to_zero()}, labels)


def skip_nonfinite(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Returns the optimizer, which skips and counts gradients that are not finite.

    `check_steps` stops a run that skips too many.

    Example:
      >>> optimizer = rrjax.flossing.skip_nonfinite(optax.sgd(0.5))
      >>> params = jnp.ones(1)
      >>> updates, state = optimizer.update(jnp.full(1, jnp.nan), optimizer.init(params))
      >>> updates
      Array([0.], dtype=float32, weak_type=True)
    """
    return optax.apply_if_finite(optimizer, max_consecutive_errors=2**31 - 1)


def num_skipped(state: optax.OptState) -> tuple[Any, Any]:
    """Returns the skipped steps of a `skip_nonfinite` optimizer: the last in a row, and all.

    Raises:
      TypeError: If the state is not that of such an optimizer.

    Example:
      >>> optimizer = rrjax.flossing.skip_nonfinite(optax.sgd(0.5))
      >>> params = jnp.ones(1)
      >>> updates, state = optimizer.update(jnp.full(1, jnp.nan), optimizer.init(params))
      >>> [int(number) for number in rrjax.flossing.num_skipped(state)]
      [1, 1]
    """
    if not isinstance(state, optax.ApplyIfFiniteState):
        raise TypeError(
            "state must be that of an optimizer made by skip_nonfinite(); got "
            f"{type(state).__name__}"
        )
    return state.notfinite_count, state.total_notfinite


def check_steps(state: optax.OptState, limit: int) -> None:
    """Stops a run whose last `limit` steps were all skipped.

    Args:
      state: Of an optimizer from `skip_nonfinite`, outside of traced code.
      limit: At least 1.

    Raises:
      FloatingPointError: If they were.
      ValueError: For another limit.

    Example:
      >>> optimizer = rrjax.flossing.skip_nonfinite(optax.sgd(0.5))
      >>> params = jnp.ones(1)
      >>> updates, state = optimizer.update(jnp.full(1, jnp.nan), optimizer.init(params))
      >>> rrjax.flossing.check_steps(state, limit=2)  # one step in a row was skipped
    """
    check_count("limit", limit, least=1)
    in_a_row, total = num_skipped(state)
    if in_a_row >= limit:
        raise FloatingPointError(
            f"the last {in_a_row} flossing steps had a loss or a gradient that is not finite "
            f"({total} in all) and were skipped: try fewer segments, fewer exponents, float64 or a "
            "smaller learning rate"
        )


def flossing_step(
    loss: Callable[..., Array],
    optimizer: optax.GradientTransformation,
    params: Params,
    state: optax.OptState,
    *arguments: Any,
) -> tuple[Params, optax.OptState, Array]:
    """Takes one step on `loss(params, *arguments)`; returns parameters, optimizer state and loss.

    A loss that is not finite (no direction is resolved) has a gradient of 0. It is made NaN, so
    that an optimizer from `skip_nonfinite` skips the step and counts it.

    Example:
      >>> optimizer = rrjax.flossing.skip_nonfinite(optax.sgd(0.25))
      >>> params = jnp.array(2.0)
      >>> params, state, loss = rrjax.flossing.flossing_step(
      ...     jnp.square, optimizer, params, optimizer.init(params)
      ... )
      >>> float(params), float(loss)
      (1.0, 4.0)
    """
    value, gradient = jax.value_and_grad(loss)(params, *arguments)
    params, state = apply_gradient(optimizer, params, state, value, gradient)
    return params, state, value


def apply_gradient(
    optimizer: optax.GradientTransformation,
    params: Params,
    state: optax.OptState,
    value: Array,
    gradient: Params,
) -> tuple[Params, optax.OptState]:
    """Returns parameters and optimizer state after a step; a loss not finite makes it NaN."""
    gradient = jax.tree.map(lambda g: jnp.where(jnp.isfinite(value), g, jnp.nan), gradient)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state
