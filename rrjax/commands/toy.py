"""`rrjax toy`: transient chaos in one dimension, where search ends when it finds the solution."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from rrjax.analysis.separation import auc
from rrjax.checks import check_count
from rrjax.contract import Dynamics
from rrjax.dynamics.spectrum import spectrum
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.store import describe_run, write_result
from rrjax.systems.toy import CAPTURE_RADIUS, search_and_capture

Arrays = dict[str, np.ndarray]

_MEANINGS = {
    "start": ArraySpec(("run",), "position"),
    "solution": ArraySpec(("run",), "position"),
    "capture_time": ArraySpec(("run",), "updates"),
    "readout_times": ArraySpec(("readout",), "updates"),
    "exponents": ArraySpec(("run", "readout"), "nats per update"),
    "solved": ArraySpec(("run", "readout"), "whether the run is captured by then"),
    "auc": ArraySpec(("readout",), "AUC of -exponent for solved"),
    "failed": ArraySpec(("readout",), "share of the runs"),
}


@dataclass(frozen=True)
class Options:
    """Why failures are chaotic: a logistic search that contracts once it is near the solution.

    Attributes:
      num_runs: starts and solutions that are drawn.
      readout_times: updates after which a run counts as solved or failed.
      shown_time: readout time of the histogram, one of them.
      radius: distance from the solution within which a run is captured.
      seed: of starts and solutions.
      out: folder for the results and the figure.
    """

    num_runs: int = 20_000
    readout_times: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    shown_time: int = 16
    radius: float = CAPTURE_RADIUS
    seed: int = 0
    out: Path = Path("runs/toy")


def main(arguments: list[str]) -> None:
    """Parse, measure, print the table, write results and figure."""
    options = tyro.cli(Options, args=arguments, prog="rrjax toy")
    _check(options)
    options.out.mkdir(parents=True, exist_ok=True)
    results = measure(options)
    _save(options, results)
    _print(results)
    _draw(options, results)


def measure(options: Options) -> Arrays:
    """Exponents and outcomes of every run at every readout time, in float64.

    Returns:
      `start`, `solution` (n,); `capture_time` (n,) updates that searched, at most the last
      readout time; `exponents` (n, m) in nats per update and `solved` (n, m) at each of
      `readout_times` (m,); `auc` (m,) of −λ₁ for solved, NaN where a group is empty; `failed` (m,).
    """
    rng = np.random.default_rng(options.seed)
    solution = rng.uniform(0.15, 0.85, options.num_runs)
    start = rng.uniform(0, 1, options.num_runs)
    times = np.array(sorted(set(options.readout_times)))
    growth, states = _run(start, solution, int(times[-1]), options.radius)
    captured = np.abs(states - solution[:, None]) < options.radius
    exponents = np.cumsum(growth, axis=1)[:, times - 1] / times
    solved = captured[:, times - 1]
    return {
        "start": start,
        "solution": solution,
        "capture_time": np.where(captured.any(1), captured.argmax(1) + 1, times[-1]),
        "readout_times": times,
        "exponents": exponents,
        "solved": solved,
        "auc": np.array([auc(-e, s) for e, s in zip(exponents.T, solved.T, strict=True)]),
        "failed": 1 - solved.mean(0),
    }


def _run(
    start: np.ndarray, solution: np.ndarray, num_updates: int, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """The growth ln Rₜ and the state after every update, both (n, updates)."""

    @jax.jit
    @jax.vmap
    def run(x: jax.Array, s: jax.Array) -> tuple[jax.Array, Any]:
        dynamics = search_and_capture(x, s, num_updates, radius)
        frame = jnp.ones(1, x.dtype)
        result = spectrum(dynamics, num_segments=num_updates, frame=frame, observe=_state)
        return result.log_growth[:, 0], result.observed

    with jax.enable_x64(True):
        return jax.device_get(run(jnp.asarray(start), jnp.asarray(solution)))


def _state(dynamics: Dynamics, before: Any, after: jax.Array, frame: Any) -> jax.Array:
    return after


def _check(options: Options) -> None:
    check_count("num_runs", options.num_runs, least=1)
    if not options.readout_times:
        raise ValueError("readout_times must be one time or more, got none")
    for time in options.readout_times:
        check_count("readout_times", time, least=1)
    # every state of every run is kept; JAX ends without a word where such an array is too large
    check_count(
        "num_runs times the last of readout_times", options.num_runs * max(options.readout_times)
    )
    if options.shown_time not in options.readout_times:
        raise ValueError(
            f"shown_time must be one of the readout times {options.readout_times}, "
            f"got {options.shown_time}"
        )
    if not 0 < options.radius < 0.15:
        # nearer to 0 or 1 than a solution ever is
        raise ValueError(f"radius must lie between 0 and 0.15, got {options.radius:g}")
    if options.seed < 0:
        raise ValueError(f"seed must be at least 0, got {options.seed}")


def _save(options: Options, results: Arrays) -> None:
    record = {
        "command": "toy",
        "options": {key: value for key, value in asdict(options).items() if key != "out"},
        "clock": "update",
        "unit": "nats per update",
        **describe_arrays(results, _MEANINGS),
        "made_by": describe_run(),
    }
    write_result(options.out / "results.npz", results, record)


def _print(results: Arrays) -> None:
    from rrjax.plots.toy import toy_message

    headers = ("T", "solved", "failed runs", "AUC of −λ1", "median λ1 solved", "median λ1 failed")
    table = Table(*headers, title=f"search and capture, {len(results['start'])} runs")
    for row in _rows(results):
        table.add_row(*row)
    console = Console()
    console.print(table)
    message = toy_message(*(results[name] for name in ("readout_times", "auc", "failed")))
    console.print(message.replace("\n", " ") + ".")
    console.print(
        "The AUC at a late T is that of the few runs that still search: the difference between "
        "the groups does not fade, one of the groups does."
    )


def _rows(results: Arrays) -> list[tuple[str, ...]]:
    rows = []
    for index, time in enumerate(results["readout_times"]):
        solved, exponents = results["solved"][:, index], results["exponents"][:, index]
        medians = [_median(exponents[solved]), _median(exponents[~solved])]
        separation = results["auc"][index]
        rows.append(
            (
                str(time),
                f"{solved.mean():.3f}",
                str(int((~solved).sum())),
                "-" if np.isnan(separation) else f"{separation:.3f}",
                *medians,
            )
        )
    return rows


def _median(exponents: np.ndarray) -> str:
    return f"{np.median(exponents):+.3f}" if len(exponents) else "-"


def _draw(options: Options, results: Arrays) -> None:
    from rrjax.plots.canvas import save_figure
    from rrjax.plots.toy import toy_panel

    times = results["readout_times"]
    shown = int(np.flatnonzero(times == options.shown_time)[0])
    try:
        figure = toy_panel(
            results["exponents"][:, shown],
            results["solved"][:, shown],
            options.shown_time,
            times,
            results["auc"],
            results["failed"],
        )
        save_figure(figure, options.out / "toy.png")
    except ModuleNotFoundError as error:
        print(f"no figure: {error}; results are in {options.out}", file=sys.stderr)
        return
    print(f"results and figure are in {options.out}")
