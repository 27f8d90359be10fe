"""What logits are made of: terms that add up, and gradients against dense ones."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import run_segment
from rrjax.inside import channel_terms, saliency, stage_terms
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights


def cell(name):
    arch = replace(SMALL.arch, name=name, H_layers=int(name == "hrm"), mlp_t=name == "trm")
    config = replace(SMALL, arch=arch)
    tokens = jnp.asarray(puzzles(1).inputs[0], jnp.int32)
    return bind(unflatten(weights(config)), config, tokens)


def margin(dynamics, state):
    logits = dynamics.readout(dynamics.context, state).logits
    return logits[:, 2] - logits[:, 4]


@pytest.mark.parametrize("name", ["trm", "hrm"])
def test_stages_and_channels_add_up_to_the_margin(name):
    dynamics = cell(name)
    read = partial(margin, dynamics)
    terms = jax.jit(lambda: stage_terms(dynamics, dynamics.initial, read))()
    after = run_segment(dynamics, dynamics.initial)
    np.testing.assert_allclose(terms.before + terms.stages.sum(0), read(after), atol=1e-5)
    assert len(terms.stages) == len(rrjax.inside.stage_names(dynamics))
    products = channel_terms(dynamics, after, read)
    assert products.shape == (16, 8)
    np.testing.assert_allclose(products.sum(1), read(after), atol=1e-5)
    basis = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (8, 8)))[0]
    turned = channel_terms(dynamics, after, read, basis)
    np.testing.assert_allclose(turned.sum(1), read(after), atol=1e-5)
    assert not np.allclose(turned, products, atol=1e-3)


def test_a_residual_sum_adds_the_unembedded_branch():
    """Of a known chain: the input adds 1, the branch 2, and the norm takes half of it away."""
    from rrjax.contract import branch, part

    def step(context, z, drive):
        z = part("input", z + 1)
        z = part("mixing", z + branch("mixing", 2 * jnp.ones_like(z)))
        return part("mixing norm", z / 2)

    dynamics = rrjax.Dynamics.from_updates(jnp.ones((1, 1)), (step,), lambda context, z: z)
    terms = stage_terms(dynamics, dynamics.initial, lambda z: 10 * z[:, 0])
    np.testing.assert_allclose(terms.stages[:, 0], [10, 20, -20])


def test_saliency_is_that_of_the_dense_gradient():
    dynamics = cell("trm")
    x = dynamics.context["x"]
    blank = jnp.zeros_like(x).at[:, 0].set(1)
    targets = jnp.array([3, 7])
    result = jax.jit(lambda: saliency(dynamics, dynamics.initial, margin, targets, blank))()

    def answers(x):
        moved = replace(dynamics, context={**dynamics.context, "x": x})
        return margin(moved, run_segment(moved, dynamics.initial))

    dense = jax.jit(jax.jacobian(answers))(x)[targets]  # (targets, cells, width)
    np.testing.assert_allclose(result.norm, jnp.linalg.norm(dense, axis=-1), rtol=1e-4)
    np.testing.assert_allclose(result.times_input, (dense * x).sum(-1), atol=1e-4)
    np.testing.assert_allclose(result.removal, (dense * (blank - x)).sum(-1), atol=1e-4)
    toy = rrjax.Dynamics.from_map(lambda z: z, jnp.ones((4, 1)))
    with pytest.raises(ValueError, match="needs a cell, whose context has the embedded puzzle x"):
        saliency(toy, toy.initial, lambda d, z: z[:, 0], targets, blank)
