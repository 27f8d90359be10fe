"""The LSTM against a loop in NumPy, the mixer against the level of TRM, and both in training."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Arch, Config, bind, init_params, param_shapes, unflatten
from rrjax.cells.lstm import bidirectional, lstm
from rrjax.contract import run_segment, updates
from rrjax.puzzles.batch import Batch
from rrjax.training.settings import Recipe
from rrjax.training.state import init_train_state
from tests.tools.tiny_training import compiled_step

SIZES = {"seq_len": 5, "vocab_size": 4}
TOKENS = jnp.array([1, 3, 0, 2, 1])
LSTM = Arch("lstm", hidden_size=6, H_layers=2, pos_encodings="none", halt_max_steps=1)
MIXER = replace(LSTM, name="mixer", H_layers=1)


def random_params(arch: Arch) -> dict:
    rng = np.random.default_rng(0)
    shapes = param_shapes(Config(arch, **SIZES))
    return unflatten({n: jnp.asarray(rng.normal(size=s), jnp.float32) for n, s in shapes.items()})


@functools.partial(jax.jit, static_argnums=1)
def segment(params: dict, arch: Arch) -> jax.Array:
    dynamics = bind(params, Config(arch, **SIZES), TOKENS)
    return run_segment(dynamics, dynamics.initial).z_H


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(layer: dict, rows: np.ndarray) -> np.ndarray:
    """The LSTM gate by gate; rows in the order in which they are read."""
    weight, bias = (np.asarray(layer["input_proj"][key]) for key in ("weight", "bias"))
    back = np.asarray(layer["state_proj"]["weight"])
    half = back.shape[1]
    hidden, cell, outputs = np.zeros(half), np.zeros(half), []
    for row in rows:
        gates = weight @ row + back @ hidden + bias
        keep, write, show = (sigmoid(gates[k * half : (k + 1) * half]) for k in (1, 0, 3))
        cell = keep * cell + write * np.tanh(gates[2 * half : 3 * half])
        hidden = show * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs)


def test_an_lstm_is_the_recurrence_of_its_gates():
    layer = random_params(LSTM)["H_level"]["layers"]["0"]
    rows = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    ahead = by_hand(layer["ahead"], rows)
    back = by_hand(layer["back"], rows[::-1])[::-1]
    assert np.allclose(jax.jit(lstm)(layer["ahead"], rows), ahead, atol=1e-5)
    both = jax.jit(bidirectional)(layer, rows)
    assert np.allclose(both, np.concatenate([ahead, back], axis=1), atol=1e-5)


def test_an_lstm_segment_is_residual_layers_with_a_norm():
    params = random_params(LSTM)
    embedded = np.asarray(params["embed_tokens"]["embedding_weight"])[np.asarray(TOKENS)]
    x = np.asarray(params["H_init"]) + np.sqrt(6) * embedded
    for index in ("0", "1"):
        layer = params["H_level"]["layers"][index]
        back = by_hand(layer["back"], x[::-1])[::-1]
        x = x + np.concatenate([by_hand(layer["ahead"], x), back], axis=1)
        x = x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-5)
    assert np.allclose(segment(params, LSTM), x, atol=1e-4)


def test_every_token_sees_every_other_through_an_lstm():
    layer = random_params(LSTM)["H_level"]["layers"]["0"]
    jacobian = jax.jit(jax.jacfwd(lambda x: bidirectional(layer, x)))(jnp.ones((5, 6)))
    assert np.all(np.abs(jacobian).max(axis=(1, 3)) > 0)


def test_the_mixer_is_a_transformer_that_mixes_along_tokens():
    """With H_init 0, its segment is that of a one-block TRM-MLP's level on the puzzle."""
    params = random_params(MIXER)
    params["H_init"] = jnp.zeros(6)
    trm = replace(MIXER, name="trm", mlp_t=True, L_cycles=1, H_cycles=1, L_layers=1, H_layers=0)
    dynamics = bind(
        params | {"L_level": params["H_level"], "L_init": jnp.zeros(6)},
        Config(trm, **SIZES),
        TOKENS,
    )
    think = next(updates(dynamics.schedule))
    expected = think(dynamics.context, dynamics.initial, None).z_L
    assert np.array_equal(segment(params, MIXER), expected)


@pytest.mark.slow
@pytest.mark.parametrize("arch", [LSTM, MIXER], ids=["lstm", "mixer"])
def test_the_trainer_takes_a_step(arch):
    config = Config(arch, **SIZES)
    recipe = Recipe(global_batch_size=2, steps=2, lr=1e-2, lr_warmup_steps=0)
    state = init_train_state(config, recipe, init_params(jax.random.key(0), config))
    before = {name: np.asarray(leaf) for name, leaf in state.trained.items()}
    tokens = jnp.stack([TOKENS, TOKENS[::-1]]).astype(jnp.int32)
    batch = Batch(tokens, jnp.maximum(tokens, 1), jnp.zeros(2, jnp.int32))
    state, metrics = compiled_step(config, recipe, state, batch)
    assert np.isfinite(metrics["loss"])
    # with one segment a slot is one pass: it halts, and the next step takes a new puzzle
    assert state.slots.halted.all()
    assert all(not np.array_equal(leaf, before[name]) for name, leaf in state.trained.items())
