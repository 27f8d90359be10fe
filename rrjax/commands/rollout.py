"""`rrjax rollout`: thousands of segments: what more compute gives, and where failures go."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import tyro
from jax.tree_util import Partial

from rrjax.analysis.rollouts import summarize_rollout
from rrjax.cells import Config, bind
from rrjax.checks import check_positive
from rrjax.commands import job
from rrjax.commands.outcomes import observe, observe_maze, sudoku_units
from rrjax.contract import count_updates
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import observe_segments
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import Model
from rrjax.outcomes import VALID_PATH, has_paths
from rrjax.plots.rollouts import accuracy_against_compute, survival_of_failures
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch, take_batch
from rrjax.reports.rollouts import tables
from rrjax.reports.terminal import draw_results, print_table
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.store import Arrays, write_result

_UNITS = {
    "solved": "whether the answer after the segment is right",
    "token_accuracy": "share of the known tokens that are right",
    "violations": "digits missing in rows, columns and boxes",
    "changed_clues": "clues that the answer does not keep",
    VALID_PATH: "whether the answer joins S to G and changes nothing else",
    "q_halt": "logit of 'the answer is right'",
    "residual": "norm of the change over a segment / norm of the state after it",
    "drift_": "norm of the change of a state over a segment",
}
_MEANINGS = {name: ArraySpec(("puzzle", "segment"), unit) for name, unit in _UNITS.items()}


@dataclass(frozen=True)
class Options(job.Options):
    """A model run for many segments: accuracy against compute, and escape of the failures.

    A killed run continues when the same command is given again; with another readout segment or
    rule for halting nothing is run again.

    Attributes:
      num_segments: segments each puzzle runs.
      readout_segment: whose failures are followed; models are trained to answer at the 16th.
      halt_q: say what halting where q_halt is above this would do; the official TRM has 0.
      halt_residual: say what halting where the relative residual is below this would do.
    """

    num_segments: int = 256
    readout_segment: int = 16
    halt_q: float | None = None
    halt_residual: float | None = None


def main(arguments: list[str]) -> None:
    """Parse, run, print the tables, write results and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax rollout")
    _check(options)
    model = job.start(options)
    puzzles = job.choose_puzzles(options, model)
    folder = job.output_folder("rollout", options, model)
    results = measure(options, model, puzzles)
    updates = count_updates(model.bind(puzzles.inputs[0]).schedule)
    rules = halting_rules(options, results)
    summary = summarize_rollout(results, updates, options.readout_segment, rules)
    facts = {
        "command": "rollout",
        "clock": "segment",
        "updates_per_segment": updates,
        **describe_arrays(results, _MEANINGS),
        "summary": asdict(summary),
    }
    write_result(folder / "results.npz", results, job.record(options, model, **facts))
    for table in tables(summary):
        print_table(table)
    seen = (results["solved"], updates, options.readout_segment)
    draw_results(
        folder,
        {
            "accuracy_against_compute": partial(accuracy_against_compute, *seen),
            "survival_of_failures": partial(survival_of_failures, *seen),
        },
    )


def measure(options: Options, model: Model, puzzles: PuzzleSet) -> Arrays:
    """Numbers of every segment of every puzzle, computed chunk by chunk in the output folder.

    Returns:
      Arrays (N, segments): `solved` booleans; float32 `token_accuracy` (NaN where no answer is
      known), `q_halt`, `residual` and `drift_z_H` and so on; of Sudokus int16 `violations` and
      `changed_clues`, which need no solution: both are 0 for a valid answer alone; of mazes
      booleans `valid_path`, which needs none either.

    Raises:
      ValueError: for puzzles or sizes that do not fit the model, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    compute = partial(_measure, model.config, options.num_segments)
    work = ChunkProgram(
        compute, (model.params, sudoku_units(puzzles)), partial(take_batch, puzzles)
    )
    identity = {"puzzles": puzzles.digest()}
    chunk = job.default_chunk(model, 0)
    return job.sweep("rollout", options, model, work, len(puzzles), chunk, identity)


def _measure(
    config: Config, num_segments: int, shared: tuple[Any, Any], chunk: Batch
) -> dict[str, jax.Array]:
    """One chunk of puzzles."""
    params, units = shared

    def one(puzzle: Batch) -> dict[str, jax.Array]:
        dynamics = bind(params, config, puzzle.inputs, puzzle.puzzle_ids)
        seen_by = (
            Partial(observe_maze, puzzle) if has_paths(config) else Partial(observe, puzzle, units)
        )
        # as in a spectrum, so that both commands see the same trajectory on every device
        with exact_products():
            return observe_segments(dynamics, seen_by, num_segments)[1]

    return jax.vmap(one)(chunk)


def halting_rules(options: Options, results: Arrays) -> dict[str, np.ndarray]:
    """By name, (N, segments) where each rule that was asked for would halt."""
    rules = {}
    if options.halt_q is not None:
        rules[f"q_halt > {options.halt_q:g}"] = results["q_halt"] > options.halt_q
    if options.halt_residual is not None:
        rules[f"residual < {options.halt_residual:g}"] = results["residual"] < options.halt_residual
    return rules


def _check(options: Options) -> None:
    check_positive(options, ("num_segments",))
    job.check_readout(options.readout_segment, options.num_segments)
    for name, lowest in (("halt_q", -np.inf), ("halt_residual", 0)):
        threshold = getattr(options, name)
        if threshold is not None and not (np.isfinite(threshold) and threshold > lowest):
            wanted = "a number" if lowest < 0 else "a positive number"
            raise ValueError(f"{name} must be {wanted}, got {threshold}")
