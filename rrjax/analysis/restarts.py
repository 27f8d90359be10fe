"""Restarts in numbers: what perturbed starts solve, and which puzzles the start decides."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.intervals import Interval, mean_interval
from rrjax.analysis.selection import (
    Selection,
    fraction_of_puzzles,
    runs_at_end,
    select,
)
from rrjax.analysis.settling import log10_drift, otsu_threshold


@dataclass(frozen=True)
class Outcomes:
    """What becomes of the runs of one σ from some puzzles.

    Attributes:
      num_puzzles: Number of puzzles.
      at_readout: Fraction of runs solved at the readout segment. Fractions of runs are
        `rrjax.analysis.intervals.mean_interval`, over puzzles.
      at_end: Fraction of runs solved after the last segment.
      at_some: Fraction of runs solved after any segment; where all puzzles fail from z0, this is
        the fraction of runs that escaped.
      settled: Fraction of runs whose late drift is not above the threshold.
      some_run: Fraction of puzzles that any of their runs solved after any segment.
    """

    num_puzzles: int
    at_readout: Interval
    at_end: Interval
    at_some: Interval
    settled: Interval
    some_run: Interval


@dataclass(frozen=True)
class Restarts:
    """The runs of one σ: of all puzzles, and of those that fail from z0 at the readout.

    Attributes:
      sigma: Noise of the start / std(H_init); 0 is z0.
      num_runs: Number of runs of each puzzle; 1 for z0, from where all runs are the same.
      outcomes: What becomes of all runs.
      failures: What becomes of the runs of those that fail.
      selection: What the answers after the last segment are worth together, of all puzzles.
      selection_of_failures: The same of those that fail.
    """

    sigma: float
    num_runs: int
    outcomes: Outcomes
    failures: Outcomes
    selection: Selection
    selection_of_failures: Selection


@dataclass(frozen=True)
class BasinSummary:
    """A sweep of starts in numbers.

    Whether a run solves its puzzle is here: after any of its segments. Every start counts alike,
    z0 and the restarts of all σ.

    Attributes:
      num_puzzles: N.
      num_segments: Number of segments of a run.
      readout_segment: Counted from 1.
      num_runs: Number of runs of each puzzle, over all σ.
      num_not_finite: Runs that blew up; they count as not solved and not settled.
      settled_below: Late drift up to which a run is settled: Otsu's threshold of log₁₀ late drift
        over all finite runs of the sweep; NaN without one.
      failures: Puzzles (places in the list, from 0) that fail from z0 at the readout.
      never_solved: Input-determined: no start solves them.
      always_solved: Input-determined: every start solves them.
      start_determined: The others: whether they are solved depends on the start.
      by_sigma: Ascending, the first of z0.
    """

    num_puzzles: int
    num_segments: int
    readout_segment: int
    num_runs: int
    num_not_finite: int
    settled_below: float
    failures: list[int]
    never_solved: list[int]
    always_solved: list[int]
    start_determined: list[int]
    by_sigma: list[Restarts]


def summarize_basin(arrays: Mapping[str, np.ndarray], readout_segment: int) -> BasinSummary:
    """Returns all numbers of a sweep of starts.

    Args:
      arrays: `sigma` (runs,), of which exactly one is 0, the start z0; `solved`
        (N, runs, segments) booleans; `answers` (N, runs, seq); `q_halt`, `residual`, `late_drift`
        (N, runs); if measured, `exponents` (N, runs, k).
      readout_segment: Counted from 1.
    """
    solved, sigma = arrays["solved"], np.asarray(arrays["sigma"], np.float64)
    if not 1 <= readout_segment <= solved.shape[2]:
        raise ValueError(
            f"readout_segment must lie in 1..{solved.shape[2]}, the segments of a run; "
            f"got {readout_segment}"
        )
    if np.sum(sigma == 0) != 1:
        raise ValueError(f"sigma must be 0 for exactly one run, from z0; got {sigma.tolist()}")
    at_readout = solved[:, :, readout_segment - 1]
    failed = ~at_readout[:, sigma == 0].ravel()
    some = np.asarray(solved.any(axis=2))
    ever, always = np.asarray(some.any(axis=1)), np.asarray(some.all(axis=1))
    settled, threshold = _settled(arrays["late_drift"])
    runs = runs_at_end(arrays) | {"at_readout": at_readout, "at_some": some, "settled": settled}
    return BasinSummary(
        num_puzzles=len(solved),
        num_segments=solved.shape[2],
        readout_segment=readout_segment,
        num_runs=solved.shape[1],
        num_not_finite=int(np.sum(~np.isfinite(arrays["late_drift"]))),
        settled_below=threshold,
        failures=_places(failed),
        never_solved=_places(~ever),
        always_solved=_places(always),
        start_determined=_places(ever & ~always),
        by_sigma=[_restarts(runs, sigma, size, failed) for size in np.unique(sigma).tolist()],
    )


def _settled(late_drift: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns which runs are not above Otsu's threshold of log₁₀ late drift, and the threshold."""
    settled, finite = np.zeros(late_drift.shape, bool), np.isfinite(late_drift)
    if not finite.any():
        return settled, np.nan
    logs = log10_drift(late_drift[finite])
    threshold = otsu_threshold(logs)
    settled[finite] = logs <= threshold
    return settled, 10**threshold


def _restarts(
    runs: Mapping[str, np.ndarray], sigma: np.ndarray, size: float, failed: np.ndarray
) -> Restarts:
    mine = {name: array[:, sigma == size] for name, array in runs.items()}
    failing = {name: array[failed] for name, array in mine.items()}
    return Restarts(
        sigma=size,
        num_runs=int(np.sum(sigma == size)),
        outcomes=_outcomes(mine),
        failures=_outcomes(failing),
        selection=select(mine),
        selection_of_failures=select(failing),
    )


def _outcomes(runs: Mapping[str, np.ndarray]) -> Outcomes:
    at_readout, at_end, at_some, settled = (
        mean_interval(runs[name].mean(axis=1))
        for name in ("at_readout", "solved", "at_some", "settled")
    )
    some_run = fraction_of_puzzles(runs["at_some"].any(axis=1))
    return Outcomes(len(runs["solved"]), at_readout, at_end, at_some, settled, some_run)


def _places(flags: np.ndarray) -> list[int]:
    return np.flatnonzero(flags).tolist()
