"""The main table: are the failed puzzles the chaotic ones?"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.drift import late_drift
from rrjax.analysis.intervals import Interval, bootstrap_median, wilson_interval
from rrjax.analysis.separation import AucEstimate, bootstrap_auc

DRIFT_WINDOW = 4
# Below this the percentile bootstrap is known to be too narrow.
SMALL_GROUP = 10


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN, all three, where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Solved and failed puzzles compared, in plain numbers (`dataclasses.asdict` for JSON).

    Attributes:
      num_puzzles: all that were measured.
      num_excluded: runs that were not finite; they are in no group.
      num_solved: size of the solved group.
      num_failed: size of the failed group.
      solved_fraction: of all puzzles, excluded ones too, with its Wilson interval.
      exponent_auc: for each i the AUC of −λ_i for "solved".
      solved_exponents: for each i the median λ_i of the solved group.
      failed_exponents: for each i the median λ_i of the failed group.
      drift_window: over how many last segments late drift is averaged.
      drift_auc: AUC of −(late drift) for "solved".
      solved_drift: median late drift of the solved group.
      failed_drift: median late drift of the failed group.
      unit: of the exponents.
      seed: of the bootstrap.
    """

    num_puzzles: int
    num_excluded: int
    num_solved: int
    num_failed: int
    solved_fraction: Estimate
    exponent_auc: list[Estimate]
    solved_exponents: list[Estimate]
    failed_exponents: list[Estimate]
    drift_window: int
    drift_auc: Estimate
    solved_drift: Estimate
    failed_drift: Estimate
    unit: str
    seed: int


class Table(NamedTuple):
    """A table in words.

    Attributes:
      headline: one sentence.
      headers: titles of the columns.
      rows: as many strings each as there are headers.
      notes: what the reader must know before trusting the numbers; often empty.
    """

    headline: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]


def usable_runs(exponents: ArrayLike, drift: ArrayLike, finite: ArrayLike) -> np.ndarray:
    """Which runs can be ranked: flagged finite, and no NaN in their exponents and drift.

    Exponents of −inf, a direction that collapsed to nothing, can be ranked and are kept.

    Args:
      exponents: (N, k).
      drift: (N, segments).
      finite: (N,) booleans, the flag that each run set.

    Returns:
      (N,) booleans.
    """
    undefined = np.isnan(exponents).any(axis=1) | np.isnan(drift).any(axis=1)
    return np.asarray(finite, dtype=bool) & ~undefined


def summarize(
    exponents: ArrayLike,
    solved: ArrayLike,
    drift: ArrayLike,
    finite: ArrayLike,
    *,
    unit: str = "nats per update",
    seed: int = 0,
) -> Summary:
    """Compare the solved puzzles with the failed ones.

    Args:
      exponents: (N, k) the leading exponents of each puzzle, largest first.
      solved: (N,) booleans.
      drift: (N, segments) ‖Δz_H‖ per segment; late drift is the mean of the last four, or of all
        if there are fewer.
      finite: (N,) booleans; the other runs are counted and left out (see `usable_runs`).
      unit: of the exponents.
      seed: of the bootstrap.

    Returns:
      The summary; NaN where a group is empty.

    Raises:
      ValueError: for arrays whose shapes do not fit each other.
    """
    exponents, drift = np.asarray(exponents, np.float64), np.asarray(drift, np.float64)
    solved, finite = np.asarray(solved), np.asarray(finite)
    _check_shapes(exponents, solved, drift, finite)
    usable = usable_runs(exponents, drift, finite)
    window = min(DRIFT_WINDOW, drift.shape[1])
    rows = np.column_stack([exponents, late_drift(drift, window)])[usable]
    positive = solved[usable]
    *exponent_auc, drift_auc = _estimates(bootstrap_auc(-rows, positive, seed))
    *solved_exponents, solved_drift = _estimates(bootstrap_median(rows[positive], seed))
    *failed_exponents, failed_drift = _estimates(bootstrap_median(rows[~positive], seed))
    return Summary(
        num_puzzles=len(solved),
        num_excluded=int(np.sum(~usable)),
        num_solved=int(np.sum(positive)),
        num_failed=int(np.sum(~positive)),
        solved_fraction=Estimate(*wilson_interval(int(solved.sum()), len(solved))),
        exponent_auc=exponent_auc,
        solved_exponents=solved_exponents,
        failed_exponents=failed_exponents,
        drift_window=window,
        drift_auc=drift_auc,
        solved_drift=solved_drift,
        failed_drift=failed_drift,
        unit=unit,
        seed=seed,
    )


