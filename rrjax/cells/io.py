"""What stands before and after the recurrence: input embeddings and heads."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rrjax.cells.config import Config
from rrjax.cells.layers import Params, linear


class Readout(NamedTuple):
    """What a cell says of its state.

    Attributes:
      logits: (seq_len, vocab_size), in the forward dtype.
      q_halt: scalar, float32 or wider: logit of "the answer is right".
      q_continue: scalar: logit of "going on will make it right".
    """

    logits: Float[Array, "seq vocab"]
    q_halt: Float[Array, ""]
    q_continue: Float[Array, ""]


def input_embeddings(
    params: Params,
    config: Config,
    tokens: Int[Array, " seq"],
    puzzle_vector: Float[Array, " ndim"] | None,
) -> Float[Array, "tokens width"]:
    """√width · (puzzle tokens, then token embeddings), plus positions where they are learned."""
    arch = config.arch
    dtype = jnp.dtype(arch.forward_dtype)
    x = params["embed_tokens"]["embedding_weight"].astype(dtype)[tokens]
    if puzzle_vector is not None:
        room = config.puzzle_tokens * arch.hidden_size
        padded = jnp.pad(puzzle_vector.astype(dtype), (0, room - puzzle_vector.shape[0]))
        x = jnp.concatenate([padded.reshape(config.puzzle_tokens, arch.hidden_size), x])
    if arch.pos_encodings == "learned":
        # upstream's constant for 1/sqrt(2), which keeps the sum's variance
        x = _scaled(0.707106781, x + params["embed_pos"]["embedding_weight"].astype(dtype))
    return _scaled(math.sqrt(arch.hidden_size), x)


def _scaled(factor: float, x: Array) -> Array:
    """A product rounded once, as PyTorch's is: JAX would round the factor to bfloat16 first."""
    return (factor * x.astype(jnp.promote_types(x.dtype, jnp.float32))).astype(x.dtype)


def puzzle_vector(params: Params, config: Config, puzzle_id: Int[Array, ""] | int):
    """The puzzle's row of the embedding table, or None where the cell has none."""
    if not config.arch.puzzle_emb_ndim:
        return None
    return params["puzzle_emb"]["weights"][puzzle_id]


def read(heads: Params, config: Config, answer: Float[Array, "tokens width"]) -> Readout:
    """Both heads on the answer state; q is read at the first token, puzzle tokens included."""
    wide = jnp.promote_types(answer.dtype, jnp.float32)
    q = linear(heads["q_head"], answer[0]).astype(wide)
    logits = linear(heads["lm_head"], answer[config.puzzle_tokens :])
    return Readout(logits, q[0], q[1])
