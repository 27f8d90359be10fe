"""Finished spectra in words: one run from every side, and several beside each other."""

from collections.abc import Mapping

import numpy as np

from rrjax.analysis.controls import Controlled
from rrjax.analysis.early import EarlyWindow
from rrjax.analysis.format import bracketed
from rrjax.analysis.intervals import SMALL_GROUP, Interval
from rrjax.analysis.separation import AucEstimate
from rrjax.analysis.settling import Settling
from rrjax.analysis.spectra import Analysis
from rrjax.analysis.table import Table

SHOWN_PERCENTILES = (10, 25, 50, 75, 90)


def tables(analysis: Analysis) -> list[Table]:
    """The tables in words."""
    found = [_settled_table(analysis), _sweep_table(analysis.settling)]
    if analysis.within_drift:
        found.append(_controlled_table("late drift, unsettled runs", analysis.within_drift))
    found += [_controlled_table(name, c) for name, c in analysis.within_difficulty.items()]
    if analysis.early:
        found.append(_early_table(analysis.early))
    return [*found, _horizon_table(analysis)]


def comparison(analyses: Mapping[str, Analysis]) -> Table:
    """Several runs beside each other, a column each."""
    rows = [
        ("solved / failed", *(f"{a.num_solved} / {a.num_failed}" for a in analyses.values())),
        ("median λ1, solved", *(_numbers(a.solved_lambda1, "+.3f") for a in analyses.values())),
        ("median λ1, failed", *(_numbers(a.failed_lambda1, "+.3f") for a in analyses.values())),
        ("AUC of −λ1", *(_numbers(a.lambda1_auc, ".3f") for a in analyses.values())),
        (
            "AUC of −(late drift)",
            *(_numbers(a.settling.drift_auc, ".3f") for a in analyses.values()),
        ),
        (
            "AUC of −λ1, unsettled,\nwithin drift deciles",
            *(_pooled(a.within_drift) for a in analyses.values()),
        ),
    ]
    names = sorted({name for a in analyses.values() for name in a.within_difficulty})
    rows += [
        (
            f"AUC of −λ1\nwithin bins of {name}",
            *(_pooled(a.within_difficulty.get(name)) for a in analyses.values()),
        )
        for name in names
    ]
    note = "λ1 in nats per update, of each run's own clock: HRM's updates are not TRM's"
    return Table("Runs beside each other [95 %]", ("", *analyses), rows, [note])


def _settled_table(analysis: Analysis) -> Table:
    found, counts = analysis.settling, analysis.settling.otsu
    rows = [
        ("solved", str(counts.settled_solved), str(counts.unsettled_solved)),
        ("failed", str(counts.settled_failed), str(counts.unsettled_failed)),
        (
            "solved [95 %]",
            _percents(counts.solved_if_settled),
            _percents(counts.solved_if_unsettled),
        ),
    ]
    headline = f"Settled × solved, cut at log10 late drift {counts.threshold:.2f} (Otsu)"
    below = ", ".join(
        f"{_percents(share)} below the {_percentile_name(q)}"
        for q, share in found.failed_below.items()
    )
    notes = [
        *_group_notes(analysis),
        f"without a threshold: AUC of −(late drift) for solved {_numbers(found.drift_auc, '.3f')}",
        f"of the failed runs, {below} of the solved ones' late drift",
        "Otsu's cut is made whether or not there are two groups; intervals of shares: exact "
        "(Clopper–Pearson), the cut taken as given",
    ]
    return Table(headline, ("runs", "settled", "unsettled"), rows, notes)


def _group_notes(analysis: Analysis) -> list[str]:
    notes = []
    if analysis.num_excluded:
        notes.append(f"{analysis.num_excluded} runs were not finite or without λ1: left out")
    smaller = min(analysis.num_solved, analysis.num_failed)
    if smaller < SMALL_GROUP:
        name = "solved" if smaller == analysis.num_solved else "failed"
        notes.append(
            f"only {smaller} {name}: with fewer than {SMALL_GROUP} intervals are too narrow"
        )
    return notes


