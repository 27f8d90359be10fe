"""Accuracy by the number of blank cells and of segments, of Sudokus that are filled in part."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.fillings import BlankSummary, summarize_blanks
from rrjax.checks import check_count, refuse
from rrjax.choices import AskedChunkSize
from rrjax.dynamics.rollout import observe_segments
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, observe_tokens, take
from rrjax.page.fillings import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.fillings import accuracy_by_blanks
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.sudoku import BLANK_TOKEN, from_tokens, size_of
from rrjax.puzzles.sudoku_solver import solve_sudoku
from rrjax.reports import fillings as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_BY = ("puzzle", "level", "segment")
ARRAYS = {
    "num_blank": ArraySpec(("puzzle", "level"), "blank cells", "i"),
    "cells_right": ArraySpec(_BY, "share of the blank cells that are right"),
    "solved": ArraySpec(_BY, "whether all blank cells are right", "b"),
}


def blanks(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    levels: Sequence[int] = (1, 2, 4, 8, 16, 20, 32, 40, 48),
    num_segments: int = 16,
    seed: int = 0,
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Measures accuracy by the number of blank cells and of segments, on blank cells alone.

    Each Sudoku has one solution. So it has one when more of its cells are given: for each level all
    blank cells but so many are filled with their labels, chosen at random and nested, so that a
    cell that is blank at a level is blank at all higher ones. The last level is the puzzle itself.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: Sudokus with their solutions, N of them.
      levels: Numbers of cells that stay blank; those that not every puzzle has are left out.
      num_segments: Number of segments of each run.
      seed: Draws which cells stay blank.

    The other arguments are those of `spectrum`.

    Returns:
      `num_blank` (N, levels); `cells_right` and `solved` (N, levels, segments).

    Raises:
      ValueError: The puzzles are no Sudokus, one has no label or several solutions, or the folder
        holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.blanks(
      ...     model, puzzles, levels=[1, 4], num_segments=3, progress=False
      ... )
      >>> run.num_blank[0, :2].tolist(), run.solved.shape
      ([1, 4], (2, 3, 3))
    """
    for level in levels:
        check_count("levels", level, least=1)
    place = folder, chunk_size, shard
    job = Job(BLANKS, model, puzzles, num_segments, seed, "exact", *place, progress)
    batch = _checked(puzzles)
    order = _random_order(batch, seed)  # (N, cells) place of a blank cell, −1 where it is given
    number = order.max(axis=1) + 1
    kept = [level for level in sorted(set(levels)) if level < number.min()]
    limits = np.stack([*(np.full_like(number, level) for level in kept), number], axis=1)

    def prepare(items: np.ndarray) -> tuple[Batch, np.ndarray]:
        puzzle, level = np.divmod(items, limits.shape[1])
        chosen = take(puzzles, puzzle)
        blank = (order[puzzle] >= 0) & (order[puzzle] < limits[puzzle, level][:, None])
        inputs = np.where(blank, BLANK_TOKEN, chosen.labels).astype(np.int32)
        return chosen._replace(inputs=inputs), blank

    identity = {"puzzles": job.described_puzzles["sha256"], "levels": kept}
    arrays = job.sweep(partial(_measure, job), prepare, limits.size, 0, identity)
    arrays = {name: rows.reshape(*limits.shape, -1) for name, rows in arrays.items()}
    return job.results(arrays | {"num_blank": limits}, {"levels": kept}, clock="segment")


def _checked(puzzles: Puzzles) -> Batch:
    """Returns all puzzles, after a look at whether each is a Sudoku with one known solution."""
    if not isinstance(puzzles, PuzzleSet):
        raise ValueError("blanks: expected a set of Sudokus, since other puzzles cannot be filled")
    meta = puzzles.metadata
    if size_of(meta.seq_len, meta.vocab_size) is None:
        refuse("puzzles", "be Sudokus, since other puzzles cannot be filled", puzzles.source)
    batch = take(puzzles, np.arange(len(puzzles)))
    unknown = np.flatnonzero((batch.labels == IGNORE_LABEL).any(axis=1))
    if len(unknown):
        raise ValueError(f"{puzzles.source}: puzzle {unknown[0]} has no label to be filled with")
    for index, board in enumerate(from_tokens(batch.inputs)):
        if solve_sudoku(board).count != 1:
            raise ValueError(
                f"{puzzles.source}: puzzle {index} has several solutions or none; expected one"
            )
    return batch


def _random_order(batch: Batch, seed: int) -> np.ndarray:
    """Returns (N, cells) a random rank from 0 among the blank cells of each puzzle, else −1."""
    draws = np.random.default_rng(seed).random(batch.inputs.shape)
    draws = np.where(batch.inputs == BLANK_TOKEN, draws, 2.0)
    ranks = draws.argsort(axis=1).argsort(axis=1)
    return np.where(batch.inputs == BLANK_TOKEN, ranks, -1)


def _measure(job: Job, params: Any, chunk: tuple[Batch, Array]) -> dict[str, Array]:
    def one(puzzle: Batch, blank: Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        tokens = observe_segments(dynamics, observe_tokens, job.num_segments)[1]
        right = jnp.sum((tokens == puzzle.labels) & blank, axis=1)
        share = (right / blank.sum()).astype(jnp.float32)
        return {"cells_right": share, "solved": right == blank.sum()}

    return jax.vmap(one)(*chunk)


def numbers(results: Results) -> BlankSummary:
    """Returns the accuracies by level and segment."""
    return summarize_blanks(results)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the map of accuracies by blank cells and segments."""
    return {"accuracy_by_blanks": partial(accuracy_by_blanks, numbers(results))}


BLANKS = Experiment(
    "blanks", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
