"""Flossing as pieces of any optax loop: when, on which parameters, and what if a step fails."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from rrjax.checks import check_count

Params = Any


@dataclass(frozen=True)
class FlossingSchedule:
    """How many flossing steps run before each training step.

    Attributes:
      pre: flossing steps before the first training step (preflossing); 0: none.
      every: training steps between two episodes of interflossing; None: never.
      episode: flossing steps of each of those.
      at_most: how many of those there are in all; None: as many as come.
    """

    pre: int = 0
    every: int | None = None
    episode: int = 0
    at_most: int | None = None

    def __post_init__(self):
        if self.every is not None:
            check_count("every", self.every, least=1)
        for name in ("pre", "episode", "at_most"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))

    def steps_before(self, step: int) -> int:
        """Flossing steps due before the training step `step`, counted from 0.

        Raises:
          ValueError: for a negative step.
        """
        if step < 0:
            raise ValueError(f"step must be counted from 0; got {step}")
        if step == 0:
            return self.pre
        if self.every is None or step % self.every:
            return 0
        number = step // self.every
        return self.episode if self.at_most is None or number <= self.at_most else 0


def names(params: Params) -> list[str]:
    """The name of every leaf, in order: the keys on the way to it, joined by dots."""
    paths = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]


def chosen(params: Params, patterns: Sequence[str]) -> Params:
    """Which leaves some pattern names, as a tree of booleans.

    Args:
      params: nested parameters.
      patterns: with `*` for any part of a name, e.g. `L_level.*`.

    Raises:
      ValueError: for no patterns, or one that matches no parameter.
    """
    found = names(params)
    if isinstance(patterns, str) or not patterns:
        raise ValueError(f"patterns must be a sequence of names, not empty; got {patterns!r}")
    for pattern in patterns:
        if not fnmatch.filter(found, pattern):
            raise ValueError(
                f"pattern {pattern!r} matches no parameter; there are {', '.join(found)}"
            )
    flags = [any(fnmatch.fnmatchcase(name, p) for p in patterns) for name in found]
    return jax.tree.unflatten(jax.tree.structure(params), flags)


def only(optimizer: optax.GradientTransformation, mask: Params) -> optax.GradientTransformation:
    """The optimizer on the leaves where `mask` is true (from `chosen`); the others stay as is."""
    labels = jax.tree.map(lambda flag: "moved" if flag else "kept", mask)
    return optax.partition({"moved": optimizer, "kept": optax.set_to_zero()}, labels)


def guarded(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer, which skips and counts steps of non-finite gradients: see `check_steps`."""
    return optax.apply_if_finite(optimizer, max_consecutive_errors=2**31 - 1)


def num_skipped(state: optax.OptState) -> tuple[Array, Array]:
    """Skipped steps of a guarded optimizer: the last ones in a row, and all there were.

    Raises:
      TypeError: if the state is not a guarded optimizer's.
    """
    if not isinstance(state, optax.ApplyIfFiniteState):
        raise TypeError(
            f"state must be that of an optimizer made by guarded(); got {type(state).__name__}"
        )
    return state.notfinite_count, state.total_notfinite


def check_steps(state: optax.OptState, limit: int) -> None:
    """Stop a run whose last `limit` steps were all skipped.

    Args:
      state: of an optimizer from `guarded`, outside of traced code.
      limit: at least 1.

    Raises:
      FloatingPointError: if they were.
      ValueError: for another limit.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1 skipped step; got {limit}")
    in_a_row, total = num_skipped(state)
    if in_a_row >= limit:
        raise FloatingPointError(
            f"the last {in_a_row} flossing steps had a loss or a gradient that is not finite "
            f"({total} in all) and were skipped: try a shorter window, fewer exponents, float64 or "
            "a smaller learning rate"
        )


def flossing_step(
    loss: Callable[..., Array],
    optimizer: optax.GradientTransformation,
    params: Params,
    state: optax.OptState,
    *arguments: Any,
) -> tuple[Params, optax.OptState, Array]:
    """One step on `loss(params, *arguments)`: parameters, optimizer state and loss.

    A loss that is not finite (no direction resolved) makes the gradient NaN, which a guarded
    optimizer skips: it would be 0 else.
    """
    value, gradient = jax.value_and_grad(loss)(params, *arguments)
    params, state = move(optimizer, params, state, value, gradient)
    return params, state, value


def move(
    optimizer: optax.GradientTransformation,
    params: Params,
    state: optax.OptState,
    value: Array,
    gradient: Params,
) -> tuple[Params, optax.OptState]:
    """The rest of `flossing_step`, of a loss and its gradient: parameters, optimizer state."""
    gradient = jax.tree.map(lambda g: jnp.where(jnp.isfinite(value), g, jnp.nan), gradient)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state
