"""A model run for many segments: what more compute gives, and where the failures go."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.analysis.rollouts import RolloutSummary, summarize_rollout
from rrjax.analysis.survival import rest_segments, rest_tolerance
from rrjax.checks import check_number
from rrjax.choices import AskedChunkSize, Outcome, Precision
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.rollout import drift, observe_and_take, residual
from rrjax.experiments import paths, votes
from rrjax.experiments.experiment import (
    Experiment,
    Job,
    check_readout,
    chosen_readout,
    precision_notes,
)
from rrjax.experiments.judging import Judge, outcome_arrays
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, take
from rrjax.experiments.votes import make_copies, vote_arrays, vote_notes
from rrjax.outcomes import changed_clues, violations
from rrjax.plots.canvas import Draw
from rrjax.plots.rollouts import accuracy_against_compute, survival_of_failures
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.sudoku import geometry, size_of
from rrjax.reports import rollouts as report
from rrjax.reports.findings import rollout_findings
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_UNITS = {
    "solved": "whether the answer after the segment is right",
    "token_accuracy": "share of the known tokens that are right",
    "violations": "digits missing in rows, columns and boxes",
    "changed_clues": "clues that the answer does not keep",
    "q_halt": "logit of 'the answer is right'",
    "residual": "norm of the change over a segment / norm of the state after it",
    "drift_": "norm of the change of a state over a segment",
}
_AXES = ("puzzle", "segment")
_KINDS = {"solved": "b", "violations": "i", "changed_clues": "i"}
ARRAYS = {name: ArraySpec(_AXES, unit, _KINDS.get(name, "f")) for name, unit in _UNITS.items()}
ARRAYS |= outcome_arrays(*_AXES) | paths.path_arrays("puzzle")
ARRAYS |= votes.ARRAYS


def rollout(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_segments: int = 256,
    seed: int = 0,
    precision: Precision = "exact",
    symmetries: int = 1,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Runs a model for many segments, and measures accuracy against compute and late solutions.

    With the same folder another readout segment or halting rule computes nothing again. A rollout
    draws no random numbers, so that its seed is only recorded.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.

    The other arguments are those of `spectrum`.

    Returns:
      Arrays (N, segments): `solved` booleans; float32 `token_accuracy` (NaN where no answer is
      known), `q_halt`, `residual`, and `drift_z_H` and so on. Sudokus also have int16 `violations`
      and `changed_clues`, which need no solution: both are 0 for a valid answer alone. Mazes and
      Sudokus without labels also have the outcomes by name, in booleans. With symmetries also
      `vote_solved` booleans and `vote_share` (N,). Beside these the path of each run
      (`rrjax.experiments.paths`): `inputs` and `labels` (N, seq), and `answers_by_segment`,
      `projection` and `distance_to_end` after the segments `snapshot`.

    Raises:
      ValueError: The puzzles or sizes do not fit the model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.rollout(model, puzzles, num_segments=2, progress=False)
      >>> run.solved.shape
      (2, 2)
    """
    place = folder, chunk_size, shard
    job = Job(ROLLOUT, model, puzzles, num_segments, seed, precision, *place, progress, outcome)
    copies = make_copies(job, symmetries)
    kept = paths.snapshots(num_segments)
    compute = partial(_measure, job, kept)
    shared = getattr(model, "params", ()), sudoku_units(puzzles), paths.matrix_of(job.dynamics)
    identity = {"puzzles": job.described_puzzles["sha256"], **paths.IDENTITY}
    prepare, number = partial(take, puzzles), len(puzzles.inputs)
    arrays = job.sweep(compute, prepare, number, 0, identity, shared)
    arrays = job.judge.with_solved(arrays) | vote_arrays(job, copies)
    arrays = paths.with_projection(arrays, job, kept) | paths.puzzle_arrays(puzzles)
    return job.results(arrays, {}, clock="segment", symmetries=symmetries)


def _measure(
    job: Job, kept: np.ndarray, shared: tuple[Any, Array | None, Array], chunk: Batch
) -> dict[str, Array]:
    params, units, matrix = shared

    def one(puzzle: Batch) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        facts = puzzle, job.judge.path_length(puzzle), units
        observe = Partial(partial(observe_segment, job.judge), *facts)
        snapshot = Partial(paths.take_snapshot, matrix)
        _, numbers, taken = observe_and_take(
            dynamics, observe, snapshot, kept.tolist(), precision=job.precision
        )
        return numbers | taken

    return jax.vmap(one)(chunk)


