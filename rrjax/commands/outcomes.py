"""What long runs keep of every segment of a puzzle: numbers, never logits or states."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.rollout import drift, residual
from rrjax.outcomes import VALID_PATH, changed_clues, is_solved, is_valid_path, violations
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.sudoku import geometry, size_of


def sudoku_units(puzzles: PuzzleSet) -> np.ndarray | None:
    """The (3n, n) cells of rows, columns and boxes of n × n Sudokus; None for other puzzles."""
    size = size_of(puzzles.metadata.seq_len, puzzles.metadata.vocab_size)
    return None if size is None else geometry(size).units


def observe(
    puzzle: Batch, units: Array | None, dynamics: Dynamics, before: State, after: State, frame: Any
) -> dict[str, Array]:
    """Numbers of one segment; float32 and narrow integers, since there may be millions."""
    seen, answers = _observed(puzzle, dynamics, before, after)
    if units is not None:
        seen["violations"] = violations(answers, units)
        seen["changed_clues"] = changed_clues(puzzle.inputs, answers)
    return seen


def observe_maze(
    puzzle: Batch, dynamics: Dynamics, before: State, after: State, frame: Any
) -> dict[str, Array]:
    """`observe` of a maze, with whether the answer is a valid path."""
    seen, answers = _observed(puzzle, dynamics, before, after)
    return seen | {VALID_PATH: is_valid_path(puzzle.inputs, answers)}


def _observed(
    puzzle: Batch, dynamics: Dynamics, before: State, after: State
) -> tuple[dict[str, Array], Array]:
    """The numbers that all puzzles have, and the answer."""
    readout = dynamics.readout(dynamics.context, after)
    answers = readout.logits.argmax(-1)
    known = puzzle.labels != IGNORE_LABEL
    right = jnp.sum((answers == puzzle.labels) & known)
    moved = {f"drift_{name}": norm for name, norm in named_fields(drift(before, after)).items()}
    numbers = moved | {
        "token_accuracy": right / known.sum(),
        "q_halt": readout.q_halt,
        "residual": residual(before, after),
    }
    seen = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    seen["solved"] = is_solved(answers, puzzle.labels)
    return seen, answers
