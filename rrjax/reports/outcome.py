"""The main table in words: are the failed puzzles the chaotic ones?"""

import numpy as np

from rrjax.analysis.intervals import SMALL_GROUP, Estimate
from rrjax.analysis.outcome import Derived, Summary
from rrjax.analysis.table import Table

# Label and precision of each derived quantity; short, or numbers would wrap at 100 columns.
DERIVED_ROWS = {
    "num_positive": ("positive λ", ".4g"),
    "entropy_rate": ("entropy rate", ".4f"),
    "sum": ("sum of {k} λ", ".4f"),
    "kaplan_yorke": ("Kaplan–Yorke", ".2f"),
    "standard_error": ("error of λ1", "#.2g"),
}


def tables(summary: Summary) -> list[Table]:
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
    return [Table(headline, headers, rows, _notes(summary))]


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
