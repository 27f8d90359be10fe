"""What long runs keep of every segment of a puzzle: numbers, never logits or states."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.rollout import drift, residual
from rrjax.puzzles import PuzzleSet, geometry
from rrjax.puzzles.sudoku import size_of
from rrjax.training.validity import VALID_PATH, is_valid_path

_FIRST_DIGIT = 2
"""Tokens of a Sudoku: padding 0, blank 1, digit d → d + 1."""


class Task(NamedTuple):
    """A puzzle and what is known of its answer; arrays may have leading axes of puzzles.

    Attributes:
      tokens: (seq,) the input.
      puzzle_id: row of the puzzle embedding.
      labels: (seq,) the answer.
      known: (seq,) where the answer is known.
    """

    tokens: Any
    puzzle_id: Any
    labels: Any
    known: Any


def tasks(puzzles: PuzzleSet, items: np.ndarray) -> Task:
    """The tasks of some puzzles, stacked."""
    labels = puzzles.labels[items]
    known = labels != puzzles.metadata.ignore_label_id
    return Task(puzzles.inputs[items], puzzles.puzzle_ids[items], labels, known)


def sudoku_units(puzzles: PuzzleSet) -> np.ndarray | None:
    """The (3n, n) cells of rows, columns and boxes of n × n Sudokus; None for other puzzles."""
    size = size_of(puzzles.metadata.seq_len, puzzles.metadata.vocab_size)
    return None if size is None else geometry(size).units


def observe(
    task: Task, units: Array | None, dynamics: Dynamics, before: State, after: State, frame: Any
) -> dict[str, Array]:
    """Numbers of one segment; float32 and narrow integers, since there may be millions."""
    seen, answers = _observed(task, dynamics, before, after)
    if units is not None:
        seen["violations"] = violations(answers, units)
        seen["changed_clues"] = changed_clues(task.tokens, answers)
    return seen


def observe_maze(
    task: Task, dynamics: Dynamics, before: State, after: State, frame: Any
) -> dict[str, Array]:
    """`observe` of a maze, with whether the answer is a valid path."""
    seen, answers = _observed(task, dynamics, before, after)
    return seen | {VALID_PATH: is_valid_path(task.tokens, answers)}


def _observed(
    task: Task, dynamics: Dynamics, before: State, after: State
) -> tuple[dict[str, Array], Array]:
    """The numbers that all puzzles have, and the answer."""
    readout = dynamics.readout(dynamics.context, after)
    answers = readout.logits.argmax(-1)
    right, num_known = jnp.sum((answers == task.labels) & task.known), task.known.sum()
    moved = {f"drift_{name}": norm for name, norm in named_fields(drift(before, after)).items()}
    numbers = moved | {
        "token_accuracy": right / num_known,
        "q_halt": readout.q_halt,
        "residual": residual(before, after),
    }
    seen = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    seen["solved"] = (right == num_known) & (num_known > 0)
    return seen, answers


def violations(answers: Array, units: Array) -> Array:
    """`rrjax.puzzles.violations` of one answer (cells,) in tokens, in a compiled program; int16."""
    number, size = units.shape
    digits = _FIRST_DIGIT + jnp.arange(size)
    found = (answers[units][:, :, None] == digits).any(axis=1)
    return (number * size - found.sum()).astype(jnp.int16)


def changed_clues(tokens: Array, answers: Array) -> Array:
    """How many clues of a Sudoku (cells,) an answer (cells,) does not keep; int16."""
    clues = tokens >= _FIRST_DIGIT
    return jnp.sum(clues & (answers != tokens)).astype(jnp.int16)


def is_right(task: Task, answers: Array) -> Array:
    """Which answers (..., seq) of one puzzle agree with all labels that are known, if any is."""
    return ((answers == task.labels) | ~task.known).all(-1) & task.known.any()
