"""Recursive reasoners as pure functions over plain nested dicts of PyTorch-named parameters."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rrjax.cells import hrm, lstm, srm, transformer, trm
from rrjax.cells.config import Arch, Config, config_from_dict, config_to_dict
from rrjax.cells.io import Readout, input_embeddings, puzzle_vector, read
from rrjax.cells.layers import Params
from rrjax.cells.official import parse_arch
from rrjax.cells.params import (
    INITIAL_VECTORS,
    check_arrays,
    flatten,
    init_params,
    is_trained,
    param_shapes,
    unflatten,
)
from rrjax.contract import Dynamics

__all__ = [
    "Arch",
    "Config",
    "Readout",
    "bind",
    "bind_vector",
    "check_arrays",
    "config_from_dict",
    "config_to_dict",
    "flatten",
    "init_params",
    "initial_state",
    "is_trained",
    "param_shapes",
    "parse_arch",
    "puzzle_vector",
    "unflatten",
]

_MODULES = {
    "trm": trm,
    "trm_singlez": trm,
    "trm_hier6": trm,
    "hrm": hrm,
    "transformer": transformer,
    "srm": srm,
    "lstm": lstm,
    "mixer": transformer,
}
_STATES = {
    "trm": trm.TwoStates,
    "trm_singlez": trm.OneState,
    "trm_hier6": trm.SixLatents,
    "hrm": trm.TwoStates,
    "transformer": transformer.AnswerState,
    "srm": trm.TwoStates,
    "lstm": transformer.AnswerState,
    "mixer": transformer.AnswerState,
}


def bind(
    params: Params, config: Config, tokens: Int[Array, " seq"], puzzle_id: Any = 0
) -> Dynamics:
    """The dynamics of a cell on one puzzle.

    Args:
      params: nested parameters, as `unflatten` or `init_params` give them.
      config: the cell and its sizes.
      tokens: (seq_len,) integers in 0..vocab_size−1 (not checked here: they may be traced).
      puzzle_id: row of the puzzle-embedding table; without a table it must be 0.

    Returns:
      A `Dynamics` whose state has the checkpoint's fields, each (num_tokens, hidden_size), and
      whose readout is a `Readout`.
    """
    return bind_vector(params, config, tokens, puzzle_vector(params, config, puzzle_id))


def bind_vector(
    params: Params,
    config: Config,
    tokens: Int[Array, " seq"],
    vector: Float[Array, " ndim"] | None,
) -> Dynamics:
    """`bind`, with the puzzle's embedding vector given: training differentiates it by row."""
    dtype = jnp.dtype(config.arch.forward_dtype)
    names = ("H_level", "L_level", "lm_head", "q_head")
    parts = {name: params[name] for name in names if name in params}
    if config.arch.name == "srm":
        parts["L_level"] = srm.operators(parts["L_level"], config.arch)
    context: dict[str, Any] = jax.tree.map(lambda weight: weight.astype(dtype), parts)
    context["x"] = input_embeddings(params, config, tokens, vector)
    module = _MODULES[config.arch.name]
    return Dynamics(
        initial=initial_state(params, config),
        schedule=module.schedule(config),
        readout=_readout(config),
        context=context,
        gradient_updates=module.gradient_updates(config),
    )


def initial_state(params: Params, config: Config) -> Any:
    """Each field's initial vector, broadcast over the tokens."""
    dtype = jnp.dtype(config.arch.forward_dtype)
    shape = (config.num_tokens, config.arch.hidden_size)
    fields = INITIAL_VECTORS[config.arch.name]
    state = _STATES[config.arch.name]
    return state(
        **{name: jnp.broadcast_to(params[v].astype(dtype), shape) for name, v in fields.items()}
    )


@cache
def _readout(config: Config):
    return partial(_read_answer, config)


def _read_answer(config: Config, context: Params, state: Any) -> Readout:
    answer = state.z_L if config.arch.name == "trm_singlez" else state.z_H
    return read(context, config, answer)
