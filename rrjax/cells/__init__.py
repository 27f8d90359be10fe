"""Recursive reasoners as pure functions of plain nested dicts of PyTorch-named parameters.

What needs JAX or Flax is imported when it is first used, so that settings can be read without.
"""

import importlib
from typing import TYPE_CHECKING, Any

from rrjax.cells.config import Arch as Arch
from rrjax.cells.config import Config as Config
from rrjax.cells.config import config_from_dict as config_from_dict
from rrjax.cells.config import config_to_dict as config_to_dict
from rrjax.cells.official import parse_arch as parse_arch

if TYPE_CHECKING:
    from rrjax.cells.binding import Readout as Readout
    from rrjax.cells.binding import bind as bind
    from rrjax.cells.binding import bind_vector as bind_vector
    from rrjax.cells.binding import initial_state as initial_state
    from rrjax.cells.binding import puzzle_vector as puzzle_vector
    from rrjax.cells.params import check_arrays as check_arrays
    from rrjax.cells.params import flatten as flatten
    from rrjax.cells.params import init_params as init_params
    from rrjax.cells.params import is_trained as is_trained
    from rrjax.cells.params import param_shapes as param_shapes
    from rrjax.cells.params import unflatten as unflatten

_BINDING = ("Readout", "bind", "bind_vector", "initial_state", "puzzle_vector")
_PARAMS = ("check_arrays", "flatten", "init_params", "is_trained", "param_shapes", "unflatten")
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
_HOMES = {**dict.fromkeys(_BINDING, "binding"), **dict.fromkeys(_PARAMS, "params")}


def __getattr__(name: str) -> Any:
    if name == "nnx":
        return importlib.import_module("rrjax.cells.nnx")
    if name not in _HOMES:
        raise AttributeError(f"module 'rrjax.cells' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rrjax.cells.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "nnx"])
