"""A task small enough to be trained inside a test: 4x4 Sudokus, a TRM of width 32."""

import dataclasses
import functools
from typing import Any

import jax

from rrjax.cells import Arch, Config, bind
from rrjax.contract import run_segment
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.step import train_step
from rrjax.training.task import TrainingTask

ARCH = Arch(
    hidden_size=32,
    num_heads=2,
    expansion=2.0,
    H_cycles=1,
    L_cycles=2,
    L_layers=1,
    mlp_t=True,
    pos_encodings="none",
    puzzle_emb_ndim=32,
    halt_max_steps=4,
    halt_exploration_prob=0.5,
)
CONFIG = Config(ARCH, seq_len=16, vocab_size=6)
compiled_step = jax.jit(train_step, static_argnums=(0, 1), donate_argnums=2)
"""The program of a step that the loop runs on one device; it takes the state's buffers."""

RECIPE = Recipe(global_batch_size=8, steps=30, lr=1e-3, lr_warmup_steps=5, ema_rate=0.9, seed=1)
LOOP = LoopSettings(log_every=5, eval_every=10, checkpoint_every=5)
SUDOKU = ("--size", "4", "--num-train", "24", "--num-test", "12", "--seed", "3")


@functools.cache
def sets():
    """24 training and 12 test puzzles, those of the command with the options `SUDOKU`."""
    return sudoku_sets(size=4, num_train=24, num_test=12, seed=3)


def task(**changes: Any) -> TrainingTask:
    """The task, with some of the recipe changed."""
    train, test = sets()
    return TrainingTask(CONFIG, dataclasses.replace(RECIPE, **changes), train, test, augment=True)


def options(record: Any, prefix: str = "") -> list[str]:
    """The command-line options that give a dataclass's fields their values."""
    found = []
    for name, value in ((f.name, getattr(record, f.name)) for f in dataclasses.fields(record)):
        flag = prefix + name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            found += options(value, f"{flag}.")
        elif isinstance(value, tuple):
            found += [f"--{flag}", *map(str, value)]
        elif isinstance(value, bool) and name.startswith("no_"):
            found += [f"--{flag}", str(value)]
        elif isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--{prefix}no-{name.replace('_', '-')}")
        else:
            found += [f"--{flag}", str(value)]
    return found


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.vmap, in_axes=(None, None, 0, 0, 0))
def one_segment(config: Config, params: Any, tokens: Any, puzzle_id: Any, state: Any):
    """State and readout of every puzzle one segment later, by the contract alone."""
    dynamics = bind(params, config, tokens, puzzle_id)
    state = run_segment(dynamics, state)
    return state, dynamics.readout(dynamics.context, state)
