"""The LSTM baseline: residual bidirectional layers over the tokens, applied once a segment.

h ← rms(h + [forward LSTM(h), backward LSTM(h)]), each direction half as wide as h.
Source: the deep LSTM of vitornegromonte/recursive-reasoning, `src/models/lstm.py` (bidirectional,
norm after the residual, learned positions), without its dropout and with the weightless norm,
embeddings and heads of the other cells here.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.cells.config import Config
from rrjax.cells.layers import Params, linear, rms_norm
from rrjax.cells.transformer import AnswerState
from rrjax.contract import Drive, Schedule, Update


def lstm(
    layer: Params, x: Float[Array, "tokens width"], reverse: bool = False
) -> Float[Array, "tokens half"]:
    """Returns the outputs h_t of an LSTM that starts from zeros.

    c_t = σ(f) c_{t−1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), with i, f, g, o the quarters of
    W x_t + U h_{t−1} + bias, in PyTorch's order.

    Args:
      layer: `input_proj` (4·half, width) with a bias, `state_proj` (4·half, half).
      x: The tokens' vectors.
      reverse: Run from the last token to the first.
    """

    def step(carry: tuple[Array, Array], drive: Array) -> tuple[tuple[Array, Array], Array]:
        hidden, cell = carry
        i, f, g, o = jnp.split(drive + linear(layer["state_proj"], hidden), 4)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    zeros = jnp.zeros(layer["state_proj"]["weight"].shape[1], x.dtype)
    return jax.lax.scan(step, (zeros, zeros), linear(layer["input_proj"], x), reverse=reverse)[1]


def bidirectional(layer: Params, x: Float[Array, "tokens width"]) -> Float[Array, "tokens width"]:
    """Returns the outputs of both directions side by side."""
    ahead, back = lstm(layer["ahead"], x), lstm(layer["back"], x, reverse=True)
    return jnp.concatenate([ahead, back], axis=-1)


def answer(config: Config, context: Params, z: AnswerState, drive: Drive) -> AnswerState:
    """z_H ← f_H(z_H + x)."""
    x, layers = z.z_H + context["x"], context["H_level"]["layers"]
    for index in range(len(layers)):
        x = rms_norm(x + bidirectional(layers[str(index)], x), config.arch.rms_norm_eps)
    return AnswerState(x)


@functools.cache
def schedule(config: Config) -> Schedule:
    """Returns the schedule of a single update, the same object for equal configs."""
    return (Update("answer", functools.partial(answer, config)),)