def _percentile_name(q: int) -> str:
    return {50: "median", 100: "largest"}.get(q, f"{q}th percentile")


def _sweep_table(found: Settling) -> Table:
    rows = [
        (
            f"{q} %",
            f"{counts.threshold:.2f}",
            _percents(counts.solved_if_settled),
            _percents(counts.solved_if_unsettled),
        )
        for q, counts in zip(found.percentiles, found.sweep, strict=True)
        if q in SHOWN_PERCENTILES
    ]
    headers = ("settled\nruns", "log10\nlate drift", "solved if\nsettled", "solved if\nunsettled")
    note = "columns that hardly change from row to row do not depend on where the cut lies"
    return Table("The same with the cut at a percentile of all runs", headers, rows, [note])


def _controlled_table(name: str, controlled: Controlled) -> Table:
    rows = [
        (_range(s.low, s.high), str(s.auc.num_positive), str(s.auc.num_negative), _auc(s.auc))
        for s in controlled.strata
    ]
    plain, pooled = controlled.plain, controlled.pooled
    sizes = str(plain.num_positive), str(plain.num_negative)
    rows.append(("pooled", *sizes, _pooled(controlled)))
    rows.append(("not held fixed", *sizes, _numbers(plain, ".3f")))
    headers = (name.partition(",")[0], "solved", "failed", "AUC of −λ1 [95 %]")
    note = (
        f"pooled: over the {controlled.num_pairs} pairs of a solved and a failed run in one bin"
        if not np.isnan(pooled.value)
        else "no bin holds a solved and a failed run"
    )
    return Table(f"AUC of −λ1 for solved among runs alike in {name}", headers, rows, [note])


def _early_table(early: list[EarlyWindow]) -> Table:
    rows = [
        (
            str(w.segment),
            str(w.lambda1.num_positive + w.lambda1.num_negative),
            str(w.lambda1.num_positive),
            _auc(w.lambda1),
            _auc(w.drift),
        )
        for w in early
    ]
    headers = (
        "s",
        "unsolved\nat s",
        "solved at\nthe end",
        "AUC of −λ1\nof 1..s",
        "AUC of −drift\nof 1..s",
    )
    note = (
        f"{len(early)} tests on the same runs: expect one in twenty intervals to miss 0.5 by chance"
    )
    return Table(
        "Do segments 1..s tell which of the runs unsolved at s get solved?", headers, rows, [note]
    )


def _horizon_table(analysis: Analysis) -> Table:
    curve = analysis.horizon
    per_segment = len(curve.updates) // analysis.num_segments
    shown = [s for s in (1, 2, 4, 8) if s < analysis.num_segments] + [analysis.num_segments]
    rows = [
        (
            str(s),
            str(s * per_segment),
            _numbers(_at(curve.solved, s * per_segment - 1), "+.4f"),
            _numbers(_at(curve.failed, s * per_segment - 1), "+.4f"),
        )
        for s in shown
    ]
    headers = (
        "segments",
        "updates",
        f"median of\n{curve.num_solved} solved [95 %]",
        f"median of\n{curve.num_failed} failed [95 %]",
    )
    note = "nats per update, from the first update on, by the outcome at the end"
    return Table("λ1 by horizon", headers, rows, [note])


def _at(interval: Interval, column: int) -> Interval:
    return Interval(*(end[column] for end in interval))


def _auc(estimate: AucEstimate) -> str:
    return "too few" if np.isnan(estimate.value) else _numbers(estimate, ".3f")


def _pooled(controlled: Controlled | None) -> str:
    return "unknown" if controlled is None else _numbers(controlled.pooled, ".3f")


def _numbers(estimate: Interval | AucEstimate, precision: str) -> str:
    return bracketed(*estimate[:3], precision)


def _percents(share: Interval) -> str:
    if np.isnan(share.value):
        return "no run"
    value, low, high = (100 * end for end in share)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _range(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} – {high:.3g}"