def format_summary(summary: Summary) -> Table:
    """The summary as a table: a row per exponent and one for late drift."""
    fraction = summary.solved_fraction
    headline = (
        f"Solved {_percent(fraction.value)} of {summary.num_puzzles} puzzles "
        f"(95 % interval {_percent(fraction.low)} to {_percent(fraction.high)})"
    )
    headers = (
        f"λ in {summary.unit}",
        f"median of {summary.num_solved} solved [95 %]",
        f"median of {summary.num_failed} failed [95 %]",
        "AUC of −value for solved [95 %]",
    )
    columns = (summary.solved_exponents, summary.failed_exponents, summary.exponent_auc)
    rows = [
        (f"λ{i}", _show(solved, ".4f"), _show(failed, ".4f"), _show(separation, ".3f"))
        for i, (solved, failed, separation) in enumerate(zip(*columns, strict=True), 1)
    ]
    return Table(headline, headers, [*rows, _drift_row(summary)], _notes(summary))


def _drift_row(summary: Summary) -> tuple[str, ...]:
    window = summary.drift_window
    return (
        f"late drift ‖Δz_H‖, last {window} segments" if window > 1 else "last drift ‖Δz_H‖",
        _show(summary.solved_drift, "#.3g"),
        _show(summary.failed_drift, "#.3g"),
        _show(summary.drift_auc, ".3f"),
    )


def _notes(summary: Summary) -> list[str]:
    notes = []
    if summary.num_excluded:
        notes.append(
            f"{summary.num_excluded} of {summary.num_puzzles} runs were not finite and are in "
            "neither group"
        )
    notes.extend(_group_notes(summary.num_solved, summary.num_failed))
    return notes


def _group_notes(num_solved: int, num_failed: int) -> list[str]:
    total = num_solved + num_failed
    if total == 0:
        return ["no run could be measured: medians and AUC are undefined"]
    if num_failed == 0:
        return [f"all {total} puzzles were solved: AUC is undefined"]
    if num_solved == 0:
        return [f"none of the {total} puzzles was solved: AUC is undefined"]
    smaller = min(num_solved, num_failed)
    if smaller >= SMALL_GROUP:
        return []
    name = "solved" if num_solved <= num_failed else "failed"
    return [f"only {smaller} {name}: with fewer than {SMALL_GROUP} the intervals are too narrow"]


def _show(estimate: Estimate, precision: str) -> str:
    if np.isnan(estimate.value):
        return "undefined"
    value, low, high = (
        format(number, precision) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _percent(fraction: float) -> str:
    return "undefined" if np.isnan(fraction) else f"{100 * fraction:.1f} %"


def _estimates(interval: Interval | AucEstimate) -> list[Estimate]:
    columns: Any = zip(interval.value, interval.low, interval.high, strict=True)
    return [Estimate(float(value), float(low), float(high)) for value, low, high in columns]


def _check_shapes(
    exponents: np.ndarray, solved: np.ndarray, drift: np.ndarray, finite: np.ndarray
) -> None:
    n = len(solved) if solved.ndim == 1 else 0
    wanted = {"exponents": exponents, "drift": drift}
    for name, array in wanted.items():
        if array.ndim != 2 or len(array) != n or array.shape[1] == 0:
            raise ValueError(f"{name} must have a row for each of {n} puzzles; got {array.shape}")
    for name, flags in {"solved": solved, "finite": finite}.items():
        if flags.dtype != bool or flags.shape != (n,):
            raise ValueError(
                f"{name} must be booleans of shape ({n},); got {flags.dtype} of {flags.shape}"
            )
