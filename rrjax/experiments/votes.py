"""Votes over symmetric copies of puzzles: what the answers to all of them together are worth."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.selection import fraction_of_puzzles, majority
from rrjax.dynamics.precision import in_precision
from rrjax.dynamics.rollout import run_segments
from rrjax.experiments.experiment import Job
from rrjax.experiments.judging import judge_all
from rrjax.experiments.reasoner import bind, read_answer, take
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.symmetric_copies import SymmetricCopies, symmetric_copies
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

ARRAYS = {
    "vote_solved": ArraySpec(
        ("puzzle",), "whether the answer that most symmetric copies give at the end is right", "b"
    ),
    "vote_share": ArraySpec(("puzzle",), "share of the symmetric copies that give this answer"),
}


def make_copies(job: Job, number: int) -> SymmetricCopies | None:
    """Returns symmetric copies of the puzzles of a run, whose answers are voted on.

    Args:
      job: The run.
      number: The number K of copies, including the puzzle itself; for 1 there is no vote.

    Raises:
      ValueError: The puzzles have no known symmetries, or not so many.
    """
    if number == 1:
        return None
    if not isinstance(job.puzzles, PuzzleSet):
        raise ValueError(
            "symmetries: expected a set of Sudokus or mazes, whose symmetries are known"
        )
    return symmetric_copies(job.puzzles, number, job.seed)


def vote_arrays(job: Job, copies: SymmetricCopies | None) -> Arrays:
    """Returns what votes over symmetric copies solve after the last segment of a run.

    The copies are run without tangents, and kept in the run's folder below `symmetries_K`.
    """
    if copies is None:
        return {}
    number = copies.number
    folder = None if job.folder is None else Path(job.folder) / f"symmetries_{number}"
    of_copies = replace(job, puzzles=copies.puzzles, folder=folder, outcome="auto")
    compute = partial(_last_answers, of_copies)
    identity = {"puzzles": of_copies.described_puzzles["sha256"]}
    prepare = partial(take, copies.puzzles)
    answers = of_copies.sweep(compute, prepare, len(copies.puzzles), 0, identity)["answers"]
    shape = len(job.puzzles.inputs), number, -1
    by_puzzle = copies.map_back(answers).reshape(shape)
    voted = by_puzzle[np.arange(shape[0]), majority(by_puzzle)]
    share = (by_puzzle == voted[:, None]).all(axis=2).mean(axis=1)
    return {
        "vote_solved": judge_all(job.judge, take(job.puzzles, np.arange(len(voted))), voted),
        "vote_share": share.astype(np.float32),
    }


def _last_answers(job: Job, params: Any, chunk: Batch) -> dict[str, jax.Array]:
    def one(puzzle: Batch) -> jax.Array:
        dynamics, number = bind(job.model, params, puzzle), job.num_segments
        running = in_precision(dynamics, job.precision)
        state = run_segments(running, dynamics.initial, dynamics.drives(number), number)
        return read_answer(dynamics, state).logits.argmax(-1)

    return {"answers": jax.vmap(one)(chunk)}


def vote_notes(results: Results) -> list[str]:
    """Returns the accuracy of the votes beside that of the puzzles alone, if there are votes."""
    if "vote_solved" not in results:
        return []
    solved = results["solved"]
    alone = solved if solved.ndim == 1 else solved[:, -1]
    both = [
        words.percent_interval(fraction_of_puzzles(right))
        for right in (results["vote_solved"], alone)
    ]
    return [
        f"Votes of {results.record['symmetries']} symmetric copies solve {both[0]} after the last "
        f"segment, the puzzles alone {both[1]} (95 % intervals)."
    ]
