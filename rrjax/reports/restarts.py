"""Restarts in words: what perturbed starts solve, and which puzzles the start decides."""

from rrjax.analysis.intervals import SMALL_GROUP
from rrjax.analysis.restarts import BasinSummary
from rrjax.analysis.table import Table
from rrjax.reports.selection import LEGEND, describe, percent


def tables(summary: BasinSummary) -> list[Table]:
    """The tables in words: outcomes and selection, of the failures and of all puzzles."""
    return [
        _outcome_table(summary),
        _failure_table(summary),
        _selection_table(summary),
        _puzzle_table(summary),
    ]


def _outcome_table(summary: BasinSummary) -> Table:
    headline = (
        f"{summary.num_puzzles} puzzles, {summary.num_runs} starts each: % of runs solved and "
        "settled"
    )
    headers = ("σ", "runs", f"at segment {summary.readout_segment}", *_ends(summary), "settled")
    rows = []
    for row in summary.by_sigma:
        found = row.outcomes
        estimates = (found.at_readout, found.at_end, found.at_some, found.settled)
        rows.append((f"{row.sigma:g}", str(row.num_runs), *map(percent, estimates)))
    notes = []
    if summary.num_not_finite:
        total = summary.num_puzzles * summary.num_runs
        notes.append(f"{summary.num_not_finite} of {total} runs were not finite: not solved")
    legend = (
        "σ: noise of the start / std(H_init); settled: late drift up to "
        f"{summary.settled_below:.2g} (Otsu, all runs); 95 % intervals, whole puzzles resampled"
    )
    return Table(headline, headers, rows, [*notes, legend])


def _failure_table(summary: BasinSummary) -> Table:
    number, readout = len(summary.failures), summary.readout_segment
    headline = f"Of the {number} that fail from z0 at segment {readout}: % solved from other starts"
    headers = ("σ", "escaped runs", "some run escapes", f"runs {_ends(summary)[0]}", "settled")
    rows = []
    for row in summary.by_sigma:
        found = row.failures
        estimates = (found.at_some, found.some_run, found.at_end, found.settled)
        rows.append((f"{row.sigma:g}", *map(percent, estimates)))
    notes = []
    if number < SMALL_GROUP:
        notes.append(f"only {number} failures: too few for the intervals of runs")
    legend = (
        "escaped: solved after any segment; some run: of all runs of a puzzle at this σ, with "
        "Wilson's interval; fractions of runs: whole puzzles resampled"
    )
    return Table(headline, headers, rows, [*notes, legend])


def _selection_table(summary: BasinSummary) -> Table:
    restarts = [row for row in summary.by_sigma if row.sigma > 0]
    headline = f"% of {summary.num_puzzles} puzzles solved by the answers {_ends(summary)[0]}"
    headers = ("", *(f"σ = {row.sigma:g}" for row in restarts))
    columns = [describe(row.selection) for row in restarts]
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    return Table(headline, headers, rows, [LEGEND.format(K=restarts[0].num_runs)])


def _puzzle_table(summary: BasinSummary) -> Table:
    groups = {
        "solved from every start (input-determined)": summary.always_solved,
        "solved from none (input-determined)": summary.never_solved,
        "from some (start-determined)": summary.start_determined,
    }
    failures = set(summary.failures)
    rows = [
        (name, str(len(group)), str(len(failures & set(group)))) for name, group in groups.items()
    ]
    headers = ("puzzles", "all", f"fail from z0 at {summary.readout_segment}")
    note = "solved: after any segment, of all starts at all σ; the record lists the puzzles"
    return Table("Does the start decide, or the puzzle?", headers, rows, [note])


def _ends(summary: BasinSummary) -> tuple[str, str]:
    return f"at segment {summary.num_segments}", "at some segment"
