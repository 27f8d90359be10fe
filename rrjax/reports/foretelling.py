"""What tells the outcome before the answer, in words."""

from collections.abc import Sequence

from rrjax.analysis import format as words
from rrjax.analysis.foretelling import Foretelling
from rrjax.analysis.table import Table


def foretelling_table(rows: Sequence[Foretelling]) -> Table:
    """Returns the table of AUCs among runs that are not yet right."""
    headers = ("number", "after\nsegment", "AUC (95 %)", "solved\nlater", "failed")
    cells = [
        (
            row.what,
            str(row.segment),
            words.interval(row.auc, ".2f"),
            str(row.num_later),
            str(row.num_failed),
        )
        for row in rows
    ]
    notes = [
        "Runs whose answer was right so far are left out. Above 0.5, runs that will be solved have "
        "the larger number."
    ]
    return Table("Does it tell the outcome before the answer does?", headers, cells, notes)
