"""The panel of what tells the outcome before the answer."""

from collections.abc import Sequence

from rrjax.analysis.foretelling import Foretelling
from rrjax.page.panels import Panel, curve_chart, interval_row


def foretelling_panels(rows: Sequence[Foretelling]) -> list[Panel]:
    """Returns the panel of AUCs among the runs that are not yet right; none without rows."""
    if not rows:
        return []
    first = rows[0]
    chart_rows = [
        interval_row("", row.what, row.auc, x=row.segment, later=row.num_later, fail=row.num_failed)
        for row in rows
    ]
    words = (
        "AUC of “will be solved” among the runs whose answer was not right so far; after segment "
        f"{first.segment} these are {first.num_later} that are solved later and "
        f"{first.num_failed} that fail. At 0.5 a number tells nothing. 95 % intervals."
    )
    chart = curve_chart(chart_rows, "segments", "AUC", 0.5)
    return [Panel("Does it tell the outcome before the answer does?", words, chart)]
