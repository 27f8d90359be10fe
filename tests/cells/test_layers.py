"""The layers against their formulas in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Arch, Config, bind, init_params
from rrjax.cells.layers import swiglu
from rrjax.contract import run_segment
from rrjax.keys import make_key


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("gating", ["silu", "normed"])
def test_a_swiglu_is_its_formula(gating):
    rng = np.random.default_rng(0)
    x, both, down = rng.normal(size=(3, 4)), rng.normal(size=(10, 4)), rng.normal(size=(4, 5))
    gate, up = np.split(x @ both.T, 2, axis=1)
    if gating == "silu":
        gated = gate * sigmoid(gate) * up
    else:
        product = gate * up
        root = np.sqrt(np.mean(product**2, axis=1, keepdims=True) + 1e-5)
        gated = sigmoid(gate) * product / root
    layer = {"gate_up_proj": {"weight": jnp.asarray(both)}, "down_proj": {"weight": down}}
    found = swiglu(layer, jnp.asarray(x), Config(Arch(swiglu=gating)))
    np.testing.assert_allclose(found, gated @ down.T, rtol=1e-5, atol=1e-5)


def test_registers_stand_before_the_puzzle_and_are_not_read_as_its_answer():
    arch = Arch(hidden_size=8, num_heads=1, mlp_t=True, pos_encodings="none", register_tokens=2)
    config = Config(arch, seq_len=4, vocab_size=5)
    params = init_params(make_key(0), config)
    dynamics = bind(params, config, jnp.arange(4))
    registers = params["registers"]["embedding_weight"]
    np.testing.assert_allclose(dynamics.context["x"][:2], np.sqrt(8) * registers, rtol=1e-6)
    state = run_segment(dynamics, dynamics.initial)
    assert state.z_H.shape == (6, 8)
    readout = dynamics.readout(dynamics.context, state)
    expected = state.z_H[2:] @ params["lm_head"]["weight"].T
    np.testing.assert_allclose(readout.logits, expected, rtol=1e-5, atol=1e-6)
