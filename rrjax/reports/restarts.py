"""Restarts in words: what perturbed starts solve, and which puzzles the start decides."""

from rrjax.analysis import format as words
from rrjax.analysis.restarts import BasinSummary
from rrjax.analysis.table import Table
from rrjax.reports.selection import PASSED, RULES, passed


def tables(summary: BasinSummary) -> list[Table]:
    """Returns what restarts solve, which run to believe, and which puzzles the start decides."""
    return [_outcome_table(summary), _selection_table(summary), _puzzle_table(summary)]


def _outcome_table(summary: BasinSummary) -> Table:
    rows = [
        (
            f"{row.sigma:g}",
            words.percent_interval(row.outcomes.at_end, 0),
            words.percent_interval(row.failures.at_some, 0),
            words.percent_interval(row.failures.some_run, 0),
        )
        for row in summary.by_sigma
    ]
    number, total = len(summary.failures), summary.num_puzzles * summary.num_runs
    headers = (
        "σ",
        f"runs solved\nat segment {summary.num_segments}",
        "of the failures:\nruns that escape",
        "of the failures:\npuzzles that escape",
    )
    notes = words.not_finite(summary.num_not_finite, total, "counted as failed")
    legend = (
        f"Failures: the {words.count(number, 'puzzle')} that z0 (σ = 0) fails at segment "
        f"{summary.readout_segment}. Escape: solved after some segment. 95 % intervals; σ is the "
        "noise of the start / std(H_init)."
    )
    puzzles, starts = summary.num_puzzles, summary.num_runs
    headline = f"{words.count(puzzles, 'puzzle')} from {words.count(starts, 'start')} each"
    return Table(headline, headers, rows, [*notes, legend])


def _selection_table(summary: BasinSummary) -> Table:
    rows = []
    for row in summary.by_sigma:
        if row.sigma > 0:
            chosen = row.selection
            best = chosen.pass_at[str(chosen.num_runs)]
            shown = (chosen.pass_at["1"], best, chosen.rules["best_q"])
            rows.append((f"{row.sigma:g}", *(words.percent_interval(one, 0) for one in shown)))
    K = str(summary.by_sigma[-1].num_runs)
    headers = ("σ", passed("1"), passed(K), RULES["best_q"])
    headline = f"Puzzles solved at segment {summary.num_segments}, by how the answer is chosen"
    return Table(headline, headers, rows, [PASSED + " 95 % intervals."])


def _puzzle_table(summary: BasinSummary) -> Table:
    groups = {
        "every start (the puzzle decides)": summary.always_solved,
        "no start (the puzzle decides)": summary.never_solved,
        "some starts (the start decides)": summary.start_determined,
    }
    failures = set(summary.failures)
    rows = [
        (name, str(len(group)), str(len(failures & set(group)))) for name, group in groups.items()
    ]
    headers = ("solved from", "puzzles", "of these, failures")
    return Table("Does the start decide, or the puzzle?", headers, rows, [])
