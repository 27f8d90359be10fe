"""A cell on one puzzle as a `Dynamics`: embeddings, the recurrence, and the heads that read it."""

import math
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rrjax.cells import srm
from rrjax.cells.config import Config
from rrjax.cells.kinds import KINDS
from rrjax.cells.layers import Params, linear
from rrjax.cells.params import INITIAL_VECTORS
from rrjax.contract import Dynamics, State


class Readout(NamedTuple):
    """What the heads read from a state.

    Attributes:
      logits: (seq_len, vocab_size), in the forward dtype.
      q_halt: Scalar, float32 or wider: logit of "the answer is right".
      q_continue: Scalar: logit of "another segment will make it right".
    """

    logits: Float[Array, "seq vocab"]
    q_halt: Float[Array, ""]
    q_continue: Float[Array, ""]


def bind(
    params: Params, config: Config, tokens: Int[Array, " seq"], puzzle_id: Any = 0
) -> Dynamics:
    """Returns the dynamics of a cell on one puzzle.

    Args:
      params: Nested parameters, as `unflatten` or `init_params` give them.
      config: The cell and its sizes.
      tokens: (seq_len,) integers in 0..vocab_size−1; their values are not checked.
      puzzle_id: Row of the puzzle-embedding table; without a table it must be 0.

    Returns:
      A `Dynamics` whose state has the checkpoint's fields, each (num_tokens, hidden_size), and
      whose readout is a `Readout`.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> rrjax.cells.bind(params, config, jnp.ones(16, int))
      Dynamics(z_H (16, 8), z_L (16, 8); 21 updates a segment: latent, answer)
    """
    return bind_vector(params, config, tokens, puzzle_vector(params, config, puzzle_id))


def bind_vector(
    params: Params, config: Config, tokens: Int[Array, " seq"], vector: Float[Array, " ndim"] | None
) -> Dynamics:
    """Returns the dynamics of `bind` for a given embedding vector of the puzzle.

    Training uses it to differentiate by the vector instead of by the whole table.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> rrjax.cells.bind_vector(params, config, jnp.ones(16, int), None)
      Dynamics(z_H (16, 8), z_L (16, 8); 21 updates a segment: latent, answer)
    """
    dtype = jnp.dtype(config.arch.forward_dtype)
    names = ("H_level", "L_level", "lm_head", "q_head")
    parts = {name: params[name] for name in names if name in params}
    if config.arch.name == "srm":
        parts["L_level"] = srm.operators(parts["L_level"], config.arch)
    context: dict[str, Any] = jax.tree.map(lambda weight: jnp.asarray(weight, dtype), parts)
    context["x"] = input_embeddings(params, config, tokens, vector)
    kind = KINDS[config.arch.name]
    return Dynamics(
        initial=initial_state(params, config),
        schedule=kind.module.schedule(config),
        readout=_readout(config),
        context=context,
        gradient_updates=kind.gradient_updates(config.arch),
        answer=kind.answer,
    )


def puzzle_vector(
    params: Params, config: Config, puzzle_id: Int[Array, ""] | int
) -> Float[Array, " ndim"] | None:
    """Returns the puzzle's row of the embedding table, or None for a cell without a table.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> rrjax.cells.puzzle_vector(params, config, 0) is None  # there is no table
      True
    """
    if not config.arch.puzzle_emb_ndim:
        return None
    return jnp.asarray(params["puzzle_emb"]["weights"])[puzzle_id]


def input_embeddings(
    params: Params,
    config: Config,
    tokens: Int[Array, " seq"],
    puzzle_vector: Float[Array, " ndim"] | None,
) -> Float[Array, "tokens width"]:
    """Returns √width · (leading tokens, then token embeddings), plus positions if learned."""
    arch = config.arch
    dtype = jnp.dtype(arch.forward_dtype)
    table = jnp.asarray(params["embed_tokens"]["embedding_weight"])
    x = embed(table, tokens, dtype)  # (seq, width)
    if puzzle_vector is not None:
        room = config.leading_tokens * arch.hidden_size
        padded = jnp.pad(puzzle_vector.astype(dtype), (0, room - puzzle_vector.shape[0]))
        x = jnp.concatenate([padded.reshape(config.leading_tokens, arch.hidden_size), x])
    if arch.register_tokens:
        x = jnp.concatenate([jnp.asarray(params["registers"]["embedding_weight"], dtype), x])
    # (leading tokens + seq, width)
    if arch.pos_encodings == "learned":
        # upstream's constant for 1/sqrt(2), which keeps the variance of the sum
        x = _scaled(0.707106781, x + jnp.asarray(params["embed_pos"]["embedding_weight"], dtype))
    return _scaled(math.sqrt(arch.hidden_size), x)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def embed(
    table: Float[Array, "vocab width"], tokens: Int[Array, " seq"], dtype: jnp.dtype
) -> Float[Array, "seq width"]:
    """Returns the rows of a table that the tokens name, in another dtype.

    The gradient is a product with one-hot rows, summed in the table's own dtype. JAX's would add
    one row after the other: on a GPU that is slow for rows that collide, most of all in bfloat16.
    """
    return table.astype(dtype)[tokens]


@embed.defjvp
def _embed_jvp(dtype: jnp.dtype, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (table, tokens), (tangent, _) = primals, tangents
    chosen = jax.nn.one_hot(tokens, len(table), dtype=table.dtype)  # (seq, vocab)
    image = jnp.dot(chosen, tangent, precision=jax.lax.Precision.HIGHEST)
    return embed(table, tokens, dtype), image.astype(dtype)


def _scaled(factor: float, x: Array) -> Array:
    """Returns a product that is rounded once, as in PyTorch; JAX would round the factor first."""
    return (factor * x.astype(jnp.promote_types(x.dtype, jnp.float32))).astype(x.dtype)


def initial_state(params: Params, config: Config) -> State:
    """Returns the state before the first segment: each field's vector, repeated for each token.

    Example:
      >>> config = rrjax.cells.Config(
      ...     rrjax.cells.Arch("trm", hidden_size=8, num_heads=1), seq_len=16, vocab_size=6
      ... )
      >>> params = rrjax.cells.init_params(jax.random.key(0), config)
      >>> rrjax.cells.initial_state(params, config).z_H.shape
      (16, 8)
    """
    dtype = jnp.dtype(config.arch.forward_dtype)
    shape = (config.num_tokens, config.arch.hidden_size)
    fields = {
        field: jnp.broadcast_to(jnp.asarray(params[vector], dtype), shape)
        for field, vector in INITIAL_VECTORS[config.arch.name].items()
    }
    return KINDS[config.arch.name].state(**fields)


@cache
def _readout(config: Config):
    # cached, since equal partials are not equal and would compile every program again
    return partial(_read, config)


def _read(config: Config, context: Params, state: Any) -> Readout:
    """Applies both heads to the answer; q is read at the first token, leading tokens included."""
    answer = getattr(state, KINDS[config.arch.name].answer)  # (tokens, width)
    wide = jnp.promote_types(answer.dtype, jnp.float32)
    q = linear(context["q_head"], answer[0]).astype(wide)  # (2,)
    logits = linear(context["lm_head"], answer[config.leading_tokens :])  # (seq, vocab)
    return Readout(logits, q[0], q[1])
