"""Finished spectra in words: one run from every side, and several beside each other."""

import math
from collections.abc import Mapping

from rrjax.analysis import format as words
from rrjax.analysis.controls import MIN_GROUP, Controlled
from rrjax.analysis.early import EarlyWindow
from rrjax.analysis.intervals import Interval
from rrjax.analysis.spectra import Analysis
from rrjax.analysis.table import Table


def tables(analysis: Analysis) -> list[Table]:
    """Returns who settled, λ₁ among runs that are alike, and what the first segments tell."""
    settled = [_settled_table(analysis)]
    if analysis.within_drift:
        note = "Held fixed: over pairs of a solved and a failed run near each other in drift."
        settled.append(_controlled_table("late drift, unsettled runs", analysis.within_drift, note))
    note = "Held fixed: over pairs of a solved and a failed run with the same number."
    settled += [_controlled_table(name, c, note) for name, c in analysis.within_difficulty.items()]
    return [*settled, _early_table(analysis.early)] if analysis.early else settled


def comparison(analyses: Mapping[str, Analysis]) -> Table:
    """Returns several runs beside each other, a row each."""
    rows = [
        (
            name,
            str(analysis.num_solved),
            str(analysis.num_failed),
            words.interval(analysis.lambda1_auc),
            words.number(analysis.settling.drift_auc.value, ".3f"),
        )
        for name, analysis in analyses.items()
    ]
    headers = ("run", "solved", "failed", "AUC of −λ₁\n(95 % interval)", "AUC of\n−drift")
    return Table("Runs beside each other", headers, rows, [])


def _settled_table(analysis: Analysis) -> Table:
    settling, counts = analysis.settling, analysis.settling.otsu
    settled = (counts.settled_solved, counts.settled_failed, counts.solved_if_settled)
    unsettled = (counts.unsettled_solved, counts.unsettled_failed, counts.solved_if_unsettled)
    rows = [
        (name, str(solved), str(failed), _share(fraction))
        for name, (solved, failed, fraction) in (("settled", settled), ("unsettled", unsettled))
    ]
    total = analysis.num_solved + analysis.num_failed + analysis.num_excluded
    drift_auc = words.interval_in_words(settling.drift_auc)
    notes = [
        *words.not_finite(analysis.num_excluded, total, "left out"),
        *words.few_runs(analysis.num_solved, analysis.num_failed),
        f"Without a threshold, the AUC of −(late drift) for solved is {drift_auc}.",
        "Otsu's threshold always makes two groups, even where there is only one.",
    ]
    headline = f"Settled: log10 late drift up to {counts.threshold:.2f} (Otsu's threshold)"
    return Table(headline, ("runs", "solved", "failed", "solved (95 % interval)"), rows, notes)


def _controlled_table(name: str, controlled: Controlled, note: str) -> Table:
    rows = [
        (words.value_range(s.low, s.high), str(s.num_solved), str(s.num_failed), _auc(s.auc))
        for s in controlled.strata
    ]
    sizes = str(controlled.num_solved), str(controlled.num_failed)
    rows.append(("held fixed", *sizes, words.interval(controlled.fixed)))
    rows.append(("not held fixed", *sizes, words.interval(controlled.plain)))
    headers = (name.partition(",")[0], "solved", "failed", "AUC of −λ₁ (95 % interval)")
    return Table(f"λ₁ among runs that are alike in {name}", headers, rows, [note])


def _early_table(early: list[EarlyWindow]) -> Table:
    rows = [
        (
            str(window.segment),
            str(window.num_solved + window.num_failed),
            str(window.num_solved),
            _auc(window.lambda1),
            _auc(window.drift),
        )
        for window in early
    ]
    headers = (
        "s",
        "unsolved\nat s",
        "solved at\nthe end",
        "AUC of −λ₁ of 1..s\n(95 % interval)",
        "AUC of −drift of 1..s\n(95 % interval)",
    )
    note = "One interval in twenty misses 0.5 by chance."
    if all(math.isnan(window.lambda1.value) for window in early):
        note = (
            f"Too few runs: an AUC needs {MIN_GROUP} that get solved and {MIN_GROUP} that do not."
        )
    return Table("Do segments 1..s tell which unsolved runs get solved?", headers, rows, [note])


def _auc(estimate: Interval) -> str:
    return "too few" if math.isnan(estimate.value) else words.interval(estimate)


def _share(fraction: Interval) -> str:
    return "no run" if math.isnan(fraction.value) else words.percent_interval(fraction)
