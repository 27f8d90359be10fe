"""One spectrum run looked at from every side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.controls import Controlled, auc_given, auc_near, controlled_auc
from rrjax.analysis.early import EarlyWindow, HorizonCurve, early_windows, horizon_curve
from rrjax.analysis.intervals import Interval, median_interval
from rrjax.analysis.outcome import DRIFT_WINDOW, usable_runs
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.settling import Settling, check_outcomes, late_drift, log10_drift, settling

DRIFT_BINS = 10
DIFFICULTY_BINS = 6


@dataclass(frozen=True)
class RankedRuns:
    """What an analysis sees of a spectrum: the runs that can be ranked.

    Attributes:
      growth: (n, rows) by how much the largest sum of ln R grows from one QR to the next, divided
        by the updates in between, in nats per update.
      updates_per_row: Number of updates from one QR to the next.
      drift: (n, segments) ‖Δz‖ of the state that answers are read from.
      solved: (n,) booleans.
      solved_by_segment: (n, segments) booleans; None where it was not recorded.
      difficulty: Arrays (n,) of numbers that tell how hard each puzzle is, by name.
      num_excluded: Runs that were not finite, or without λ₁.
    """

    growth: np.ndarray
    updates_per_row: int
    drift: np.ndarray
    solved: np.ndarray
    solved_by_segment: np.ndarray | None
    difficulty: dict[str, np.ndarray]
    num_excluded: int

    @property
    def lambda1(self) -> np.ndarray:
        """(n,) in nats per update."""
        return self.growth.mean(axis=1, dtype=np.float64)

    @property
    def late_drift(self) -> np.ndarray:
        """(n,) the mean drift of the last segments."""
        return late_drift(self.drift, min(DRIFT_WINDOW, self.drift.shape[1]))


def usable(
    arrays: Mapping[str, np.ndarray],
    drift: str,
    difficulty: Mapping[str, np.ndarray],
    updates_per_row: int = 1,
) -> RankedRuns:
    """Returns the runs of a spectrum that can be ranked.

    Args:
      arrays: `exponents` (N, k), `log_growth` (N, rows, k), `solved` and `finite` (N,), the
        drift (N, segments), and `solved_by_segment` (N, segments) where it is known.
      drift: The name of that array.
      difficulty: Arrays (N,) of numbers that tell how hard each puzzle is, by name.
      updates_per_row: Number of updates that a row of `log_growth` sums over.
    """
    distances = arrays[drift]
    keep = usable_runs(arrays["exponents"], distances, arrays["finite"])
    keep &= np.isfinite(distances).all(axis=1)
    solved = arrays["solved"][keep]
    if len(keep) and not keep.any():
        raise ValueError(
            f"none of the {len(keep)} runs has a finite λ₁, so that there is nothing to analyse"
        )
    check_outcomes(solved, len(solved))
    by_segment = arrays.get("solved_by_segment")
    return RankedRuns(
        growth=leading_growth(arrays["log_growth"][keep], arrays["exponents"][keep])
        / updates_per_row,
        updates_per_row=updates_per_row,
        drift=distances[keep],
        solved=solved,
        solved_by_segment=None if by_segment is None else by_segment[keep],
        difficulty={name: values[keep] for name, values in difficulty.items()},
        num_excluded=int(np.sum(~keep)),
    )


def leading_growth(log_growth: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Returns (n, updates) by how much the largest sum of ln R grows at each update, in nats.

      max_i Σ_{u ≤ t} ln R_ii(u) − max_i Σ_{u < t} ln R_ii(u)

    Its mean over the first t updates is the largest of the exponents at t, whatever their order in
    the frame, and −∞ where all directions are annihilated.

    Args:
      log_growth: (n, updates, k) ln R_ii of each update, in nats.
      exponents: (n, k); the directions of NaN, below the round-off floor, are left out.
    """
    sums = np.cumsum(log_growth, axis=1, dtype=np.float64)
    largest = np.where(np.isnan(exponents)[:, None], -np.inf, sums).max(axis=2)
    with np.errstate(invalid="ignore"):
        return np.where(largest == -np.inf, largest, np.diff(largest, axis=1, prepend=0))


@dataclass(frozen=True)
class Analysis:
    """One run in numbers.

    Attributes:
      num_solved: Number of solved runs.
      num_failed: Number of failed runs.
      num_excluded: Number of runs in neither group.
      solved_lambda1: Median λ₁ with its interval, in nats per update.
      failed_lambda1: Median λ₁ of the failed runs.
      lambda1_auc: AUC of −λ₁ for "solved".
      settling: Settled against solved.
      within_drift: AUC of −λ₁ inside deciles of the unsettled runs' late drift, and of runs near in
        it; None if these have not both outcomes.
      within_difficulty: AUC of −λ₁ inside bins of puzzles of like difficulty, and of puzzles of
        equal difficulty, by the name of the number.
      early: Windows from the first segment; None where the solved segments are not known.
      horizon: λ₁ of the first t updates.
      num_segments: Number of segments of a run.
    """

    num_solved: int
    num_failed: int
    num_excluded: int
    solved_lambda1: Interval
    failed_lambda1: Interval
    lambda1_auc: Interval
    settling: Settling
    within_drift: Controlled | None
    within_difficulty: dict[str, Controlled]
    early: list[EarlyWindow] | None
    horizon: HorizonCurve
    num_segments: int


def analyse(runs: RankedRuns) -> Analysis:
    """Returns all statistics of one run."""
    lambda1, drift, solved = runs.lambda1, runs.late_drift, runs.solved
    settled = settling(drift, solved)
    unsettled = log10_drift(drift) > settled.otsu.threshold
    within_drift = early = None
    if len(np.unique(solved[unsettled])) == 2:
        among = (-lambda1[unsettled], solved[unsettled], drift[unsettled])
        within_drift = controlled_auc(*among, DRIFT_BINS, auc_near(*among))
    if runs.solved_by_segment is not None:
        early = early_windows(runs.growth, runs.drift, runs.solved_by_segment)
    return Analysis(
        num_solved=int(solved.sum()),
        num_failed=int(np.sum(~solved)),
        num_excluded=runs.num_excluded,
        solved_lambda1=median_interval(lambda1[solved]),
        failed_lambda1=median_interval(lambda1[~solved]),
        lambda1_auc=auc_interval(-lambda1, solved),
        settling=settled,
        within_drift=within_drift,
        within_difficulty={
            name: controlled_auc(
                -lambda1, solved, values, DIFFICULTY_BINS, auc_given(-lambda1, solved, values)
            )
            for name, values in runs.difficulty.items()
        },
        early=early,
        horizon=horizon_curve(runs.growth, solved, runs.updates_per_row),
        num_segments=runs.drift.shape[1],
    )
