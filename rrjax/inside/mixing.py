"""How strongly one token writes to another: the sub-layers that mix tokens, and their weights.

A sub-layer that mixes tokens names what it reads (`rrjax.contract.inner`, "mixing reads") and what
it adds (`rrjax.contract.branch`, "mixing"). So everything here holds for any update that does so.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.cells import Config
from rrjax.cells.layers import linear
from rrjax.contract import Context, Dynamics, Part, State, Update, listen, updates

READS = " reads"
"""How the name of what a sub-layer reads ends; before it stands the name of the sub-layer."""


class Mixing(NamedTuple):
    """How one sub-layer mixes tokens at one state. Each array has the axes (to, from).

    With J the Jacobian of what the sub-layer adds by what it reads, J_ij the block of D × D
    channels from token j to token i:

    Attributes:
      gain: (tokens, tokens) tr J_ij / D, the mean over channels: signed.
      strength: (tokens, tokens) ‖J_ij‖_F / √D, the root mean square. For a mixing that treats
        channels alike and apart it is that over channels, exactly; else one random vector of signs
        estimates trace and norm without bias, and means over puzzles are to be taken of squares.
      attention: (tokens, tokens) attention weights, the mean over heads; None without attention.
    """

    gain: Array
    strength: Array
    attention: Array | None


def mixing_names(dynamics: Dynamics) -> dict[str, list[str]]:
    """Returns for each update the names of its sub-layers that mix tokens, in order.

    Raises:
      ValueError: no update names such a sub-layer.
    """
    names = {}
    for update in dict.fromkeys(updates(dynamics.schedule)):
        names[update.name] = [
            part.name.removesuffix(READS) for part in _trace(update, dynamics) if _is_read(part)
        ]
    if not any(names.values()):
        listed = ", ".join(names)
        raise ValueError(
            f"the updates of this model ({listed}) name no sub-layer that mixes tokens; the blocks "
            "of trm, hrm, transformer and mixer do, lstm and srm do not"
        )
    return names


def _trace(update: Update, dynamics: Dynamics) -> list[Part]:
    parts: list[Part] = []

    def run(context: Context, state: State) -> None:
        with listen() as named:
            update(context, state, jax.tree.map(lambda leaf: leaf[0], dynamics.drive))
        parts.extend(named)

    jax.eval_shape(run, dynamics.context, dynamics.initial)
    return parts


def _is_read(part: Part) -> bool:
    return part.role == "inner" and part.name.endswith(READS)


def mixing_at(update: Update, context: Context, state: State, key: jax.Array) -> list[Mixing]:
    """Returns how each sub-layer of an update mixes tokens at a state, in order.

    Args:
      update: of dynamics without a drive.
      context: that of the dynamics.
      state: the state before the update.
      key: draws the signs.

    Example:
      >>> from rrjax.contract import Update, branch, inner, part
      >>> def swap(context, z, drive):
      ...     return part("mixing", z + branch("mixing", 2 * inner("mixing reads", z)[::-1]))
      >>> (layer,) = rrjax.inside.mixing_at(
      ...     Update("swap", swap), (), jnp.ones((2, 4)), jax.random.key(0)
      ... )
      >>> print(layer.strength)
      [[0. 2.]
       [2. 0.]]
    """
    return [_mixing(layer, key) for layer in _sub_layers(update, context, state)]


def strengths_into(
    update: Update, context: Context, state: State, token: Array, key: jax.Array
) -> Array:
    """Returns (layers, tokens) the row of `Mixing.strength` of one token, for each sub-layer.

    One product with the transposed Jacobian gives it, where all rows take one for each token.
    """
    rows = []
    for layer in _sub_layers(update, context, state):
        branch, pullback = jax.vjp(layer.add, layer.reads)
        signs = jax.random.rademacher(key, branch.shape[1:], branch.dtype)
        (row,) = pullback(jnp.zeros_like(branch).at[token].set(signs))
        rows.append(jnp.sqrt(jnp.mean(jnp.square(jnp.moveaxis(row, layer.token_axis, 0)), -1)))
    return jnp.stack(rows)


class _SubLayer(NamedTuple):
    """A sub-layer that mixes tokens, at one state.

    Attributes:
      add: from what it reads to what it adds, (tokens, width).
      reads: what it reads.
      token_axis: the axis of the tokens in it.
      weights: the attention weights (heads, tokens, tokens), if it has some.
    """

    add: Callable[[Array], Array]
    reads: Array
    token_axis: int
    weights: Array | None


def _sub_layers(update: Update, context: Context, state: State) -> list[_SubLayer]:
    with listen() as parts:
        update(context, state, None)
    places = [place for place, part in enumerate(parts) if _is_read(part)]
    return [_sub_layer(update, context, state, parts, place) for place in places]


def _sub_layer(
    update: Update, context: Context, state: State, parts: list[Part], place: int
) -> _SubLayer:
    read = parts[place]
    name = read.name.removesuffix(READS)
    after = range(place, len(parts))
    end = next(i for i in after if parts[i].name == name and parts[i].role == "branch")
    weights = [part.value for part in parts[place:end] if part.name == f"{name} weights"]

    def add(reads: Array) -> Array:
        with listen(lambda i, part: reads if i == place else part.value) as edited:
            update(context, state, None)
        return jnp.moveaxis(edited[end].value, edited[end].token_axis, 0)

    return _SubLayer(add, read.value, read.token_axis, weights[0] if weights else None)


def _mixing(layer: _SubLayer, key: jax.Array) -> Mixing:
    num_tokens, width = jnp.moveaxis(layer.reads, layer.token_axis, 0).shape
    signs = jax.random.rademacher(key, (num_tokens, width), layer.reads.dtype)
    _, jacobian = jax.linearize(layer.add, layer.reads)

    def from_token(token: Array, signs: Array) -> tuple[Array, Array]:
        along = jnp.where(jnp.arange(num_tokens)[:, None] == token, signs, 0)
        image = jacobian(jnp.moveaxis(along, 0, layer.token_axis))  # (to, channels)
        return jnp.mean(signs * image, -1), jnp.sqrt(jnp.mean(jnp.square(image), -1))

    gain, strength = jax.vmap(from_token, out_axes=1)(jnp.arange(num_tokens), signs)
    return Mixing(gain, strength, None if layer.weights is None else layer.weights.mean(0))


def gates_at(config: Config, update: Update, context: Context, state: State) -> list[Array]:
    """Returns the mean over channels of the factor that gates each unit of each mixing SwiGLU.

    It is silu(gate), or silu(gate) / rms(gate · up) where the config says `normed`: the number by
    which the sub-layer multiplies a unit of W_up x before W_down.

    Args:
      config: of a cell that mixes along tokens.
      update, context, state: as in `mixing_at`.

    Returns:
      For each layer (units,).
    """
    with listen() as parts:
        update(context, state, None)
    reads = [part.value for part in parts if _is_read(part)]
    layers = mixing_layers(context, update)
    return [_gate(config, layer, x) for layer, x in zip(layers, reads, strict=True)]


def _gate(config: Config, layer: Any, x: Array) -> Array:
    gate, up = jnp.split(linear(layer["gate_up_proj"], x), 2, axis=-1)  # (channels, units) each
    factor = jax.nn.silu(gate)
    if config.arch.swiglu == "normed":
        square = jnp.mean(jnp.square(gate * up), -1, keepdims=True)
        factor = factor * jax.lax.rsqrt(square + config.arch.rms_norm_eps)
    return factor.mean(0)


def mixing_layers(context: Context, update: Update) -> list[Any]:
    """Returns the weights of the mixing of each layer that an update of a cell goes through."""
    is_upper = update.name == "answer" and "H_level" in context
    layers = context["H_level" if is_upper else "L_level"]["layers"]
    return [layers[str(index)]["mlp_t"] for index in range(len(layers))]


def mixing_matrix(layer: Any, gate: Array | None = None) -> Array:
    """Returns (to, from) W_down diag(gate) W_up of a mixing SwiGLU; without a gate W_down W_up.

    Example:
      >>> model = rrjax.load_model("models/tiny")
      >>> layer = model.params["L_level"]["layers"]["0"]["mlp_t"]
      >>> rrjax.inside.mixing_matrix(layer).shape
      (16, 16)
    """
    both = jnp.asarray(layer["gate_up_proj"]["weight"])
    up = both[len(both) // 2 :]
    down = jnp.asarray(layer["down_proj"]["weight"])
    return down @ up if gate is None else (down * gate) @ up
