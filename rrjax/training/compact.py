"""A run in little space: what it goes on from on another machine, and what that leaves out.

Of the state of a run the weights, the counters and the puzzles of the slots are kept to the bit.
The moments of the optimizer are kept in bfloat16, and so is the difference between the averaged
and the current weights. The states of the slots are not kept: the run computes them again, from
their starts and with the weights as they are, where the slots had run with those of each step.

What that costs was measured after 150 steps of small runs (4x4 Sudokus, a TRM of width 32, Muon,
32 staggered slots, three seeds): the loss of the next 100 steps, 1.13 on average, differed by .03
in a single step and by .0002 to .011 in the mean. Where all slots took new puzzles instead, single
steps differed by .05 to .07 and the mean by .02 to .05.
"""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from rrjax.cells import Config, config_from_dict, initial_state, unflatten
from rrjax.checks import read_block
from rrjax.contract import State
from rrjax.keys import make_key
from rrjax.store import (
    check_format,
    format_entry,
    hold_folder,
    new_folder,
    read_result,
    write_result,
)
from rrjax.training.act import choose_rows, run_slots
from rrjax.training.augment import noise_key, start_of_slot
from rrjax.training.checkpoints import Checkpoints, named
from rrjax.training.history import load_run
from rrjax.training.placement import Placement
from rrjax.training.run_folder import CONFIG
from rrjax.training.settings import Recipe
from rrjax.training.state import TrainState, init_train_state
from rrjax.training.step import TABLE
from rrjax.training.task import TrainingTask
from rrjax.training.winners import share_answers, winners

COMPACT = "compact.npz"
"""The arrays of a compact run, with a record beside them."""

_FORMAT = ("compact run", 1)


def compact_run(run: Path, out: Path) -> tuple[int, int]:
    """Writes a folder from which a run goes on, with its newest checkpoint in little space.

    `rrjax train` with the options of the run and `--out OUT` goes on from it. The models and the
    checkpoints of the run are left out.

    Args:
      run: a run folder; nobody may be training in it.
      out: absent or empty.

    Returns:
      The number of optimizer steps done, and the size of the compact checkpoint in bytes.

    Raises:
      ValueError: if `run` is no run or has no whole checkpoint, or `out` holds anything.
    """
    with new_folder(out) as folder:
        identity = load_run(run).config["identity"]
        config = config_from_dict(identity["config"])
        recipe = read_block(Recipe, "recipe", identity["recipe"])
        with hold_folder(run, "trained"), closing(Checkpoints(run / "checkpoints")) as checkpoints:
            restored = checkpoints.restore(init_train_state(config, recipe))
            for path in (run / CONFIG, *run.glob("*.csv")):
                shutil.copy(path, folder)
        if restored is None:
            raise ValueError(f"{run} has no checkpoint yet: let it run longer")
        state, record = restored
        arrays = {name: np.asarray(leaf) for name, leaf in named(_reduced(state)).items()}
        content = {**format_entry(*_FORMAT), "record": record}
        write_result(folder / COMPACT, _plain(arrays), content)
        size = sum((folder / COMPACT).with_suffix(end).stat().st_size for end in (".npz", ".json"))
    return int(state.step), size


