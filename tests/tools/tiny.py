"""A 4x4 Sudoku model small enough to compile in a second, puzzles for it, and folders as bytes."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rrjax.cells import Arch, Config, bind, param_shapes, unflatten
from rrjax.contract import Dynamics
from rrjax.models import save_model
from rrjax.puzzles import PuzzleSet, build_sudokus, generate_sudokus

CONFIG = Config(
    Arch("trm", hidden_size=8, num_heads=1, H_cycles=2, L_cycles=2, L_layers=1, mlp_t=True),
    seq_len=16,
    vocab_size=6,
)
UPDATES = 6
"""Updates in one segment: two cycles of two latent updates and an answer."""


def weights(config: Config = CONFIG, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 arrays of LeCun's scale, none of them zero as upstream's q head is."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
        for name, shape in param_shapes(config).items()
    }


def write_model(folder: Path, seed: int = 0) -> Path:
    save_model(folder, weights(seed=seed), CONFIG, {"made": "by a test"})
    return folder


def dynamics64() -> Dynamics:
    """The tiny model on one puzzle, 256 components in float64, which must be enabled."""
    config = replace(CONFIG, arch=replace(CONFIG.arch, forward_dtype="float64"))
    params = unflatten({name: jnp.asarray(leaf, float) for name, leaf in weights().items()})
    return bind(params, config, jnp.asarray(puzzles(1).inputs[0], jnp.int32))


def puzzles(number: int, size: int = 4) -> PuzzleSet:
    return build_sudokus(generate_sudokus(size, number, seed=3))


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file under a folder with its bytes, every sub-folder with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
