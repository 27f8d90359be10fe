"""Networks of the sizes that scripts trace, compile and time."""

import functools
from typing import Any

import jax

from rrjax.cells import Arch, Config, init_params
from rrjax.models import load_model


def official_mlp(width: int = 512) -> Config:
    """Returns the official TRM-MLP for 9×9 Sudoku, or one of another width."""
    return official(width, "trm", mlp_t=True, pos_encodings="none")


def official(width: int, name: str, **more: Any) -> Config:
    """Returns an official Sudoku network, which has 81 tokens behind the puzzle tokens."""
    arch = Arch(
        name,  # type: ignore[arg-type]
        hidden_size=width,
        num_heads=8,
        puzzle_emb_ndim=width,
        puzzle_emb_len=16 if name == "trm" else 0,
        **_CYCLES[name],
        **more,
    )
    return Config(arch, seq_len=81, vocab_size=11)


_CYCLES: dict[str, dict[str, int]] = {
    "trm": {"H_cycles": 3, "L_cycles": 6, "L_layers": 2},
    "hrm": {"H_cycles": 2, "L_cycles": 2, "H_layers": 4, "L_layers": 4},
}


def bundled(name: str) -> Config:
    """Returns the config of a bundled model."""
    return load_model(name).config


def parameters(config: Config) -> Any:
    """Returns the shapes of a config's parameters."""
    return jax.eval_shape(functools.partial(init_params, config=config), jax.random.key(0))
