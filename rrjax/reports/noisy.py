"""Noisy rollouts in words: what they solve together, which to believe, and q against λ1."""

from rrjax.analysis.intervals import SMALL_GROUP
from rrjax.analysis.noisy import Change, Correlation, PtrmSummary
from rrjax.analysis.table import Table
from rrjax.reports.selection import LEGEND, RULES, describe, percent


def tables(summary: PtrmSummary) -> list[Table]:
    """The summary in words."""
    selection, K = summary.selection, summary.selection.num_runs
    headline = (
        f"{summary.num_puzzles} puzzles, {K} runs of {summary.num_segments} segments with noise "
        f"σ = {summary.sigma:g}"
    )
    changes = {RULES.get(name, f"pass@{K}"): change for name, change in summary.changes.items()}
    rows = [("without noise", percent(summary.noiseless), "", "")]
    rows += [
        (name, value, *_counts(changes.get(name))) for name, value in describe(selection).items()
    ]
    headers = ("after the last segment", "% solved", "gained", "lost")
    return [Table(headline, headers, rows, _notes(summary))]


def _counts(change: Change | None) -> tuple[str, str]:
    return ("", "") if change is None else (str(change.gained), str(change.lost))


def _notes(summary: PtrmSummary) -> list[str]:
    notes, K = [], summary.selection.num_runs
    if summary.num_not_finite:
        total = summary.num_puzzles * K
        notes.append(f"{summary.num_not_finite} of {total} noisy runs were not finite: not solved")
    if summary.correlation is not None:
        notes.extend(_correlation_notes(summary.correlation))
    return [*notes, f"gained, lost: puzzles, against the run without noise; {LEGEND.format(K=K)}"]


def _correlation_notes(found: Correlation) -> list[str]:
    if not found.num_used:
        return [f"q against λ1: {found.num_mixed} puzzles of mixed outcome, none to be ranked"]
    rho = found.spearman
    notes = [
        f"q against λ1 within {found.num_used} of {found.num_mixed} puzzles of mixed outcome: mean "
        f"Spearman ρ {rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}]"
    ]
    if found.num_used < SMALL_GROUP:
        notes.append(f"only {found.num_used} puzzles: the interval of ρ is too narrow")
    return notes
