"""Transient chaos in one dimension, where a search ends when it finds the solution."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.analysis.separation import auc
from rrjax.analysis.toys import ToySummary, summarize_toy
from rrjax.checks import check_count, check_memory, check_number, check_seed
from rrjax.contract import Dynamics
from rrjax.dynamics.spectrum import spectrum
from rrjax.experiments.experiment import Experiment
from rrjax.jobs.memory import memory_advice
from rrjax.jobs.sweep import IDENTITY
from rrjax.plots.canvas import Draw
from rrjax.plots.toy import toy_panel
from rrjax.reports import toys as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays, claim_folder, describe_run, version
from rrjax.systems.toy import search_and_capture

ARRAYS = {
    "start": ArraySpec(("run",), "position"),
    "solution": ArraySpec(("run",), "position"),
    "capture_time": ArraySpec(("run",), "updates", "i"),
    "readout_times": ArraySpec(("readout",), "updates", "i"),
    "exponents": ArraySpec(("run", "readout"), "nats per update"),
    "solved": ArraySpec(("run", "readout"), "whether the run is captured by then", "b"),
    "auc": ArraySpec(("readout",), "AUC of −exponent for solved"),
    "failed": ArraySpec(("readout",), "share of the runs"),
}


def toy(
    *,
    num_runs: int = 20_000,
    readout_times: Sequence[int] = (4, 8, 16, 32, 64, 128, 256),
    radius: float = 0.04,
    seed: int = 0,
    folder: str | Path | None = None,
) -> Results:
    """Runs a logistic search that contracts near its solution, where failed runs are chaotic.

    Args:
      num_runs: The number n of starts and solutions that are drawn.
      readout_times: Numbers of updates after which a run counts as solved or failed.
      radius: Distance from the solution within which a run is captured.
      seed: Seed of the starts and solutions.
      folder: Folder for the results; None keeps them in memory.

    Returns:
      In float64 `start` and `solution` (n,); `capture_time` (n,), the updates that searched, at
      most the last readout time; `exponents` (n, m) in nats per update and `solved` (n, m) at each
      of the m `readout_times`; `auc` (m,) of −λ₁ for solved, NaN where a group is empty; `failed`
      (m,).

    Raises:
      ValueError: A number is out of range, the runs need more memory than there is anywhere, or
        the folder holds anything but the same run.

    Example:
      >>> run = rrjax.experiments.toy(num_runs=1000, readout_times=(4, 64))
      >>> run.auc.round(2)
      array([0.78, 1.  ])
    """
    check_count("num_runs", num_runs, least=1)
    if not readout_times:
        raise ValueError("readout_times must be one time or more, got none")
    for time in readout_times:
        check_count("readout_times", time, least=1)
    # every state of every run is kept; JAX ends without a word where such an array is too large
    check_count("num_runs times the last of readout_times", num_runs * max(readout_times))
    check_memory(
        f"{num_runs:,} runs (num_runs) of {max(readout_times):,} updates (readout_times)",
        32 * num_runs * max(readout_times),
        "ask for fewer runs or earlier readout times",
    )
    # 0.15 is nearer to 0 or 1 than a solution ever is
    check_number("radius", radius, above=0, below=0.15)
    check_seed("seed", seed)
    options = {
        "num_runs": num_runs,
        "readout_times": list(readout_times),
        "radius": radius,
        "seed": seed,
    }
    if folder is not None:
        claim_folder(folder, IDENTITY, _identity(options), {"made_by": describe_run()})
    with memory_advice(lambda: "fewer runs (--num-runs) or earlier readout times need less memory"):
        arrays = _measure(num_runs, readout_times, radius, seed)
    record = {"options": options, "clock": "update", "unit": "nats per update"}
    results = TOY.results(arrays, record)
    if folder is not None:
        results.save(folder)
    return results


def _identity(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all that the results depend on."""
    facts = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rrjax": version()}
    return {"job": "toy", **options, **facts}


def _measure(num_runs: int, readout_times: Sequence[int], radius: float, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    solution = rng.uniform(0.15, 0.85, num_runs)
    start = rng.uniform(0, 1, num_runs)
    times = np.array(sorted(set(readout_times)))
    growth, states = _run(start, solution, int(times[-1]), radius)
    captured = np.abs(states - solution[:, None]) < radius
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
    """Returns the growth ln Rₜ and the state after every update, both (n, updates)."""

    def keep_state(dynamics: Dynamics, before: Any, after: jax.Array, frame: Any) -> jax.Array:
        return after

    @jax.jit
    @jax.vmap
    def run(x: jax.Array, s: jax.Array) -> tuple[jax.Array, Any]:
        dynamics = search_and_capture(x, s, num_updates, radius)
        frame = jnp.ones(1, x.dtype)
        result = spectrum(dynamics, num_segments=num_updates, frame=frame, observe=keep_state)
        return result.log_growth[:, 0], result.observed

    with jax.enable_x64(True):
        return jax.device_get(run(jnp.asarray(start), jnp.asarray(solution)))


def check(options: Mapping[str, Any], shown_time: int | None = None) -> None:
    """Refuses a histogram at a time at which the run was not read out."""
    times = tuple(options["readout_times"])
    if shown_time is not None and shown_time not in times:
        raise ValueError(f"shown_time must be one of the readout times {times}, got {shown_time}")


def figures(results: Results, shown_time: int | None = None) -> Mapping[str, Draw]:
    """Returns the figure of the toy.

    Args:
      results: The toy.
      shown_time: Readout time of the histogram, which must be one of the toy's. Without it this is
        16, or the last.
    """
    times = results["readout_times"]
    if shown_time is None:
        shown_time = 16 if 16 in times else int(times[-1])
    column = int(np.flatnonzero(times == shown_time)[0])
    exponents, solved = results["exponents"][:, column], results["solved"][:, column]
    rates = results["auc"], results["failed"]
    return {"toy": partial(toy_panel, exponents, solved, shown_time, times, *rates)}


def closing(numbers: ToySummary, folder: Path) -> list[str]:
    """Returns the command that measures the same of a model."""
    return ["To see the same of a model that solves Sudokus, run rrjax spectrum trm-sudoku9"]


TOY = Experiment("toy", ARRAYS, summarize_toy, report.tables, figures, check, closing=closing)