def observe_segment(
    judge: Judge,
    puzzle: Batch,
    path_length: Array | None,
    units: Array | None,
    dynamics: Dynamics,
    before: State,
    after: State,
    frame: Any,
) -> dict[str, Array]:
    """Returns numbers of one segment, in float32 and narrow integers, since there may be millions.

    `path_length` is that of the judge, `units` are the (3n, n) cells of the rows, columns and boxes
    of a Sudoku.
    """
    answer = read_answer(dynamics, after)
    tokens, known = answer.logits.argmax(-1), puzzle.labels != IGNORE_LABEL
    right = jnp.sum((tokens == puzzle.labels) & known)
    norms = {f"drift_{name}": norm for name, norm in named_fields(drift(before, after)).items()}
    numbers = norms | {
        "token_accuracy": right / known.sum(),
        "q_halt": answer.q_halt,
        "residual": residual(before, after),
    }
    kept = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    kept |= judge(puzzle, path_length, tokens)
    if units is not None:
        kept["violations"] = violations(tokens, units)
        kept["changed_clues"] = changed_clues(puzzle.inputs, tokens)
    return kept


def sudoku_units(puzzles: Puzzles) -> np.ndarray | None:
    """Returns the (3n, n) cells of rows, columns and boxes of Sudokus; None for other puzzles."""
    if not isinstance(puzzles, PuzzleSet):
        return None
    size = size_of(puzzles.metadata.seq_len, puzzles.metadata.vocab_size)
    return None if size is None else geometry(size).units


def check(
    options: Mapping[str, Any],
    readout_segment: int | None = None,
    halt_q: float | None = None,
    halt_residual: float | None = None,
) -> None:
    """Refuses a readout after a segment that is not run, and thresholds that are no numbers."""
    check_readout(options, readout_segment)
    if halt_q is not None:
        check_number("halt_q", halt_q)
    if halt_residual is not None:
        check_number("halt_residual", halt_residual, above=0)


def numbers(
    results: Results,
    readout_segment: int | None = None,
    halt_q: float | None = None,
    halt_residual: float | None = None,
) -> RolloutSummary:
    """Returns accuracy against compute, escape of the failures, and what halting would save.

    Args:
      results: The rollouts.
      readout_segment: Segment whose failures are followed, counted from 1. Without it this is the
        16th, at which models are trained to answer, or the last if there are fewer.
      halt_q: Report what it would save to halt where q_halt is above this. The official TRM has 0.
      halt_residual: Report what it would save to halt where the relative residual is below this.
    """
    segment = chosen_readout(results, readout_segment)
    rules = {}
    if halt_q is not None:
        rules[f"q_halt > {halt_q:g}"] = results["q_halt"] > halt_q
    if halt_residual is not None:
        rules[f"residual < {halt_residual:g}"] = results["residual"] < halt_residual
    updates = results.record["updates_per_segment"]
    return summarize_rollout(results, updates, segment, rules, _tolerance(results))


def figures(results: Results, readout_segment: int | None = None) -> Mapping[str, Draw]:
    """Returns the figures of rollouts.

    Args:
      results: The rollouts.
      readout_segment: As in `numbers`.
    """
    segment = chosen_readout(results, readout_segment)
    arguments = (results["solved"], results.record["updates_per_segment"], segment)
    rest = rest_segments(results["residual"], _tolerance(results))
    return {
        "accuracy_against_compute": partial(accuracy_against_compute, *arguments),
        "survival_of_failures": partial(survival_of_failures, *arguments, rest),
    }


def _tolerance(results: Results) -> float:
    return rest_tolerance(results.record["options"]["dtype"])


def notes(results: Results) -> list[str]:
    """Returns what votes solve, and how exactly the rollouts were computed."""
    return [*vote_notes(results), *precision_notes(results)]


ROLLOUT = Experiment(
    "rollout",
    ARRAYS,
    numbers,
    report.tables,
    figures,
    check,
    notes,
    findings=rollout_findings,
)
