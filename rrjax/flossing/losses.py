"""Losses on exponents, and on the answers that flossing should leave alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from rrjax.flossing.differentiable import Exponents

Loss = Callable[[Exponents], Array]
"""A loss on the exponents of one trajectory. `functools.partial` binds the target and so on."""


def two_sided(exponents: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """Returns mean_i (λᵢ − λ*)² over the resolved directions; NaN where none is resolved.

    Args:
      exponents: Of one trajectory, from `rrjax.flossing.exponents`.
      target: λ*, nats per update: a number, or (k,).

    Raises:
      ValueError: For a target that is not finite or has another shape.

    References:
      Engelken 2023, "Gradient flossing".

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> values = rrjax.flossing.exponents(linear, 2, 4, frame=jnp.eye(2))
      >>> round(float(rrjax.flossing.two_sided(values)), 4)
      0.4805
    """
    return _mean_square(exponents.resolved, _excess(exponents.values, exponents.resolved, target))


def one_sided(exponents: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """Returns mean_i relu(λᵢ − λ*)² over the resolved directions; otherwise as `two_sided`.

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> values = rrjax.flossing.exponents(linear, 2, 4, frame=jnp.eye(2))
      >>> round(float(rrjax.flossing.one_sided(values)), 4)
      0.2402
    """
    excess = jax.nn.relu(_excess(exponents.values, exponents.resolved, target))
    return _mean_square(exponents.resolved, excess)


def one_sided_leading(exponents: Exponents, target: float = 0.0) -> Float[Array, ""]:
    """Returns relu(λ₁ − λ*)², of the first exponent alone; otherwise as `two_sided`.

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> values = rrjax.flossing.exponents(linear, 2, 4, frame=jnp.eye(2))
      >>> round(float(rrjax.flossing.one_sided_leading(values)), 4)
      0.4805
    """
    values, resolved = exponents.values[:1], exponents.resolved[:1]
    (first,) = _excess(values, resolved, target)
    return jnp.where(resolved[0], jnp.square(jax.nn.relu(first)), jnp.nan)


def one_sided_volume(exponents: Exponents, target: float | Array = 0.0) -> Float[Array, ""]:
    """Returns relu(Σᵢ λᵢ − k λ*)², for the volume of the k resolved directions.

    Otherwise it is as `two_sided`.

    Example:
      >>> linear = rrjax.Dynamics.from_map(lambda z: jnp.array([2.0, 0.5]) * z, jnp.ones(2))
      >>> values = rrjax.flossing.exponents(linear, 2, 4, frame=jnp.eye(2))
      >>> round(float(rrjax.flossing.one_sided_volume(values)), 4)
      0.0
    """
    volume = jax.nn.relu(_excess(exponents.values, exponents.resolved, target).sum())
    return jnp.where(exponents.resolved.any(), jnp.square(volume), jnp.nan)


def _excess(values: Array, resolved: Array, target: float | Array) -> Float[Array, " k"]:
    """Returns λᵢ − λ* for the resolved directions and 0 for the others."""
    if not isinstance(target, Tracer) and not np.isfinite(target).all():
        raise ValueError(f"target must be finite, in nats per update; got {target}")
    if jnp.shape(target) not in ((), values.shape):
        raise ValueError(
            f"target must be a number or one for each of the {values.shape[0]} exponents; got "
            f"shape {jnp.shape(target)}"
        )
    return jnp.where(resolved, values - target, 0)


def _mean_square(resolved: Array, excess: Array) -> Float[Array, ""]:
    return jnp.sum(jnp.square(excess)) / resolved.sum()


def answer_kl(
    old_logits: Float[Array, "seq vocab"], new_logits: Float[Array, "seq vocab"]
) -> Float[Array, ""]:
    """Returns KL(old ‖ new) of the answers, the mean over the tokens, in nats.

    No gradient passes through the old answers.

    Example:
      >>> logits = jnp.array([[0.0, 1.0]])
      >>> round(float(rrjax.flossing.answer_kl(logits, -logits)), 4)
      0.4621
    """
    old, new = (jax.nn.log_softmax(x, axis=-1) for x in (old_logits, new_logits))
    old = jax.lax.stop_gradient(old)
    return jnp.mean(jnp.sum(jnp.exp(old) * (old - new), axis=-1))


def mean_over(
    losses: Float[Array, " batch"], weights: Bool[Array, " batch"] | Float[Array, " batch"]
) -> Float[Array, ""]:
    """Returns the weighted mean of a batch's losses, e.g. with `~solved`; 0 if all weights are 0.

    The loss of a puzzle with weight 0 may be NaN.

    Example:
      >>> losses, solved = jnp.array([0.2, 0.4, jnp.nan]), jnp.array([False, False, True])
      >>> round(float(rrjax.flossing.mean_over(losses, ~solved)), 3)
      0.3
    """
    weights = jnp.asarray(weights, losses.dtype)
    total = jnp.sum(jnp.where(weights != 0, losses * weights, 0))
    return total / jnp.where(weights.any(), weights.sum(), 1)
