"""Sizes of networks that scripts trace and compile, without weights."""

import functools
from typing import Any

import jax
from benchmark import official

from rrjax.cells import Config, init_params
from rrjax.models import load_model


def official_mlp() -> Config:
    """TRM-MLP for 9×9 Sudoku."""
    return official(512, "trm", mlp_t=True, pos_encodings="none")


def bundled(name: str) -> Config:
    """A model in the box."""
    return load_model(name).config


def parameters(config: Config) -> Any:
    """Shapes of a config's parameters."""
    return jax.eval_shape(functools.partial(init_params, config=config), jax.random.key(0))
