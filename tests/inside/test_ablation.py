"""Ablations of sub-layers: a planted circuit that copies from known cells is found."""

import jax
import jax.numpy as jnp
import numpy as np

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import branch, inner, part, updates
from rrjax.inside.ablation import Ablation, mean_values, part_values, run_ablated
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights


def copying(x):
    """Cell 0 learns what cell 2 has, and no other cell learns anything."""
    wires = jnp.zeros((4, 4)).at[0, 2].set(1)

    def copy(context, z, drive):
        reads = inner("mixing reads", context["x"] + z)
        z = part("mixing", z + branch("mixing", wires @ reads))
        return part("swiglu", z + branch("swiglu", 0 * z))

    return rrjax.Dynamics.from_updates(0 * x, (copy,), lambda context, z: z, {"x": x})


def test_a_planted_circuit_is_found_and_nothing_else():
    boards = jnp.arange(12.0).reshape(3, 4, 1) + 1
    means = mean_values(copying, boards, num_segments=1)
    assert means.shape == (1, 3, 4, 1)
    none, cells = jnp.zeros((4, 4), bool), jnp.eye(4, dtype=bool)
    ablations = [
        Ablation(cells, none, none),
        Ablation(none, cells, none),
        Ablation(none, none, cells),
    ]
    every = jax.tree.map(lambda *masks: jnp.concatenate(masks), *ablations)
    ends = run_ablated(copying(boards[0]), copying(boards[1]), means, every)
    own, mean, other = 3.0, 7.0, 7.0  # what cell 2 has: here, on average, and in the donor
    assert ends.clean[0, 0] == own
    for states, value in ((ends.mean, mean), (ends.resampled, other)):
        changed = states[:, 0, 0].reshape(3, 4)
        expected = np.full((3, 4), own)
        expected[0, 2] = expected[1, 0] = value  # the column out of cell 2, the row into cell 0
        np.testing.assert_array_equal(changed, expected)


def test_a_cell_without_ablations_runs_as_ever():
    params = unflatten(weights(SMALL))
    first, second = (bind(params, SMALL, jnp.asarray(t, jnp.int32)) for t in puzzles(2).inputs)
    update = next(updates(first.schedule))
    after, values = part_values(update, first.context, first.initial)
    assert [value.shape for value in values] == [(16, 8)] * 3  # read, mixed and added
    np.testing.assert_array_equal(after.z_L, update(first.context, first.initial, None).z_L)
    means = mean_values(lambda tokens: bind(params, SMALL, tokens), jnp.ones((2, 16), int), 2)
    none = jnp.zeros((1, 16), bool)
    ends = run_ablated(first, second, means, Ablation(none, none, none))
    plain = rrjax.rollout(first, 2).state
    states = ends.clean, *(jax.tree.map(lambda z: z[0], lane) for lane in ends[1:])
    for state in states:
        np.testing.assert_allclose(state.z_H, plain.z_H, atol=1e-5)
