"""Random keys of one generator, whatever JAX's settings say: results may not mix generators."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

fixed_generator = partial(jax.threefry_partitionable, True)
"""The context in which every key is used. `JAX_THREEFRY_PARTITIONABLE` would change what threefry
draws, in programs that are traced under it."""


def make_key(seed: ArrayLike) -> jax.Array:
    """Returns threefry's key of a seed, which is an integer from 0 to 2³² − 1 and may be traced.

    It is `jax.random.key(seed, impl="threefry2x32")` without `JAX_RANDOM_SEED_OFFSET`.
    """
    words = jnp.stack([jnp.zeros((), jnp.uint32), jnp.asarray(seed, jnp.uint32)])
    return jax.random.wrap_key_data(words, impl="threefry2x32")
