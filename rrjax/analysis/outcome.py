"""Solved and failed puzzles compared: are the failed ones the chaotic ones?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, largest_first
from rrjax.analysis.controls import quantile_bins
from rrjax.analysis.derived import Quantity, error_quantity, spectrum_quantities
from rrjax.analysis.errorbars import largest_frame_spread
from rrjax.analysis.intervals import UNDEFINED, Interval, fraction_interval, median_interval
from rrjax.analysis.rivals import Rival, rivals
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.settling import late_drift

DRIFT_WINDOW = 4
# Blocks along time: few, so that they are long, yet enough for an error known within a quarter.
NUM_BLOCKS = 8


@dataclass(frozen=True)
class Derived:
    """A quantity that follows from the spectrum, compared between the groups.

    Attributes:
      name: `num_positive`, `entropy_rate` (sum of the positive λ), `sum` (of the k), `kaplan_yorke`
        or `standard_error` (of λ₁ along time).
      solved: Median of the solved puzzles in which it is defined.
      failed: Median of the failed ones.
      auc: AUC of its negative for "solved"; NaN if it is undefined in any puzzle, since those
        that are left are no fair choice.
      num_bounds: Number of puzzles in which the value is a lower bound only.
      undefined: For each reason the numbers of solved and of failed puzzles without a value.
    """

    name: str
    solved: Interval
    failed: Interval
    auc: Interval
    num_bounds: int
    undefined: dict[str, list[int]]


@dataclass(frozen=True)
class Quartile:
    """Puzzles of like difficulty.

    Attributes:
      low: The smallest number that tells their difficulty.
      high: The largest.
      num_puzzles: Number of them, runs that were not finite too.
      solved: Fraction of them.
    """

    low: int
    high: int
    num_puzzles: int
    solved: Interval


def solved_by_quartile(solved: np.ndarray, difficulty: np.ndarray) -> list[Quartile]:
    """Returns the fraction solved (N,) in each quartile of a difficulty (N,), the easiest first.

    Equal numbers share a quartile, so there may be fewer than four.
    """
    bins = quantile_bins(difficulty, 4)
    members = [bins == index for index in range(bins.max() + 1)]
    return [
        Quartile(
            low=int(difficulty[own].min()),
            high=int(difficulty[own].max()),
            num_puzzles=int(own.sum()),
            solved=fraction_interval(int(solved[own].sum()), int(own.sum())),
        )
        for own in members
    ]


@dataclass(frozen=True)
class Summary:
    """Solved and failed puzzles compared, in plain numbers (`dataclasses.asdict` for JSON).

    Attributes:
      num_puzzles: Number of puzzles measured.
      num_excluded: Number of runs that were not finite; they are in no group.
      num_solved: Size of the solved group.
      num_failed: Size of the failed group.
      solved_fraction: Fraction of all puzzles, excluded ones too.
      exponent_auc: AUC of −λ_i for "solved", for each i; λ_i is the i-th largest exponent of a
        puzzle.
      solved_exponents: Median λ_i of the solved group, for each i.
      failed_exponents: Median λ_i of the failed group, for each i.
      num_unresolved: Number of grouped puzzles whose λ_i is below the round-off floor, for each
        i; medians and AUC rank those below every number (−inf).
      num_unsorted: Number of grouped puzzles in whose arrays some exponent is larger than one
        before it.
      derived: What follows from each spectrum.
      num_blocks: Blocks of a run for the standard error along time; below 2 there is none.
      drift_window: Number of last segments over which late drift is averaged.
      drift_auc: AUC of −(late drift) for "solved".
      solved_drift: Median late drift of the solved group.
      failed_drift: Median late drift of the failed group.
      rivals: Late drift and other scores beside λ₁.
      rival_notes: What the reader must know of these scores.
      largest_frame_spread: What the standard deviation of λ₁ over initial frames cannot exceed;
        NaN without `log_growth`.
      unit: Unit of the exponents.
      quartiles: What is solved in each quartile of a number that tells the difficulty, by its name.
    """

    num_puzzles: int
    num_excluded: int
    num_solved: int
    num_failed: int
    solved_fraction: Interval
    exponent_auc: list[Interval]
    solved_exponents: list[Interval]
    failed_exponents: list[Interval]
    num_unresolved: list[int]
    num_unsorted: int
    derived: list[Derived]
    num_blocks: int
    drift_window: int
    drift_auc: Interval
    solved_drift: Interval
    failed_drift: Interval
    rivals: list[Rival]
    rival_notes: list[str]
    largest_frame_spread: float
    unit: str
    quartiles: dict[str, list[Quartile]]


def usable_runs(exponents: ArrayLike, drift: ArrayLike, finite: ArrayLike) -> np.ndarray:
    """Returns (N,) which runs can be ranked: those flagged finite, without NaN in λ₁ and drift.

    Exponents (N, k) of −inf, a direction that collapsed to nothing, can be ranked and are kept. So
    are runs with NaN at later exponents: these directions are below the round-off floor, and the
    run is sound.
    """
    undefined = np.isnan(np.asarray(exponents)[:, 0]) | np.isnan(drift).any(axis=1)
    return np.asarray(finite, dtype=bool) & ~undefined


def summarize(
    exponents: ArrayLike,
    solved: ArrayLike,
    drift: ArrayLike,
    finite: ArrayLike,
    *,
    log_growth: ArrayLike | None = None,
    dimension: int | None = None,
    scores: Mapping[str, np.ndarray] | None = None,
    score_notes: Sequence[str] = (),
    unit: str = "nats per update",
    difficulty: Mapping[str, np.ndarray] | None = None,
) -> Summary:
    """Returns the solved puzzles compared with the failed ones.

    Args:
      exponents: (N, k) the leading exponents of each puzzle, which are compared `largest_first`,
        since frames leave some unsorted; NaN in a finite run is a direction below the round-off
        floor.
      solved: (N,) booleans.
      drift: (N, segments) ‖Δz_H‖ per segment; late drift is the mean of the last four, or of all
        if there are fewer.
      finite: (N,) booleans; the other runs are counted and left out (see `usable_runs`).
      log_growth: (N, updates, k) from which λ₁ gets its error along time; left out without it, or
        if there is one segment only.
      dimension: Dimension n of the state, which makes k = n known as the whole spectrum.
      scores: Arrays (N,) by name beside which λ₁ is put, larger for "solved", as in `rivals`.
      score_notes: What the reader must know of these scores.
      unit: Unit of the exponents.
      difficulty: Integers (N,) by name, larger for harder puzzles.

    Returns:
      The summary; NaN where a group is empty.
    """
    solved = as_array("solved", solved, ("N",), bool)
    finite = as_array("finite", finite, solved.shape, bool)
    exponents = as_array("exponents", exponents, (len(solved), "k"))
    drift = as_array("drift", drift, (len(solved), "segments"))
    usable = usable_runs(exponents, drift, finite)
    window, num_segments = min(DRIFT_WINDOW, drift.shape[1]), drift.shape[1]
    ordered = largest_first(exponents)
    unresolved = np.isnan(ordered)
    ranked = np.where(unresolved, -np.inf, ordered)
    rows = np.column_stack([ranked, late_drift(drift, window)])[usable]
    positive = solved[usable]
    *exponent_auc, drift_auc = auc_interval(-rows, positive).each()
    *solved_exponents, solved_drift = median_interval(rows[positive]).each()
    *failed_exponents, failed_drift = median_interval(rows[~positive]).each()
    compared = {name: values[usable] for name, values in (scores or {}).items()}
    compared["−late drift"] = -rows[:, -1]
    quantities = list(spectrum_quantities(exponents[usable], dimension))
    num_blocks = 0 if log_growth is None else min(NUM_BLOCKS, num_segments)
    if log_growth is not None and num_blocks > 1:
        growth = as_array("log_growth", log_growth, (len(solved), "updates", exponents.shape[1]))
        quantities.append(error_quantity(growth[usable, :, 0], num_segments, num_blocks))
    frame_spread = np.nan if log_growth is None else largest_frame_spread(np.shape(log_growth)[1])
    return Summary(
        num_puzzles=len(solved),
        num_excluded=int(np.sum(~usable)),
        num_solved=int(np.sum(positive)),
        num_failed=int(np.sum(~positive)),
        solved_fraction=fraction_interval(int(solved.sum()), len(solved)),
        exponent_auc=exponent_auc,
        solved_exponents=solved_exponents,
        failed_exponents=failed_exponents,
        num_unresolved=unresolved[usable].sum(axis=0).tolist(),
        num_unsorted=int((exponents[usable, 1:] > exponents[usable, :-1]).any(axis=1).sum()),
        derived=[_compare(quantity, positive) for quantity in quantities],
        num_blocks=num_blocks,
        drift_window=window,
        drift_auc=drift_auc,
        solved_drift=solved_drift,
        failed_drift=failed_drift,
        rivals=rivals(rows[:, 0], positive, compared),
        rival_notes=list(score_notes),
        largest_frame_spread=frame_spread,
        unit=unit,
        quartiles={
            name: solved_by_quartile(solved, values) for name, values in (difficulty or {}).items()
        },
    )


def _compare(quantity: Quantity, solved: np.ndarray) -> Derived:
    defined = ~np.isnan(quantity.values)
    values = quantity.values[:, None]
    undefined = {
        str(reason): [int(np.sum(solved[here])), int(np.sum(~solved[here]))]
        for reason in np.unique(quantity.reasons[~defined])
        for here in [quantity.reasons == reason]
    }
    return Derived(
        name=quantity.name,
        solved=median_interval(values[defined & solved]).at(0),
        failed=median_interval(values[defined & ~solved]).at(0),
        auc=auc_interval(-values, solved).at(0) if defined.all() else UNDEFINED,
        num_bounds=int(np.sum(quantity.is_bound)),
        undefined=undefined,
    )
