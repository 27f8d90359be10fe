"""The main table: are the failed puzzles the chaotic ones?"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.drift import late_drift
from rrjax.analysis.intervals import Interval, bootstrap_median, wilson_interval
from rrjax.analysis.quantities import Quantity, error_quantity, spectrum_quantities
from rrjax.analysis.separation import AucEstimate, bootstrap_auc

DRIFT_WINDOW = 4
# Below this the percentile bootstrap is known to be too narrow.
SMALL_GROUP = 10
# Blocks along time: few, so that they are long, yet enough for an error known within a quarter.
NUM_BLOCKS = 8
# Label and precision of each derived quantity; short, or numbers would wrap at 100 columns.
DERIVED_ROWS = {
    "num_positive": ("positive λ", ".4g"),
    "entropy_rate": ("entropy rate", ".4f"),
    "sum": ("sum of {k} λ", ".4f"),
    "kaplan_yorke": ("Kaplan–Yorke", ".2f"),
    "standard_error": ("error of λ1", "#.2g"),
}


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN, all three, where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Derived:
    """A quantity that follows from the spectrum, compared between the groups.

    Attributes:
      name: `num_positive`, `entropy_rate` (sum of the positive λ), `sum` (of the k), `kaplan_yorke`
        or `standard_error` (of λ1 along time).
      solved: median of the solved puzzles in which it is defined.
      failed: the same of the failed ones.
      auc: of its negative for "solved"; NaN if it is undefined in any puzzle, since those that
        are left are no fair choice.
      num_bounds: in how many puzzles the value is a lower bound only.
      undefined: by reason, in how many solved and how many failed puzzles it is undefined.
    """

    name: str
    solved: Estimate
    failed: Estimate
    auc: Estimate
    num_bounds: int
    undefined: dict[str, list[int]]


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
      num_unresolved: for each i in how many of the grouped puzzles λ_i is below the round-off
        floor; medians and AUC rank those below every number (−inf).
      derived: what follows from each spectrum.
      num_blocks: of a run, for the standard error along time; below 2 there is none.
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
    num_unresolved: list[int]
    derived: list[Derived]
    num_blocks: int
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
      notes: what the reader must know before trusting the numbers; the last explains the rows.
    """

    headline: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]


def usable_runs(exponents: ArrayLike, drift: ArrayLike, finite: ArrayLike) -> np.ndarray:
    """Which runs can be ranked: flagged finite, and no NaN in λ1 and drift.

    Exponents of −inf, a direction that collapsed to nothing, can be ranked and are kept. So are
    runs with NaN at later exponents: these directions are below the round-off floor, and the run
    is sound.

    Args:
      exponents: (N, k) the leading exponents of each puzzle.
      drift: (N, segments).
      finite: (N,) booleans, the flag that each run set.

    Returns:
      (N,) booleans.
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
    unit: str = "nats per update",
    seed: int = 0,
) -> Summary:
    """Compare the solved puzzles with the failed ones.

    Args:
      exponents: (N, k) the leading exponents of each puzzle, largest first; NaN in a finite run is
        a direction below the round-off floor.
      solved: (N,) booleans.
      drift: (N, segments) ‖Δz_H‖ per segment; late drift is the mean of the last four, or of all
        if there are fewer.
      finite: (N,) booleans; the other runs are counted and left out (see `usable_runs`).
      log_growth: (N, updates, k) from which λ1 gets its error along time; left out without it, or
        if there is one segment only.
      dimension: n of the state, which makes k = n known as the whole spectrum.
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
    window, num_segments = min(DRIFT_WINDOW, drift.shape[1]), drift.shape[1]
    unresolved = np.isnan(exponents)
    ranked = np.where(unresolved, -np.inf, exponents)
    rows = np.column_stack([ranked, late_drift(drift, window)])[usable]
    positive = solved[usable]
    *exponent_auc, drift_auc = _estimates(bootstrap_auc(-rows, positive, seed))
    *solved_exponents, solved_drift = _estimates(bootstrap_median(rows[positive], seed))
    *failed_exponents, failed_drift = _estimates(bootstrap_median(rows[~positive], seed))
    quantities = list(spectrum_quantities(exponents[usable], dimension))
    num_blocks = 0 if log_growth is None else min(NUM_BLOCKS, num_segments)
    if log_growth is not None and num_blocks > 1:
        growth = _lambda1_growth(log_growth, exponents, num_segments)
        quantities.append(error_quantity(growth[usable], num_segments, num_blocks))
    return Summary(
        num_puzzles=len(solved),
        num_excluded=int(np.sum(~usable)),
        num_solved=int(np.sum(positive)),
        num_failed=int(np.sum(~positive)),
        solved_fraction=Estimate(*wilson_interval(int(solved.sum()), len(solved))),
        exponent_auc=exponent_auc,
        solved_exponents=solved_exponents,
        failed_exponents=failed_exponents,
        num_unresolved=unresolved[usable].sum(axis=0).tolist(),
        derived=[_compare(quantity, positive, seed) for quantity in quantities],
        num_blocks=num_blocks,
        drift_window=window,
        drift_auc=drift_auc,
        solved_drift=solved_drift,
        failed_drift=failed_drift,
        unit=unit,
        seed=seed,
    )


