"""The parameters of a cell: their names, shapes and initial values, flat or nested."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rrjax.cells.config import Arch, Config
from rrjax.cells.kinds import KINDS

INITIAL_VECTORS: dict[str, dict[str, str]] = {
    name: {field: f"{field.removeprefix('z_')}_init" for field in kind.state._fields}
    for name, kind in KINDS.items()
}
"""For each cell, the fields of its state and the name of the vector with which each starts."""

# Sandwich layers start close to relu(x): at Y = tan(π/8)·I and X = 0 both A and B are I/√2. To X
# and Y comes noise of this fraction of LeCun's scale; with 0.3, states would contract four times
# as fast at first.
_ISOMETRY, _CAYLEY_NOISE = math.tan(math.pi / 8), 0.1

_SRM_STARTS = {
    "L_level.coupling.gains": [[1.0, 0.5], [0.5, 1.0]],
    "L_level.coupling.kappa": 0.0,
    "L_level.inject.H": 0.0,
    "L_level.inject.L": 1.0,
}

# Standard deviation of a unit normal truncated to [-2, 2]; upstream divides by it.
_TRUNCATED_STD = 0.87962566103423978


def param_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every parameter by its flat PyTorch name; linear weights: (out, in).

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> rrjax.cells.param_shapes(config)["lm_head.weight"]
      (6, 8)
    """
    arch, width = config.arch, config.arch.hidden_size
    vectors = INITIAL_VECTORS[arch.name].values()
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(vectors, (width,))
    shapes["embed_tokens.embedding_weight"] = (config.vocab_size, width)
    shapes["lm_head.weight"] = (config.vocab_size, width)
    shapes["q_head.weight"], shapes["q_head.bias"] = (2, width), (2,)
    if arch.puzzle_emb_ndim:
        shapes["puzzle_emb.weights"] = (config.num_puzzle_identifiers, arch.puzzle_emb_ndim)
    if arch.register_tokens:
        shapes["registers.embedding_weight"] = (arch.register_tokens, width)
    if arch.pos_encodings == "learned":
        shapes["embed_pos.embedding_weight"] = (config.num_tokens, width)
    for level in KINDS[arch.name].levels:
        for index in range({"H_level": arch.H_layers, "L_level": arch.L_layers}[level]):
            for name, shape in _layer_shapes(config).items():
                shapes[f"{level}.layers.{index}.{name}"] = shape
    if arch.name == "srm":
        shapes |= _coupling_shapes(arch)
    return shapes


def _layer_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    arch, width = config.arch, config.arch.hidden_size
    if arch.name == "srm":
        return _sandwich_shapes("mlp_t", config.num_tokens) | _sandwich_shapes("mlp", width)
    if arch.name == "lstm":
        return _lstm_shapes("ahead", width) | _lstm_shapes("back", width)
    mlp = _swiglu_shapes("mlp", width, arch.expansion)
    if arch.mixes_along_tokens:
        return _swiglu_shapes("mlp_t", config.num_tokens, arch.expansion) | mlp
    heads = width // arch.num_heads * arch.num_heads
    attention = {
        "self_attn.qkv_proj.weight": (3 * heads, width),
        "self_attn.o_proj.weight": (width, heads),
    }
    return attention | mlp


