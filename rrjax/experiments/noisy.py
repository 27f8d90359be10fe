"""Many rollouts with noise before every segment, and which of them to believe."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rrjax.analysis.noisy import PtrmSummary, summarize_ptrm
from rrjax.checks import MOST_RUNS, check_count, check_number
from rrjax.choices import AskedChunkSize, Outcome, Precision
from rrjax.contract import named_fields
from rrjax.dynamics.noise import with_noise
from rrjax.experiments import restarts
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.reasoner import Puzzles, Reasoner
from rrjax.plots.canvas import Draw
from rrjax.plots.noisy import q_against_lambda1
from rrjax.reports import noisy as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

ARRAYS = restarts.ARRAYS | {
    "sigma": ArraySpec(("run",), "standard deviation of the noise, in the unit of the state")
}


def ptrm(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    sigma: float = 0.3,
    num_runs: int = 8,
    num_segments: int = 16,
    states: Sequence[str] | None = None,
    num_exponents: int = 1,
    seed: int = 0,
    precision: Precision = "exact",
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Runs a model with noise on the state before every segment (PTRM, arXiv 2605.19943).

    Beside its noisy runs each puzzle has one without noise, in the same program. Exponents are
    those of the noisy run: the noise is held fixed, and the tangents do not include it.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.
      sigma: Standard deviation of the noise, in the unit of the state.
      num_runs: The number K of noisy runs of each puzzle.
      states: Fields of the state that get noise, such as z_H z_L; an empty list stands for all.
        Without it this is z_L, or all fields where the state has no z_L.
      num_exponents: Number of leading exponents that are measured along every run; 0 means none.

    The other arguments are those of `spectrum`.

    Returns:
      As `basin`; run 0 has no noise.

    Raises:
      ValueError: The numbers make no sweep, the puzzles or sizes do not fit the model, or the
        folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.ptrm(
      ...     model, puzzles, num_runs=1, num_segments=2, num_exponents=0, progress=False
      ... )
      >>> run.solved.shape
      (2, 2, 2)
    """
    check_count("num_runs", num_runs, least=1, most=MOST_RUNS)
    check_number("sigma", sigma, above=0)
    place = folder, chunk_size, shard
    job = Job(PTRM, model, puzzles, num_segments, seed, precision, *place, progress, outcome)
    if states is None:
        states = ("z_L",) if "z_L" in named_fields(job.dynamics.initial) else ()
    disturb = partial(with_noise, num_segments=num_segments, fields=tuple(states) or None)
    grid = restarts.run_grid((sigma,), num_runs)
    arrays = restarts.measure(job, grid, disturb, states, num_exponents)
    options = {
        "sigma": sigma,
        "num_runs": num_runs,
        "states": list(states),
        "num_exponents": num_exponents,
    }
    return job.results(arrays, options, clock="segment")


def numbers(results: Results) -> PtrmSummary:
    """Returns what the noisy runs solve together, which answer to choose, and q against λ₁."""
    return summarize_ptrm(results)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of q against λ₁; without exponents there is none."""
    if "exponents" not in results:
        return {}
    return {"q_against_lambda1": partial(q_against_lambda1, results)}


PTRM = Experiment("ptrm", ARRAYS, numbers, report.tables, figures)
