"""How tokens are mixed: against dense Jacobians, and the mean gate against the sub-layer."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.cells.layers import swiglu
from rrjax.contract import branch, inner, part, updates
from rrjax.inside.mixing import (
    gates_at,
    mixing_at,
    mixing_layers,
    mixing_matrix,
    mixing_names,
    strengths_into,
)
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

KEY = jax.random.key(0)
P1, P2 = jax.random.normal(KEY, (2, 3, 3))


def two_layers(context, z, drive):
    """Mixes by two different maps, of which the second one depends on the first."""
    for matrix in (P1, P2):
        reads = inner("mixing reads", z.T, 1)
        z = part("mixing", (z.T + branch("mixing", jnp.tanh(reads) @ matrix.T, 1)), 1).T
    return z


def test_strengths_are_those_of_the_dense_jacobian_of_each_layer():
    z = jax.random.normal(KEY, (3, 4))
    dynamics = rrjax.Dynamics.from_updates(z, (two_layers,), lambda context, z: z)
    layers = mixing_at(next(updates(dynamics.schedule)), (), z, KEY)
    assert mixing_names(dynamics) == {"two_layers": ["mixing", "mixing"]}
    rows = strengths_into(next(updates(dynamics.schedule)), (), z, jnp.array(1), KEY)
    np.testing.assert_allclose(rows, [layer.strength[1] for layer in layers], atol=1e-6)
    for matrix, layer in zip((P1, P2), layers, strict=True):
        dense = jax.vmap(jax.jacobian(lambda x, m=matrix: m @ jnp.tanh(x)), 1, 0)(z)  # (4, 3, 3)
        np.testing.assert_allclose(layer.gain, dense.mean(0), atol=1e-6)
        np.testing.assert_allclose(layer.strength, jnp.sqrt((dense**2).mean(0)), atol=1e-6)
        assert layer.attention is None
        z = z + matrix @ jnp.tanh(z)


def cell(**arch):
    config = replace(SMALL, arch=replace(SMALL.arch, **arch))
    return config, bind(
        unflatten(weights(config)), config, jnp.asarray(puzzles(1).inputs[0], jnp.int32)
    )


def test_signs_estimate_the_blocks_of_a_sub_layer_that_mixes_channels_too():
    blocks = jax.random.normal(KEY, (3, 2, 3, 2))  # to, channel, from, channel

    def mix(context, z, drive):
        change = jnp.einsum("icjd,jd->ic", blocks, inner("mixing reads", z))
        return part("mixing", z + branch("mixing", change))

    z = jnp.ones((3, 2))
    dynamics = rrjax.Dynamics.from_updates(z, (mix,), lambda context, z: z)
    update = next(updates(dynamics.schedule))
    keys = jax.random.split(KEY, 4000)
    (layer,) = jax.vmap(lambda key: mixing_at(update, (), z, key))(keys)
    squares = (blocks**2).sum((1, 3)) / 2
    np.testing.assert_allclose((layer.strength**2).mean(0), squares, rtol=0.05)
    np.testing.assert_allclose(layer.gain.mean(0), jnp.einsum("icjc->ij", blocks) / 2, atol=0.06)


@pytest.mark.parametrize("gating", ["silu", "normed"])
def test_the_mean_gate_gives_back_a_sub_layer_whose_channels_agree(gating):
    config, dynamics = cell(swiglu=gating)
    update = next(updates(dynamics.schedule))
    tokens = jax.random.normal(KEY, (16, 1)) * jnp.ones((16, 8))
    state = jax.tree.map(lambda z: tokens - dynamics.context["x"], dynamics.initial)
    state = state._replace(z_H=jnp.zeros((16, 8)))
    (layer,) = mixing_layers(dynamics.context, update)
    (gate,) = gates_at(config, update, dynamics.context, state)
    added = swiglu(layer, tokens.T, config)[0]
    np.testing.assert_allclose(mixing_matrix(layer, gate) @ tokens[:, 0], added, atol=1e-5)


def test_a_cell_without_such_sub_layers_is_refused():
    _, dynamics = cell(name="lstm", H_layers=1, mlp_t=False)
    with pytest.raises(ValueError, match=r"\(answer\) name no sub-layer that mixes tokens"):
        mixing_names(dynamics)
