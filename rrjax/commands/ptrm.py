"""`rrjax ptrm`: many rollouts with noise before every segment, and which of them to believe."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import jax
import tyro

from rrjax.analysis.noisy import summarize_ptrm
from rrjax.checks import check_positive
from rrjax.commands import job, repeats
from rrjax.contract import Dynamics, count_updates
from rrjax.dynamics.noise import with_noise
from rrjax.models import Model
from rrjax.plots.noisy import q_against_lambda1
from rrjax.puzzles import PuzzleSet
from rrjax.reports.noisy import tables
from rrjax.reports.terminal import draw_results, print_table
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.store import Arrays, write_result

_MEANINGS = repeats.MEANINGS | {
    "sigma": ArraySpec(("run",), "standard deviation of the noise, in the unit of the state")
}


@dataclass(frozen=True)
class Options(repeats.Options):
    """Rollouts with noise on the state before every segment (PTRM, arXiv 2605.19943).

    A killed run continues when the same command is given again. Beside the noisy rollouts each
    puzzle has one without noise, in the same program. Exponents are those of the noisy run: the
    noise is held fixed, and tangents do not see it.

    Attributes:
      num_segments: segments D of each rollout.
      states: the fields of the state that are disturbed, such as z_H z_L.
      num_exponents: leading exponents measured along every rollout; 0 for none.
      num_rollouts: K for each puzzle.
      sigma: standard deviation of the noise, in the unit of the state.
    """

    states: tuple[str, ...] = ("z_L",)
    num_exponents: int = 1
    num_rollouts: int = 8
    sigma: float = 0.3


def main(arguments: list[str]) -> None:
    """Parse, run, print the table, write results and the figure."""
    options = tyro.cli(Options, args=arguments, prog="rrjax ptrm")
    _check(options)
    model = job.start(options)
    puzzles = job.choose_puzzles(options, model)
    repeats.check(options, model, puzzles)
    folder = job.output_folder("ptrm", options, model)
    results = measure(options, model, puzzles)
    summary = summarize_ptrm(results, options.seed)
    facts = {
        "clock": "segment",
        "updates_per_segment": count_updates(model.bind(puzzles.inputs[0]).schedule),
        **describe_arrays(results, _MEANINGS),
        "summary": asdict(summary),
    }
    write_result(folder / "results.npz", results, job.record(options, model, **facts))
    for table in tables(summary):
        print_table(table)
    _draw(folder, results, options.seed)


def measure(options: Options, model: Model, puzzles: PuzzleSet) -> Arrays:
    """The rollouts of every puzzle, as `rrjax.commands.repeats.measure`, and which these are.

    Returns:
      Its arrays (N, runs, ...), and of each run `sigma` and `repeat` (runs,); run 0 has no noise.

    Raises:
      ValueError: as it does.
      Unfinished: as it does.
    """
    grid = repeats.grid((options.sigma,), options.num_rollouts)
    disturb = partial(_noisy, options.num_segments, options.states or None)
    found = repeats.measure("ptrm", options, model, puzzles, grid, disturb)
    return found | grid._asdict()


def _noisy(
    num_segments: int,
    states: tuple[str, ...] | None,
    dynamics: Dynamics,
    key: jax.Array,
    sigma: jax.Array,
) -> Dynamics:
    return with_noise(dynamics, num_segments, key=key, sigma=sigma, fields=states)


def _check(options: Options) -> None:
    check_positive(options, ("num_segments", "num_rollouts"))
    repeats.check_sigma("sigma", options.sigma)
    if options.sigma == 0:
        raise ValueError("sigma must be above 0: without noise all rollouts are the same")


def _draw(folder: Path, results: Arrays, seed: int) -> None:
    if "exponents" not in results:
        print(f"results are in {folder}; a figure needs --num-exponents 1")
        return
    draw_results(folder, {"q_against_lambda1": partial(q_against_lambda1, results, seed)})
