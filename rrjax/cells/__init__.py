"""Recursive reasoners as pure functions of plain nested dicts of PyTorch-named parameters."""

import importlib
from typing import Any

from rrjax.cells.binding import Readout, bind, bind_vector, initial_state, puzzle_vector
from rrjax.cells.config import Arch, Config, config_from_dict, config_to_dict
from rrjax.cells.official import parse_arch
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


def __getattr__(name: str) -> Any:
    """Imports `rrjax.cells.nnx` when it is first used, since Flax takes a second to import."""
    if name == "nnx":
        return importlib.import_module("rrjax.cells.nnx")
    raise AttributeError(f"module 'rrjax.cells' has no attribute {name!r}")