def restore_compact(
    folder: Path, like: TrainState, task: TrainingTask, placement: Placement
) -> tuple[TrainState, dict[str, Any]] | None:
    """Returns the state and the record of a compact run, or None if the folder holds none.

    Args:
      folder: a run folder.
      like: a state with the expected shapes and types.
      task: what is trained.
      placement: where the arrays go.

    Raises:
      ValueError: if the files are damaged, of another version, or of another architecture.
    """
    path = folder / COMPACT
    if not path.with_suffix(".json").is_file():
        return None
    try:
        arrays, record = read_result(path)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} was made by `rrjax compact` and cannot be read: {error}; make it again"
        ) from error
    check_format(record, *_FORMAT, path.with_suffix(".json"))
    reduced = jax.eval_shape(_reduced, like)
    stored = {name: np.empty(leaf.shape, leaf.dtype) for name, leaf in named(reduced).items()}
    kinds = ({n: (a.shape, a.dtype) for n, a in each.items()} for each in (arrays, _plain(stored)))
    if next(kinds) != next(kinds):
        raise ValueError(f"{path} is of another architecture or recipe than this run")
    leaves = [arrays[name].view(leaf.dtype) for name, leaf in stored.items()]
    state = _enlarged(jax.tree.unflatten(jax.tree.structure(reduced), leaves), like)
    recipe = replace(task.recipe, seed=0)  # the state has the seed
    state, _ = placement.jit(run_again)(task.config, recipe, placement.state(state))
    return state, record["record"]


def _reduced(state: TrainState) -> TrainState:
    """Returns a state with moments and average in bfloat16 and without the states of its slots."""
    shapes = {leaf.shape for leaf in state.trained.values() if leaf.ndim > 1}

    def rounded(leaf: Array) -> Array:
        return leaf.astype(jnp.bfloat16) if leaf.shape in shapes else leaf

    average = {
        name: (leaf - state.trained[name]).astype(jnp.bfloat16)
        for name, leaf in state.average.items()
    }
    return state._replace(
        optimizer=jax.tree.map(rounded, state.optimizer),
        average=average,
        slots=state.slots._replace(state=()),
        floss=jax.tree.map(rounded, state.floss),
    )


def _enlarged(reduced: TrainState, like: TrainState) -> TrainState:
    """Undoes `_reduced` up to the rounding; the states of the slots are zeros."""
    average = {
        name: reduced.trained[name] + leaf.astype(reduced.trained[name].dtype)
        for name, leaf in reduced.average.items()
    }
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like.slots.state)
    whole = reduced._replace(average=average, slots=reduced.slots._replace(state=empty))
    return jax.tree.map(lambda leaf, wanted: leaf.astype(wanted.dtype), whole, like)


def _plain(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays with the bits of bfloat16 as integers, because .npz has no such type."""
    return {
        name: array.view(np.uint16) if array.dtype == jnp.bfloat16 else array
        for name, array in arrays.items()
    }


def run_again(config: Config, recipe: Recipe, state: TrainState) -> tuple[TrainState, dict]:
    """Runs every slot from its start for as many segments as it has run, with today's weights.

    Trajectories of a puzzle share the answer of the best where the recipe says so. The puzzles,
    the counts of segments and the noise of the starts are those that the slots had.

    Args:
      config: the cell (static).
      recipe: hyperparameters (static). The seed that counts is `state.seed`.
      state: the state, whose slots' states are not read.

    Returns:
      The state with those of its slots, and no metrics.
    """
    slots, augmentation = state.slots, recipe.augmentation
    params = unflatten(state.trained | state.fixed)
    initial = initial_state(params, config)
    table = state.fixed.get(TABLE)
    vectors = None if table is None else table[slots.batch.puzzle_ids]

    def start(slot: Array, steps: Array) -> State:
        begun = state.step - steps
        return start_of_slot(noise_key(state.seed, begun), initial, augmentation, begun, slot)

    def segment(states: State, index: Array) -> State:
        key = make_key(0)  # of a halting that is not read
        segment = run_slots(params, vectors, config, slots._replace(state=states), key)
        after = segment.slots.state
        if augmentation.objective == "winner_takes_all":
            after = share_answers(after, winners(segment, config, recipe), config)
        return choose_rows(index < slots.steps, after, states)

    states = jax.vmap(start)(jnp.arange(slots.steps.shape[0]), slots.steps)
    segments = jnp.arange(config.arch.halt_max_steps)
    states, _ = jax.lax.scan(lambda states, index: (segment(states, index), None), states, segments)
    return state._replace(slots=slots._replace(state=states)), {}
