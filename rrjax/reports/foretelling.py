"""What tells the outcome before the answer, in words."""

import math
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


def foretelling_sentences(rows: Sequence[Foretelling]) -> list[str]:
    """Returns in a sentence how many AUCs exclude 0.5, and the farthest; none without an interval.

    Several numbers after several segments are many tests, of which the farthest proves nothing by
    itself.
    """
    known = [row for row in rows if not math.isnan(row.auc.low)]
    if not known:
        return []
    sure = sum(row.auc.excludes(0.5) for row in known)
    farthest = max(known, key=lambda row: abs(row.auc.value - 0.5))
    return [
        f"{sure} of {words.count(len(known), 'AUC')} of the outcome, among runs that are not yet "
        "right, have an interval without 0.5, where one in twenty would by chance; the farthest is "
        f"that of the {farthest.what} after {words.count(farthest.segment, 'segment')}, "
        f"{words.interval_in_words(farthest.auc, '.2f')}, of {farthest.num_later} runs that are "
        f"solved later and {farthest.num_failed} that fail."
    ]
