"""One spectrum run looked at from every side, and several runs beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.controls import Controlled, controlled_auc
from rrjax.analysis.drift import late_drift
from rrjax.analysis.early import EarlyWindow, HorizonCurve, early_windows, horizon_curve
from rrjax.analysis.intervals import Interval, bootstrap_median
from rrjax.analysis.report import DRIFT_WINDOW, SMALL_GROUP, Table, bracketed, usable_runs
from rrjax.analysis.separation import AucEstimate, bootstrap_auc
from rrjax.analysis.settling import Settling, check_outcomes, log10_drift, settling

DRIFT_BINS = 10
DIFFICULTY_BINS = 6
SHOWN_PERCENTILES = (10, 25, 50, 75, 90)


@dataclass(frozen=True)
class Runs:
    """What an analysis sees of a spectrum: the runs that can be ranked.

    Attributes:
      growth: (n, updates) ln R₁₁ of each update, in nats.
      drift: (n, segments) ‖Δz‖ of the state that answers are read from.
      solved: (n,) booleans.
      solved_by_segment: (n, segments) booleans; None where it was not recorded.
      difficulty: by name (n,) numbers of each puzzle.
      num_excluded: runs that were not finite, or without λ₁.
    """

    growth: np.ndarray
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
    arrays: Mapping[str, np.ndarray], drift: str, difficulty: Mapping[str, np.ndarray]
) -> Runs:
    """The runs of a spectrum that can be ranked.

    Args:
      arrays: `exponents` (N, k), `log_growth` (N, updates, k), `solved` and `finite` (N,), the
        drift (N, segments), and `solved_by_segment` (N, segments) where it is known.
      drift: the name of that array.
      difficulty: by name (N,) numbers of each puzzle.

    Raises:
      ValueError: if no run can be ranked, or all have one outcome.
    """
    moved = arrays[drift]
    keep = usable_runs(arrays["exponents"], moved, arrays["finite"])
    keep &= np.isfinite(moved).all(axis=1)
    solved = arrays["solved"][keep]
    if len(keep) and not keep.any():
        raise ValueError(f"none of the {len(keep)} runs was finite with a λ₁: nothing to analyse")
    check_outcomes(solved, len(solved))
    by_segment = arrays.get("solved_by_segment")
    return Runs(
        growth=arrays["log_growth"][keep, :, 0],
        drift=moved[keep],
        solved=solved,
        solved_by_segment=None if by_segment is None else by_segment[keep],
        difficulty={name: values[keep] for name, values in difficulty.items()},
        num_excluded=int(np.sum(~keep)),
    )


@dataclass(frozen=True)
class Analysis:
    """One run in numbers.

    Attributes:
      num_solved: size of the group.
      num_failed: size of the other.
      num_excluded: runs in neither.
      solved_lambda1: median λ₁ with its bootstrap interval, in nats per update.
      failed_lambda1: the same of the failed runs.
      lambda1_auc: of −λ₁ for "solved".
      settling: settled against solved.
      within_drift: AUC of −λ₁ inside deciles of the unsettled runs' late drift; None if there are
        none.
      within_difficulty: by name, AUC of −λ₁ inside bins of equally hard puzzles.
      early: windows from the first segment; None where the solved segments are not known.
      horizon: λ₁ of the first t updates.
      num_segments: of a run.
    """

    num_solved: int
    num_failed: int
    num_excluded: int
    solved_lambda1: Interval
    failed_lambda1: Interval
    lambda1_auc: AucEstimate
    settling: Settling
    within_drift: Controlled | None
    within_difficulty: dict[str, Controlled]
    early: list[EarlyWindow] | None
    horizon: HorizonCurve
    num_segments: int


def analyse(runs: Runs, seed: int = 0) -> Analysis:
    """All statistics of one run.

    Raises:
      ValueError: for arrays that do not fit each other.
    """
    lambda1, drift, solved = runs.lambda1, runs.late_drift, runs.solved
    found = settling(drift, solved, seed)
    unsettled = log10_drift(drift) > found.otsu.threshold
    by_segment = runs.solved_by_segment
    return Analysis(
        num_solved=int(solved.sum()),
        num_failed=int(np.sum(~solved)),
        num_excluded=runs.num_excluded,
        solved_lambda1=bootstrap_median(lambda1[solved], seed),
        failed_lambda1=bootstrap_median(lambda1[~solved], seed),
        lambda1_auc=bootstrap_auc(-lambda1, solved, seed),
        settling=found,
        within_drift=controlled_auc(
            -lambda1[unsettled], solved[unsettled], drift[unsettled], DRIFT_BINS, seed
        )
        if unsettled.any()
        else None,
        within_difficulty={
            name: controlled_auc(-lambda1, solved, values, DIFFICULTY_BINS, seed)
            for name, values in runs.difficulty.items()
        },
        early=None
        if by_segment is None
        else early_windows(runs.growth, runs.drift, by_segment, seed),
        horizon=horizon_curve(runs.growth, solved, seed),
        num_segments=runs.drift.shape[1],
    )


def format_analysis(analysis: Analysis) -> list[Table]:
    """The tables in words."""
    tables = [_settled_table(analysis), _sweep_table(analysis.settling)]
    if analysis.within_drift:
        tables.append(_controlled_table("late drift, unsettled runs", analysis.within_drift))
    tables += [_controlled_table(name, c) for name, c in analysis.within_difficulty.items()]
    if analysis.early:
        tables.append(_early_table(analysis.early))
    return [*tables, _horizon_table(analysis)]


def format_runs(analyses: Mapping[str, Analysis]) -> Table:
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
