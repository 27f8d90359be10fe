"""Erasing on the page: what LEACE and its controls do to the cells that are right."""

from rrjax.analysis.erasing import KINDS, ErasingSummary
from rrjax.page.panels import Panel, interval_chart, interval_row
from rrjax.results.results import Results

_WORDS = {"at_once": "cells right at once", "next": "cells right a segment later"}


def panels(results: Results, summary: ErasingSummary) -> list[Panel]:
    """Returns the cells that are right after an erasure, by time, field and kind."""
    rows = [
        interval_row(f"{each.part} after {each.when}", kind, getattr(each, name)[kind], facet=title)
        for name, title in _WORDS.items()
        for each in summary.erasures
        for kind in KINDS
    ]
    words = (
        f"{summary.num_puzzles} held-out puzzles; {summary.target} is erased in the cells to be "
        "found. Random: as many random directions; moved: a random step of the same length. "
        "Student's 95 % intervals over puzzles."
    )
    return [Panel("What erasing takes", words, interval_chart(rows, "share of cells", rule=None))]
