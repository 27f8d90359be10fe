"""Panels of the accuracy by blank cells and segments."""

from typing import Any

from rrjax.analysis.fillings import BlankSummary
from rrjax.page.panels import Panel, curve_chart, interval_row


def panels(results: Any, summary: BlankSummary) -> list[Panel]:
    """Returns the panel of accuracies on blank cells, a line for each number of them."""
    rows = [
        interval_row("", f"{level.num_blank[0]} blank or more", interval, x=segment)
        for level in summary.levels
        for segment, interval in zip(level.segments, level.cells_right, strict=True)
    ]
    words = (
        f"{summary.num_puzzles} Sudokus with one solution each, filled in part. Cells that are "
        "given do not count. 95 % intervals over puzzles."
    )
    chart = curve_chart(rows, "segments", "share of the blank cells that are right")
    return [Panel("How many cells can be blank?", words, chart)]
