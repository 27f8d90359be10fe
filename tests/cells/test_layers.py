"""The layers against their formulas in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Arch, Config, bind, init_params
from rrjax.cells.config import Positions
from rrjax.cells.layers import attention, rotary_tables, swiglu
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


def test_positions_of_rows_and_columns_are_those_of_two_sequences():
    """A register stands in front of 3 x 3 tokens, in the row above them."""
    shared = {"num_heads": 2, "rope_theta": 100.0}
    arch = Arch(hidden_size=16, pos_encodings="rope2d", register_tokens=1, **shared)
    line = Config(Arch(hidden_size=8, **shared), seq_len=3)
    for found, plain in zip(
        rotary_tables(Config(arch, seq_len=9)), rotary_tables(line), strict=True
    ):
        first = plain[:, :2]  # a head of 4 has two frequencies, each twice
        rows, columns = np.repeat(first, 3, axis=0), np.tile(first, (3, 1))
        square = np.concatenate([rows, columns], axis=1)
        np.testing.assert_allclose(found[1:], np.tile(square, 2), atol=1e-7)
    cos, sin = rotary_tables(Config(arch, seq_len=9))
    np.testing.assert_allclose(np.arctan2(sin[0], cos[0]), 2 * [-1, -0.1, 0, 0], atol=1e-7)


def attended(qkv: np.ndarray, square: np.ndarray, positions: Positions) -> np.ndarray:
    """Attention with two heads over tokens (3, 3, 16), of weights (3, 2, 8, 16)."""
    config = Config(Arch(hidden_size=16, num_heads=2, pos_encodings=positions), seq_len=9)
    weights = {"qkv_proj": qkv.reshape(48, 16), "o_proj": np.eye(16)}
    layer = {name: {"weight": jnp.asarray(matrix)} for name, matrix in weights.items()}
    return np.asarray(attention(layer, jnp.asarray(square.reshape(9, 16)), config))


def test_attention_over_rows_and_columns_follows_a_transposed_square():
    """Its heads then read the column where they read the row."""
    rng = np.random.default_rng(0)
    qkv, square = rng.normal(size=(3, 2, 8, 16)), rng.normal(size=(3, 3, 16))
    swapped = qkv.copy()
    swapped[:2] = qkv[:2, :, [2, 3, 0, 1, 6, 7, 4, 5]]  # of queries and keys
    turned = square.transpose(1, 0, 2)
    for positions, follows in (("rope2d", True), ("rope", False)):
        before = attended(qkv, square, positions).reshape(3, 3, 16)
        after = attended(swapped, turned, positions).reshape(3, 3, 16)
        assert np.allclose(after, before.transpose(1, 0, 2), atol=1e-4) == follows


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
