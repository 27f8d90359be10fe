"""The search-and-capture toy in words."""

from rrjax.analysis import format as words
from rrjax.analysis.table import Table
from rrjax.analysis.toys import ToySummary
from rrjax.plots.toy import toy_message


def tables(summary: ToySummary) -> list[Table]:
    """Returns the table of the toy, a row for each readout time."""
    number = summary.num_runs
    shares = [num_failed / number for num_failed in summary.num_failed]
    columns = (
        map(str, summary.times),
        (f"{1 - share:.3f}" for share in shares),
        map(str, summary.num_failed),
        (words.number(auc, ".3f") for auc in summary.auc),
        (words.number(solved, "+.3f") for solved in summary.solved_lambda1),
        (words.number(failed, "+.3f") for failed in summary.failed_lambda1),
    )
    rows = list(zip(*columns, strict=True))
    groups = ("median λ₁\nsolved", "median λ₁\nfailed")
    headers = ("T", "solved", "failed\nruns", "AUC\nof −λ₁", *groups)
    notes = [
        toy_message(summary.times, summary.auc, shares).replace("\n", " ") + ".",
        "The AUC at a late T compares with the few runs that still search. The difference between "
        "the groups does not fade; one of the groups does.",
    ]
    return [Table(f"search and capture, {words.count(number, 'run')}", headers, rows, notes)]
