"""Noisy runs in words: what they solve together, which answer to choose, and q against λ₁."""

from rrjax.analysis import format as words
from rrjax.analysis.noisy import Correlation, PtrmSummary
from rrjax.analysis.table import Table
from rrjax.reports.selection import PASSED, RULES, passed


def tables(summary: PtrmSummary) -> list[Table]:
    """Returns one table: what one run, the best run and each rule solve against no noise."""
    selection = summary.selection
    K = str(selection.num_runs)
    chosen = {"1": selection.pass_at["1"], "some_run": selection.pass_at[K], **selection.rules}
    names = {"1": passed("1"), "some_run": passed(K), **RULES}
    quiet = words.percent_interval(summary.noiseless)
    rows: list[tuple[str, ...]] = [("without noise", quiet, "", "")]
    for name, fraction in chosen.items():
        change = summary.changes.get(name)
        counts = ("", "") if change is None else (str(change.gained), str(change.lost))
        rows.append((names[name], words.percent_interval(fraction), *counts))
    headline = (
        f"{words.count(summary.num_puzzles, 'puzzle')}, {words.count(int(K), 'run')} of "
        f"{words.count(summary.num_segments, 'segment')} with noise σ = {summary.sigma:g}"
    )
    headers = ("after the last segment", "solved (95 % interval)", "gained", "lost")
    total = summary.num_puzzles * selection.num_runs
    notes = words.not_finite(summary.num_not_finite, total, "counted as failed")
    if summary.correlation is not None:
        notes += _correlation_notes(summary.correlation)
    notes.append(f"Gained and lost are numbers of puzzles, against the run without noise. {PASSED}")
    return [Table(headline, headers, rows, notes)]


def _correlation_notes(correlation: Correlation) -> list[str]:
    mixed, used = correlation.num_mixed, correlation.num_used
    if not used:
        puzzles = words.count(mixed, "puzzle")
        return [f"q against λ₁: none of {puzzles} with right and wrong runs can be ranked."]
    puzzles = words.count(mixed, "mixed puzzle")
    rho = words.interval_in_words(correlation.spearman, ".2f")
    return [f"q against λ₁ within {used} of {puzzles}: mean Spearman ρ is {rho}."]
