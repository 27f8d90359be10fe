"""Restarts from perturbed starts: from which starts near z0 does a model find the answer?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax

from rrjax.analysis.restarts import BasinSummary, summarize_basin
from rrjax.checks import MOST_RUNS, check_count, check_number
from rrjax.choices import AskedChunkSize, Outcome, Precision
from rrjax.contract import Dynamics
from rrjax.dynamics.starts import perturb, start_scale
from rrjax.experiments import restarts
from rrjax.experiments.experiment import Experiment, Job, check_readout, chosen_readout
from rrjax.experiments.reasoner import Puzzles, Reasoner
from rrjax.plots.canvas import Draw
from rrjax.plots.restarts import solve_rate_of_failures
from rrjax.puzzles.difficulty import difficulty
from rrjax.reports import restarts as report
from rrjax.reports.findings import basin_findings
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

ARRAYS = restarts.ARRAYS | {"sigma": ArraySpec(("run",), "noise of the start / std(H_init)")}


def basin(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    sigmas: Sequence[float] = (0.0, 0.1, 0.3, 1.0),
    num_restarts: int = 8,
    num_segments: int = 48,
    states: Sequence[str] = (),
    num_exponents: int = 0,
    seed: int = 0,
    precision: Precision = "exact",
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Restarts a model from perturbed starts, and measures which failures the start decides.

    The starts are z0 + σ · std(H_init) · noise. The unperturbed start z0 always runs once, and
    failures are those of its run. With the same folder another readout segment computes nothing
    again.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, N of them.
      sigmas: Sizes of the noise, relative to the spread of the model's initial vector.
      num_restarts: The number K of starts for each σ above 0. All σ have the same K directions.
      states: Fields of the state that are perturbed, such as z_H z_L; none stands for all.
      num_exponents: Number of leading exponents that are measured along every run; 0 means none.

    The other arguments are those of `spectrum`.

    Returns:
      `solved` (N, runs, segments) booleans; `answers` (N, runs, seq) tokens; float32 `q_halt`,
      `residual` and `late_drift` (N, runs); with exponents also `exponents` (N, runs, k) in nats
      per update; of each run `sigma` and `repeat` (runs,). Run 0 starts at z0. Up to 8,192 runs
      in all have their paths too (`rrjax.experiments.paths`): `q_halt_by_segment`,
      `residual_by_segment` and `drift_z_H` (N, runs, segments), and `answers_by_segment`,
      `projection` and `distance_to_end` after the segments `snapshot`. `inputs` and `labels` are
      (N, seq).

    Raises:
      ValueError: The numbers make no sweep, the puzzles or sizes do not fit the model, or the
        folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.basin(
      ...     model, puzzles, sigmas=[0.3], num_restarts=1, num_segments=2, progress=False
      ... )
      >>> run.solved.shape, run.sigma.tolist()
      ((2, 2, 2), [0.0, 0.3])
    """
    check_count("num_restarts", num_restarts, least=1, most=MOST_RUNS)
    for sigma in sigmas:
        check_number("sigmas", sigma, least=0)
    listed = " ".join(f"{sigma:g}" for sigma in sigmas) or "none"
    if len(set(sigmas)) < len(sigmas):
        raise ValueError(f"sigmas must differ from each other, got {listed}")
    if not any(sigmas):
        raise ValueError(
            f"sigmas must hold one above 0, got {listed}; without restarts use a rollout"
        )
    place = folder, chunk_size, shard
    job = Job(BASIN, model, puzzles, num_segments, seed, precision, *place, progress, outcome)
    scale = float(start_scale(job.dynamics.initial))
    if scale == 0:
        raise ValueError(
            f"the initial vector of {job.described_model['name']} is the same in all components: "
            "it has no spread for sigmas to be relative to"
        )
    grid = restarts.run_grid(sorted(sigmas), num_restarts)
    disturb = partial(perturbed, states=tuple(states) or None)
    arrays = restarts.measure(job, grid, disturb, states, num_exponents)
    options = {
        "sigmas": list(sigmas),
        "num_restarts": num_restarts,
        "states": list(states),
        "num_exponents": num_exponents,
    }
    return job.results(arrays, options, clock="segment", start_scale=scale)


def perturbed(
    dynamics: Dynamics, *, key: jax.Array, sigma: Any, states: tuple[str, ...] | None = None
) -> Dynamics:
    """Returns the dynamics from z0 + σ · std(H_init) · noise in the named states; None: in all."""
    start = dynamics.initial
    return replace(dynamics, initial=perturb(key, start, sigma * start_scale(start), states))


def numbers(results: Results, readout_segment: int | None = None) -> BasinSummary:
    """Returns which failures restarts solve, and which puzzles the start decides.

    Args:
      results: The runs.
      readout_segment: Segment whose failures are restarted, counted from 1. Without it this is the
        16th, at which models are trained to answer, or the last if there are fewer.
    """
    segment = chosen_readout(results, readout_segment)
    return summarize_basin(results, segment)


def figures(results: Results, readout_segment: int | None = None) -> Mapping[str, Draw]:
    """Returns the figure of the restarts.

    Args:
      results: The runs.
      readout_segment: As in `numbers`.
    """
    summary = numbers(results, readout_segment)
    return {"restarts_of_failures": partial(solve_rate_of_failures, summary)}


def findings(results: Results, summary: BasinSummary) -> list[str]:
    """Returns what restarts show in at most five sentences."""
    measured: dict[str, Any] = {}
    if "exponents" in results and "inputs" in results:
        vocab_size = results.record["puzzles"].get("vocab_size", 0)
        measured = difficulty(results["inputs"], vocab_size).numbers
    return basin_findings(results, summary, measured)


BASIN = Experiment(
    "basin", ARRAYS, numbers, report.tables, figures, check_readout, findings=findings
)
