"""Has a run come to rest? Late drift, cut in two, and settled against solved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import Interval, fraction_interval
from rrjax.analysis.separation import auc_interval

ROUND_OFF = float(np.finfo(np.float32).eps)
"""What a drift of exactly 0 counts as at most: one unit in the last place of a float32 near 1, the
size that the norms of the models give the numbers of a state."""

NUM_BINS = 256
PERCENTILES = tuple(range(5, 100, 5))
BELOW = (50, 90, 100)


def late_drift(drift: ArrayLike, window: int = 4) -> Any:
    """Returns the mean step of the state over the last segments.

      late drift = (1/w) Σ ‖Δz(s)‖ over the last w segments s

    Args:
      drift: (..., segments) ‖Δz‖ between the ends of consecutive segments, of z_H for TRM and HRM.
      window: Number of segments, w. Of 16 segments the published statistics use the last 4.

    Returns:
      An array (...), a number for drift (segments,), in the unit of `drift`. NaN and infinities of
      the window carry over.
    """
    drift = as_array("drift", drift, (..., "segments"))
    if not 1 <= window <= drift.shape[-1]:
        raise ValueError(
            f"window must lie in 1..{drift.shape[-1]}, the segments of drift; got {window}"
        )
    return drift[..., -window:].mean(axis=-1)


def log10_drift(drift: ArrayLike) -> np.ndarray:
    """Returns log₁₀ of late drifts (N,), with a place for runs that are settled to the bit.

    A drift of 0 counts as `ROUND_OFF`, or as the smallest positive drift if that is smaller: above
    no run that moves, and not infinitely far from it.
    """
    drift = as_array("drift", drift, ("N",))
    bad = ~(np.isfinite(drift) & (drift >= 0))
    if bad.any():
        raise ValueError(
            f"drift must be finite and not negative, which it is not for {int(bad.sum())} of "
            f"{len(bad)} runs: leave those out"
        )
    smallest = drift[drift > 0].min(initial=ROUND_OFF)
    return np.log10(np.where(drift > 0, drift, smallest))


def otsu_threshold(log10_drift: ArrayLike) -> float:
    """Returns the cut between two groups of runs whose means it parts best.

      argmax_t  w₀(t) w₁(t) (μ₀(t) − μ₁(t))²   over the bins t of a histogram of 256

    w are the numbers of runs up to bin t and above it, μ the means of their bin centres. Of equal
    maxima, as within an empty gap, the first counts.

    Args:
      log10_drift: (N,) log₁₀ of late drift (`log10_drift` for drifts of 0).

    Returns:
      The upper edge of bin t; settled runs are those not above it. Values that are all equal are
      their own threshold, so that all count as settled. It always cuts, also where there is one
      group only: read it with the sweep of `settling`. scikit-image returns the centre of bin t,
      half a bin lower, and so counts what lies in the bin's upper half to the other group.

    Source: Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62.
    """
    values = as_array("log10_drift", log10_drift, ("N",), least=1)
    if not np.isfinite(values).all():
        raise ValueError(
            f"log10_drift must be finite; {int((~np.isfinite(values)).sum())} runs are not"
        )
    if values.min() == values.max():
        return float(values[0])
    counts, edges = np.histogram(values, NUM_BINS)
    total = counts * ((edges[1:] + edges[:-1]) / 2)
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    # the first and last bin hold the extremes: neither part is ever empty
    mean_below = np.cumsum(total)[:-1] / below
    mean_above = np.cumsum(total[::-1])[::-1][1:] / above
    return float(edges[1 + np.argmax(below * above * (mean_below - mean_above) ** 2)])


@dataclass(frozen=True)
class Counts:
    """The runs of a 2 × 2 table; settled runs are those not above the threshold.

    Attributes:
      threshold: Threshold of log₁₀ late drift.
      settled_solved: Number of runs that are both.
      settled_failed: Number of runs that stand still at a wrong answer.
      unsettled_solved: Number of runs that still move and are right.
      unsettled_failed: Number of runs that are neither.
      solved_if_settled: Share of the settled runs that are solved, with its exact interval.
      solved_if_unsettled: Share of the unsettled runs that are solved.
    """

    threshold: float
    settled_solved: int
    settled_failed: int
    unsettled_solved: int
    unsettled_failed: int
    solved_if_settled: Interval
    solved_if_unsettled: Interval


def settled_counts(log10_drift: ArrayLike, solved: ArrayLike, threshold: float) -> Counts:
    """Returns how many runs are settled and solved; settled are those not above the threshold."""
    settled, solved = np.asarray(log10_drift) <= threshold, np.asarray(solved)
    groups = (settled & solved, settled & ~solved, ~settled & solved, ~settled & ~solved)
    a, b, c, d = (int(group.sum()) for group in groups)
    return Counts(threshold, a, b, c, d, fraction_interval(a, a + b), fraction_interval(c, c + d))


@dataclass(frozen=True)
class Settling:
    """Settled against solved: at Otsu's threshold, at others, and without one.

    Attributes:
      otsu: Counts at Otsu's threshold.
      percentiles: Percentiles of the sweep.
      sweep: Counts with each of these percentiles of all runs settled.
      drift_auc: AUC of −(late drift) for "solved", with its interval.
      failed_below: Share of the failed runs whose drift is not above the q-th percentile of the
        solved ones, for each q of `BELOW`, with its exact interval (the percentile taken as given).
    """

    otsu: Counts
    percentiles: tuple[int, ...]
    sweep: list[Counts]
    drift_auc: Interval
    failed_below: dict[int, Interval]


def settling(drift: ArrayLike, solved: ArrayLike) -> Settling:
    """Returns whether the settled runs have the right answer, and only they.

    Args:
      drift: (N,) late drift, at least 0.
      solved: (N,) booleans, some of each.
    """
    logs, solved = log10_drift(drift), np.asarray(solved)
    check_outcomes(solved, len(logs))
    cuts = np.percentile(logs, PERCENTILES, method="inverted_cdf")
    limits = np.percentile(logs[solved], BELOW, method="inverted_cdf")
    failed = logs[~solved]
    return Settling(
        otsu=settled_counts(logs, solved, otsu_threshold(logs)),
        percentiles=PERCENTILES,
        sweep=[settled_counts(logs, solved, float(cut)) for cut in cuts],
        drift_auc=auc_interval(-logs, solved),
        failed_below={
            q: fraction_interval(int(np.sum(failed <= limit)), len(failed))
            for q, limit in zip(BELOW, limits, strict=True)
        },
    )


def check_outcomes(solved: np.ndarray, number: int) -> None:
    """Refuses outcomes of another number of runs, and outcomes that are all the same."""
    as_array("solved", solved, (number,), bool)
    if solved.all() or not solved.any():
        raise ValueError(
            f"{solved.sum()} of {words.count(number, 'run')} solved: solved and failed ones "
            "are needed to compare; take more puzzles, harder ones or another number of segments"
        )