def format_summary(summary: Summary) -> Table:
    """The summary as a table: a row per exponent, per derived quantity and one for late drift."""
    fraction = summary.solved_fraction
    headline = (
        f"Solved {_percent(fraction.value)} of {summary.num_puzzles} puzzles "
        f"(95 % interval {_percent(fraction.low)} to {_percent(fraction.high)})"
    )
    headers = (
        f"λ in\n{summary.unit}",
        f"median of\n{summary.num_solved} solved [95 %]",
        f"median of\n{summary.num_failed} failed [95 %]",
        "AUC of −value\nfor solved [95 %]",
    )
    columns = (summary.solved_exponents, summary.failed_exponents, summary.exponent_auc)
    rows = [
        _row(f"λ{i}", estimates, ".4f") for i, estimates in enumerate(zip(*columns, strict=True), 1)
    ]
    rows.extend(
        _derived_row(derived, k=len(summary.num_unresolved))
        for derived in summary.derived
        if not _nowhere_defined(derived)
    )
    drift = (summary.solved_drift, summary.failed_drift, summary.drift_auc)
    rows.append(_row("late drift", drift, "#.2g"))
    return Table(headline, headers, rows, _notes(summary))


def _row(label: str, estimates: tuple[Estimate, ...], precision: str) -> tuple[str, ...]:
    *medians, separation = estimates
    return (label, *(_show(median, precision) for median in medians), _show(separation, ".3f"))


def _derived_row(derived: Derived, k: int) -> tuple[str, ...]:
    label, precision = DERIVED_ROWS[derived.name]
    bound = " ≥" if derived.num_bounds else ""
    estimates = (derived.solved, derived.failed, derived.auc)
    return _row(label.format(k=k) + bound, estimates, precision)


def _nowhere_defined(derived: Derived) -> bool:
    medians = (derived.solved.value, derived.failed.value)
    return bool(derived.undefined) and bool(np.isnan(medians).all())


def _notes(summary: Summary) -> list[str]:
    notes = []
    if summary.num_excluded:
        notes.append(
            f"{summary.num_excluded} of {summary.num_puzzles} runs were not finite (or without "
            "λ1) and are in neither group"
        )
    notes.extend(_group_notes(summary.num_solved, summary.num_failed))
    notes.extend(_unresolved_notes(summary))
    notes.extend(_bound_notes(summary))
    for derived in summary.derived:
        notes.extend(_undefined_notes(derived, summary))
    return [*notes, _legend(summary)]


def _unresolved_notes(summary: Summary) -> list[str]:
    total = summary.num_solved + summary.num_failed
    found = [f"λ{i} in {n}" for i, n in enumerate(summary.num_unresolved, 1) if n]
    if not found:
        return []
    return [
        f"below the round-off floor in n of {total} puzzles: {', '.join(found)}; there a direction "
        "has no number and is ranked below all (-inf)"
    ]


def _bound_notes(summary: Summary) -> list[str]:
    total = summary.num_solved + summary.num_failed
    most = max(derived.num_bounds for derived in summary.derived)
    if most == 0:
        return []
    return [
        f"≥: lower bounds, because all known exponents are positive in {most} of {total} puzzles"
    ]


def _undefined_notes(derived: Derived, summary: Summary) -> list[str]:
    label = DERIVED_ROWS[derived.name][0].format(k=len(summary.num_unresolved))
    if _nowhere_defined(derived):
        rest = ""
    elif derived.name == "kaplan_yorke":
        rest = "; the medians are of the others, which have the smaller dimensions"
    else:
        rest = "; the medians are of the others"
    return [
        f"{label} undefined in {solved} of {summary.num_solved} solved and {failed} of "
        f"{summary.num_failed} failed: {reason}{rest}"
        for reason, (solved, failed) in derived.undefined.items()
    ]


def _legend(summary: Summary) -> str:
    window = summary.drift_window
    parts = ["entropy rate: sum of the positive λ"]
    if summary.num_blocks > 1:
        parts.append(f"error of λ1: standard error along time from {summary.num_blocks} blocks")
    segments = f"the last {window} segments" if window > 1 else "the last segment"
    return "; ".join([*parts, f"late drift: mean ‖Δz_H‖ of {segments}"])


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


def _compare(quantity: Quantity, solved: np.ndarray, seed: int) -> Derived:
    defined = ~np.isnan(quantity.values)
    values = quantity.values[:, None]
    undefined = {
        str(reason): [int(np.sum(solved[here])), int(np.sum(~solved[here]))]
        for reason in np.unique(quantity.reasons[~defined])
        for here in [quantity.reasons == reason]
    }
    separation = (
        _estimates(bootstrap_auc(-values, solved, seed))[0]
        if defined.all()
        else Estimate(np.nan, np.nan, np.nan)
    )
    return Derived(
        name=quantity.name,
        solved=_estimates(bootstrap_median(values[defined & solved], seed))[0],
        failed=_estimates(bootstrap_median(values[defined & ~solved], seed))[0],
        auc=separation,
        num_bounds=int(quantity.is_bound.sum()),
        undefined=undefined,
    )


def _lambda1_growth(log_growth: ArrayLike, exponents: np.ndarray, num_segments: int) -> np.ndarray:
    growth = np.asarray(log_growth)
    n, k = exponents.shape
    updates = growth.shape[1] if growth.ndim == 3 else 0
    if growth.shape != (n, updates, k) or updates == 0 or updates % num_segments:
        raise ValueError(
            f"log_growth must have shape ({n}, updates, {k}), its updates whole segments of the "
            f"{num_segments} in drift; got {growth.shape}"
        )
    return growth[..., 0]


def to_estimate(interval: Interval) -> Estimate:
    """An interval of plain numbers, for a report."""
    return Estimate(*map(float, interval))


def bracketed(value: float, low: float, high: float, precision: str) -> str:
    """A number with its interval in words; `precision` is that of a format, such as `.3f`."""
    if np.isnan(value):
        return "undefined"
    return f"{value:{precision}} [{low:{precision}}, {high:{precision}}]"


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
