"""Random sketches of states."""

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.dynamics.sketch import NUM_NUMBERS, sketch, sketch_matrix


def test_distances_are_right_on_average_and_within_nine_percent():
    matrix = sketch_matrix(jax.random.key(0), 200)
    assert set(np.unique(matrix)) == {-1, 1}
    states = np.random.default_rng(0).normal(size=(400, 20, 10)).astype(np.float32)
    sketches = jax.vmap(lambda state: sketch(matrix, state))(states)
    true = np.linalg.norm((states[1:] - states[:-1]).reshape(399, -1), axis=1)
    ratio = np.linalg.norm(np.diff(sketches, axis=0), axis=1) / np.sqrt(NUM_NUMBERS) / true
    assert abs((ratio**2).mean() - 1) < 0.03
    assert 0.07 < ratio.std() < 0.11


def test_narrow_states_are_sketched_in_float32():
    matrix = sketch_matrix(jax.random.key(0), 30)
    made = sketch(matrix, jnp.ones((5, 6), jnp.float16) / 3)
    assert made.dtype == jnp.float32
    np.testing.assert_allclose(made, matrix.sum(1) * np.float16(1 / 3), rtol=1e-6)
