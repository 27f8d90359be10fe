"""Perturbed starts: Gaussian noise on an initial state, on all of it or on some fields."""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.contract import State, check_key, named_fields


def perturb(
    key: jax.Array, state: State, scale: Any, fields: Collection[str] | None = None
) -> State:
    """Returns z + scale · N(0, 1), independent in every component.

    Every field has its own draws, which depend only on `key` and on the field's place in the state.
    They do not depend on `scale`, on which fields are perturbed, or on the dtype: they are made in
    float32, so that a float64 run checks a float32 one from the same start.

    Args:
      key: Draws the noise.
      state: z of one puzzle, each field in full shape (tokens, width): the noise differs from token
        to token even where z does not.
      scale: a number ≥ 0, which may be traced; its unit is that of z (see `start_scale`).
      fields: The names of the fields that are perturbed (`rrjax.contract.named_fields`); None: all.

    Returns:
      A state of the same structure, shapes and dtypes. It equals z to the bit where `scale` is 0 or
      a field is not named.

    Example:
      >>> start = {"z_H": jnp.zeros((2, 3)), "z_L": jnp.zeros((2, 3))}
      >>> moved = rrjax.perturb(jax.random.key(0), start, 0.1, fields=["z_L"])
      >>> bool((moved["z_H"] == 0).all()), bool((moved["z_L"] != 0).all())
      (True, True)
    """
    check_key(key)
    if fields is not None:
        check_fields(fields, state)
    leaves = named_fields(state)
    keys = jax.random.split(key, len(leaves))
    noisy = [
        _perturb(leaf_key, leaf, scale) if fields is None or name in fields else leaf
        for leaf_key, (name, leaf) in zip(keys, leaves.items(), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), noisy)


def random_start(key: jax.Array, state: State, fields: Collection[str] | None = None) -> State:
    """Returns a state of truncated normal numbers, independent in every component.

    They lie within two standard deviations of the normal law and are scaled to the standard
    deviation 1, as EqR draws its starts.

    Args:
      key: Draws the numbers.
      state: Gives structure, shapes and dtypes.
      fields: The names of the fields that are drawn; None: all. The others stay as they are.

    References:
      arXiv 2605.21488.
    """
    check_key(key)
    if fields is not None:
        check_fields(fields, state)
    leaves = named_fields(state)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        _draw(leaf_key, leaf) if fields is None or name in fields else leaf
        for leaf_key, (name, leaf) in zip(keys, leaves.items(), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), drawn)


def _draw(key: jax.Array, leaf: Array) -> Array:
    numbers = jax.random.truncated_normal(key, -2, 2, leaf.shape) / _TRUNCATED_STD
    return numbers.astype(leaf.dtype)


_TRUNCATED_STD = 0.8796256610342398
"""Standard deviation of a normal number that is drawn again outside of two standard deviations:
√(1 − 4 φ(2)/(2 Φ(2) − 1))."""


def start_scale(initial: State) -> Float[Array, ""]:
    """Returns std(H_init), the unit of a relative noise σ of initial states.

    Every token of an initial state holds the same vector. That of the first field is H_init where
    a cell has one, and its spread is used for all fields. A cell with a single field has its own.

    Args:
      initial: An initial state as `rrjax.cells.bind` makes it.

    Returns:
      The standard deviation over the vector's components (n − 1 in the denominator); NaN for a
      width of 1.

    Source: the basin experiments on TRM and HRM, z0 + σ · std(H_init) · N(0, 1) on both states.
    """
    vector = jax.tree.leaves(initial)[0][0]
    return jnp.std(vector.astype(jnp.promote_types(vector.dtype, jnp.float32)), ddof=1)


def check_fields(fields: Collection[str], state: State, name: str = "fields") -> None:
    """Refuses names that are no fields of a state; `name` is what the caller calls them."""
    known = named_fields(state)
    if isinstance(fields, str) or not fields or not set(fields) <= set(known):
        raise ValueError(
            f"{name} must be a list of the state's fields ({', '.join(known)}), got {fields!r}"
        )


def _perturb(key: jax.Array, leaf: Array, scale: Any) -> Array:
    noise = jax.random.normal(key, leaf.shape, jnp.float32)
    wide = jnp.promote_types(leaf.dtype, jnp.float32)
    noisy = (leaf.astype(wide) + jnp.asarray(scale, wide) * noise.astype(wide)).astype(leaf.dtype)
    return jnp.where(jnp.asarray(scale) == 0, leaf, noisy)  # −0 + 0 is 0
