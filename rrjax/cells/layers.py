"""The layers that all cells share, for one puzzle: activations are (tokens, width).

Weights are PyTorch's: plain nested dicts, linear weights (out, in), already in the activations'
dtype. Nothing here stops a gradient.
"""

import functools
from collections.abc import Mapping
from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from rrjax.cells.config import Config
from rrjax.contract import branch, inner, part

Params = Mapping[str, Any]

GATED = "gated"
"""The checkpoint name of the gated units: training keeps them for the backward pass."""


def linear(layer: Params, x: Float[Array, "*tokens in"]) -> Float[Array, "*tokens out"]:
    """Returns x Wᵀ, plus b where the layer has a bias."""
    # both operands contracted along their last axis: no transposed copy, forwards or backwards
    y = jax.lax.dot_general(x, layer["weight"], (((x.ndim - 1,), (1,)), ((), ())))
    return y + layer["bias"] if "bias" in layer else y


def rms_norm(x: Float[Array, "a b"], eps: float) -> Float[Array, "a b"]:
    """Returns x / √(mean x² + ε) along the last axis, computed in float32 or wider."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean_square = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
    return (wide * jax.lax.rsqrt(mean_square + eps)).astype(x.dtype)


def swiglu(
    layer: Params, x: Float[Array, "rows size"], config: Config
) -> Float[Array, "rows size"]:
    """Returns down(silu(gate) · up), or down(σ(gate) · rms(gate · up)) where the config says so.

    The gate is the first half of `gate_up_proj`.
    """
    both = linear(layer["gate_up_proj"], x)
    size = both.shape[-1] // 2
    # slices: the gradient of `jnp.split` is a concatenation, which a GPU copies by itself
    gate, up = both[:, :size], both[:, size:]
    if config.arch.swiglu == "normed":
        gated = jax.nn.sigmoid(gate) * rms_norm(gate * up, config.arch.rms_norm_eps)
    else:
        gated = jax.nn.silu(gate) * up
    return linear(layer["down_proj"], checkpoint_name(gated, GATED))


def attention(
    layer: Params, x: Float[Array, "tokens width"], config: Config
) -> Float[Array, "tokens width"]:
    """Returns full multi-head attention, with rotated queries and keys for rotary positions."""
    heads = config.arch.num_heads
    qkv = linear(layer["qkv_proj"], x).reshape(x.shape[0], 3 * heads, -1)
    query, key, value = jnp.split(qkv, 3, axis=1)  # (tokens, heads, head_dim) each
    if config.arch.rotates:
        query, key = _rotate(query, config), _rotate(key, config)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    logits = jnp.einsum("qhd,khd->hqk", query, key, preferred_element_type=wide)
    weights = jax.nn.softmax(logits / np.sqrt(query.shape[-1]).astype(wide), axis=-1)
    weights = inner("attention weights", weights, 1)  # (heads, queries, keys)
    mixed = jnp.einsum("hqk,khd->qhd", weights.astype(x.dtype), value)
    return linear(layer["o_proj"], mixed.reshape(x.shape[0], -1))


def _rotate(
    x: Float[Array, "tokens heads head_dim"], config: Config
) -> Float[Array, "tokens heads head_dim"]:
    cos, sin = rotary_tables(config)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    first, second = jnp.split(wide, 2, axis=-1)
    rotated = jnp.concatenate([-second, first], axis=-1)
    return (wide * cos[:, None] + rotated * sin[:, None]).astype(x.dtype)


@functools.cache
def rotary_tables(
    config: Config,
) -> tuple[Float[np.ndarray, "tokens head_dim"], Float[np.ndarray, "tokens head_dim"]]:
    """Returns cosines and sines of the angles position × frequency, each twice, in float32.

    The frequencies are θ^(−2i/d). With `rope` d is the size of a head. With `rope2d` it is half of
    it: the first half of the angles takes the row of a token as its position, and the second half
    its column.
    """
    head_dim = config.arch.hidden_size // config.arch.num_heads
    if config.arch.pos_encodings == "rope2d":
        angles = [_angles(places, head_dim // 2, config) for places in _rows_and_columns(config)]
    else:
        angles = [_angles(np.arange(config.num_tokens), head_dim, config)]
    angles = np.concatenate(2 * angles, axis=-1)
    return np.cos(angles), np.sin(angles)


def _angles(places: np.ndarray, size: int, config: Config) -> np.ndarray:
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    frequencies = np.float32(1) / np.float32(config.arch.rope_theta) ** exponents
    return np.outer(places.astype(np.float32), frequencies)


def _rows_and_columns(config: Config) -> np.ndarray:
    """Returns (2, tokens) the place of each token; leading ones form a row above the square."""
    leading = np.arange(config.leading_tokens)
    square = np.divmod(np.arange(config.seq_len), isqrt(config.seq_len))
    return np.concatenate([np.stack([np.full_like(leading, -1), leading]), square], axis=1)


def block(
    layer: Params, x: Float[Array, "tokens width"], config: Config
) -> Float[Array, "tokens width"]:
    """Applies a post-norm block: h ← rms(h + mix(h)), h ← rms(h + swiglu(h)).

    With `mlp_t` (and in the mixer) both the mixing and its norm run over tokens.
    """
    eps = config.arch.rms_norm_eps
    if config.arch.mixes_along_tokens:
        channels = x.T  # (width, tokens): mixing and norm run along the last axis
        reads = inner("mixing reads", channels, 1)
        mixed = _add("mixing", channels, swiglu(layer["mlp_t"], reads, config), 1)
        x = part("mixing norm", rms_norm(mixed, eps), 1).T
    else:
        reads = inner("attention reads", x)
        mixed = _add("attention", x, attention(layer["self_attn"], reads, config))
        x = part("attention norm", rms_norm(mixed, eps))
    return part("swiglu norm", rms_norm(_add("swiglu", x, swiglu(layer["mlp"], x, config)), eps))


def damp(old: Array, new: Array, config: Config) -> Array:
    """Returns d · old + (1 − d) · new, with the damping d of the config; `new` itself for d = 0."""
    damping = config.arch.damping
    return damping * old + (1 - damping) * new if damping else new


def _add(name: str, x: Array, change: Array, token_axis: int = 0) -> Array:
    return part(name, x + branch(name, change, token_axis), token_axis)


def reason(level: Params, x: Float[Array, "tokens width"], config: Config) -> Array:
    """Applies all blocks of a level, as every update of a TRM, HRM, transformer or mixer does."""
    x = part("input", x)
    for index in range(len(level["layers"])):
        x = block(level["layers"][str(index)], x, config)
    return x