def _sandwich_shapes(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.X": (size, size), f"{name}.Y": (size, size), f"{name}.bias": (size,)}


def _lstm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    gates = 4 * (width // 2)
    return {
        f"{name}.input_proj.weight": (gates, width),
        f"{name}.input_proj.bias": (gates,),
        f"{name}.state_proj.weight": (gates, width // 2),
    }


def _coupling_shapes(arch: Arch) -> dict[str, tuple[int, ...]]:
    width = arch.hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "L_level.coupling.gains": (2, 2),
        "L_level.coupling.U_HL.X": (width, width),
        "L_level.coupling.U_LH.X": (width, width),
        "L_level.inject.H": (width,),
        "L_level.inject.L": (width,),
    }
    return shapes | ({"L_level.coupling.kappa": (1,)} if arch.kappa_max else {})


def _swiglu_shapes(name: str, size: int, expansion: float) -> dict[str, tuple[int, ...]]:
    inner = -(-round(expansion * size * 2 / 3) // 256) * 256
    return {
        f"{name}.gate_up_proj.weight": (2 * inner, size),
        f"{name}.down_proj.weight": (size, inner),
    }


def check_arrays(flat: Mapping[str, Any], config: Config, source: str) -> None:
    """Refuses arrays whose names, shapes or types are not exactly those of the cell.

    Args:
      flat: Arrays under their flat PyTorch names.
      config: The cell.
      source: Where the arrays come from, for the message.

    Raises:
      ValueError: Lists every missing and unknown name, and every wrong shape and type.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> rrjax.cells.check_arrays(rrjax.cells.flatten(params), config, "my arrays")
    """
    shapes = param_shapes(config)
    problems = [f"missing: {name} {shapes[name]}" for name in sorted(set(shapes) - set(flat))]
    problems += [f"unknown: {name}" for name in sorted(set(flat) - set(shapes))]
    problems += [
        f"{name}: expected shape {shapes[name]}, found {tuple(flat[name].shape)}"
        for name in sorted(set(flat) & set(shapes))
        if tuple(flat[name].shape) != shapes[name]
    ]
    problems += [
        f"{name}: expected floating-point numbers, found {flat[name].dtype}"
        for name in sorted(flat)
        if not jnp.issubdtype(flat[name].dtype, jnp.floating)
    ]
    if problems:
        raise ValueError(f"{source} does not fit {config.arch.name}:\n  " + "\n  ".join(problems))


def init_params(key: jax.Array, config: Config) -> dict[str, Any]:
    """Returns initial float32 parameters, nested, drawn as upstream draws them.

    Linear layers are truncated LeCun normal; embeddings have standard deviation 1/√width, and
    initial vectors 1. Puzzle embeddings, biases and the weight of the q head are zero, but the
    bias of the q head is −5. The stable recursion model starts close to κ-scaled isometries.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> sorted(params)
      ['H_init', 'L_init', 'L_level', 'embed_tokens', 'lm_head', 'q_head']
    """
    shapes = param_shapes(config)
    keys = jax.random.split(key, len(shapes))
    flat = {
        name: _init_leaf(leaf_key, name, shape)
        for leaf_key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    return unflatten(flat)


def _init_leaf(key: jax.Array, name: str, shape: tuple[int, ...]) -> jax.Array:
    if name == "q_head.bias":
        return jnp.full(shape, -5.0, jnp.float32)
    if name in ("q_head.weight", "puzzle_emb.weights") or name.endswith(".bias"):
        return jnp.zeros(shape)
    if name in _SRM_STARTS:
        return jnp.broadcast_to(jnp.asarray(_SRM_STARTS[name], jnp.float32), shape)
    if name.endswith((".X", ".Y")):
        noise = _CAYLEY_NOISE * _truncated_normal(key, name, shape)
        return noise + _ISOMETRY * jnp.eye(shape[0]) if name.endswith(".Y") else noise
    return _truncated_normal(key, name, shape)


def _truncated_normal(key: jax.Array, name: str, shape: tuple[int, ...]) -> jax.Array:
    std = 1.0 if name.endswith("_init") else shape[-1] ** -0.5
    draw = jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32)
    return draw * jnp.float32(std / _TRUNCATED_STD)


def is_trained(name: str) -> bool:
    """Says whether the main optimizer trains a parameter.

    It trains neither initial vectors nor puzzle embeddings.

    Example:
      >>> rrjax.cells.is_trained("lm_head.weight"), rrjax.cells.is_trained("H_init")
      (True, False)
    """
    return not (name.endswith("_init") or name == "puzzle_emb.weights")


def is_block_matrix(name: str) -> bool:
    """Says whether a parameter is the matrix (out, in) of a linear layer inside a block."""
    return ".layers." in name and name.endswith(".weight")


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested dicts as one dict with dotted names.

    Example:
      >>> rrjax.cells.flatten({"lm_head": {"weight": 1}, "H_init": 2})
      {'lm_head.weight': 1, 'H_init': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Undoes `flatten`.

    Example:
      >>> rrjax.cells.unflatten({"lm_head.weight": 1, "H_init": 2})
      {'lm_head': {'weight': 1}, 'H_init': 2}
    """
    params: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        node = params
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    return params
