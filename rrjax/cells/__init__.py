"""Recursive reasoners as pure functions of plain nested dicts of PyTorch-named parameters.

What needs JAX or Flax is imported when it is first used, so that settings can be read without.
"""

import importlib
from typing import TYPE_CHECKING, Any

from rrjax.cells.config import Arch, Config, config_from_dict, config_to_dict
from rrjax.cells.official import parse_arch

if TYPE_CHECKING:
    from rrjax.cells.binding import Readout, bind, bind_vector, initial_state, puzzle_vector
    from rrjax.cells.params import (
        check_arrays,
        flatten,
        init_params,
        is_trained,
        param_shapes,
        unflatten,
    )

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
_OF_BINDING = ("Readout", "bind", "bind_vector", "initial_state", "puzzle_vector")


def __getattr__(name: str) -> Any:
    if name == "nnx":
        return importlib.import_module("rrjax.cells.nnx")
    if name not in __all__:
        raise AttributeError(f"module 'rrjax.cells' has no attribute {name!r}")
    home = "binding" if name in _OF_BINDING else "params"
    return getattr(importlib.import_module(f"rrjax.cells.{home}"), name)
