"""Random sketches of states."""

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.contract import Dynamics
from rrjax.dynamics.sketch import NUM_NUMBERS, sketch, sketch_matrix

START = {"fast": jnp.zeros((20, 10)), "slow": jnp.zeros(30, jnp.float16)}
DYNAMICS = Dynamics.from_map(lambda state: state, START)


def test_distances_are_right_on_average_and_within_nine_percent():
    matrix = sketch_matrix(DYNAMICS, "fast")
    states = np.random.default_rng(0).normal(size=(400, 20, 10)).astype(np.float32)
    sketches = jax.vmap(lambda state: sketch(matrix, state))(states)
    true = np.linalg.norm((states[1:] - states[:-1]).reshape(399, -1), axis=1)
    ratio = np.linalg.norm(np.diff(sketches, axis=0), axis=1) / np.sqrt(NUM_NUMBERS) / true
    assert abs((ratio**2).mean() - 1) < 0.03
    assert 0.07 < ratio.std() < 0.11


def test_the_matrix_depends_on_the_size_alone():
    with jax.threefry_partitionable(False):
        other = sketch_matrix(Dynamics.from_map(lambda z: z, jnp.ones(200)), "state")
    np.testing.assert_array_equal(other, sketch_matrix(DYNAMICS, "fast"))
    assert set(np.unique(other)) == {-1, 1}
    short = sketch_matrix(DYNAMICS, "slow")
    assert (short.shape, short.dtype) == ((NUM_NUMBERS, 30), jnp.float32)
    assert sketch(short, START["slow"]).dtype == jnp.float32
