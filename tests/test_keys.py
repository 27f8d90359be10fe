"""Keys, and what is drawn from them, whatever JAX's settings say."""

import jax
import numpy as np
import pytest

from rrjax.keys import fixed_generator, make_key


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_the_key_of_a_seed_is_threefrys(seed):
    expected = jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))
    for make in (make_key, jax.jit(make_key)):
        np.testing.assert_array_equal(jax.random.key_data(make(np.uint32(seed))), expected)
    np.testing.assert_array_equal(jax.random.key_data(make_key(seed)), expected)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jax_default_prng_impl", "rbg"),
        ("jax_threefry_partitionable", False),
        ("jax_random_seed_offset", 7),
    ],
)
def test_settings_change_nothing_that_is_drawn(setting, value):
    def draw(seed: int) -> np.ndarray:
        with fixed_generator():
            return np.asarray(jax.jit(lambda key: jax.random.normal(key, (5,)))(make_key(seed)))

    expected, before = draw(3), getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        drawn, other = draw(3), jax.random.normal(jax.random.key(3), (5,))
    finally:
        jax.config.update(setting, before)
    np.testing.assert_array_equal(drawn, expected)
    assert not np.array_equal(other, expected)  # the setting is one that matters
