"""`rrjax basin`: from which starts near z0 does a model find the answer?"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import jax
import tyro

from rrjax.analysis.restarts import summarize_basin
from rrjax.checks import check_positive
from rrjax.commands import job, repeats
from rrjax.contract import Dynamics, count_updates
from rrjax.dynamics.starts import perturb, start_scale
from rrjax.models import Model
from rrjax.plots.restarts import solve_rate_of_failures
from rrjax.puzzles import PuzzleSet
from rrjax.reports.restarts import tables
from rrjax.reports.terminal import draw_results, print_table
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.store import Arrays, write_result

_MEANINGS = repeats.MEANINGS | {"sigma": ArraySpec(("run",), "noise of the start / std(H_init)")}


@dataclass(frozen=True)
class Options(repeats.Options):
    """Restarts from z0 + σ · std(H_init) · noise: which failures the start decides, which not.

    A killed run continues when the same command is given again; with another readout segment
    nothing is run again. The unperturbed start always runs, once: failures are counted there.

    Attributes:
      num_segments: segments of each run.
      readout_segment: whose failures are restarted; models are trained to answer at the 16th.
      sigmas: sizes of the noise, relative to the spread of the model's initial vector.
      num_restarts: K, for each σ above 0; the same K directions for all of them.
    """

    num_segments: int = 48
    readout_segment: int = 16
    sigmas: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    num_restarts: int = 8


def main(arguments: list[str]) -> None:
    """Parse, run, print the tables, write results and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax basin")
    _check(options)
    model = job.start(options)
    puzzles = job.choose_puzzles(options, model)
    repeats.check(options, model, puzzles)
    _check_scale(model, puzzles)
    folder = job.output_folder("basin", options, model)
    results = measure(options, model, puzzles)
    summary = summarize_basin(results, options.readout_segment, options.seed)
    facts = {
        "clock": "segment",
        "updates_per_segment": count_updates(model.bind(puzzles.inputs[0]).schedule),
        "start_scale": float(start_scale(model.bind(puzzles.inputs[0]).initial)),
        **describe_arrays(results, _MEANINGS),
        "summary": asdict(summary),
    }
    write_result(folder / "results.npz", results, job.record(options, model, **facts))
    for table in tables(summary):
        print_table(table)
    draw_results(folder, {"restarts_of_failures": partial(solve_rate_of_failures, summary)})


def measure(options: Options, model: Model, puzzles: PuzzleSet) -> Arrays:
    """The runs from every start, as `rrjax.commands.repeats.measure`, and which starts these are.

    Returns:
      Its arrays (N, runs, ...), and of each run `sigma` and `repeat` (runs,); run 0 starts at z0.

    Raises:
      ValueError: as it does.
      Unfinished: as it does.
    """
    grid = repeats.grid(tuple(sorted(options.sigmas)), options.num_restarts)
    disturb = partial(perturbed, options.states or None)
    found = repeats.measure("basin", options, model, puzzles, grid, disturb)
    return found | grid._asdict()


def perturbed(
    states: tuple[str, ...] | None, dynamics: Dynamics, key: jax.Array, sigma: Any
) -> Dynamics:
    """The dynamics from z0 + σ · std(H_init) · noise in the named states; None: in all."""
    start = dynamics.initial
    return replace(dynamics, initial=perturb(key, start, sigma * start_scale(start), states))


def _check(options: Options) -> None:
    check_positive(options, ("num_segments", "num_restarts"))
    job.check_readout(options.readout_segment, options.num_segments)
    for sigma in options.sigmas:
        repeats.check_sigma("sigmas", sigma)
    if len(set(options.sigmas)) < len(options.sigmas):
        raise ValueError(f"sigmas must differ from each other, got {_listed(options.sigmas)}")
    if not any(options.sigmas):
        raise ValueError(
            f"sigmas must hold one above 0, got {_listed(options.sigmas)}; without restarts use "
            "rrjax rollout"
        )


def _check_scale(model: Model, puzzles: PuzzleSet) -> None:
    if start_scale(model.bind(puzzles.inputs[0]).initial) == 0:
        raise ValueError(
            f"the initial vector of {model.name} is the same in all components: it has no spread "
            "for sigmas to be relative to"
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers) or "none"
