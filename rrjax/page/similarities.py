"""Panels of the similarity of states after different segments."""

from typing import Any

from rrjax.analysis.similarities import SimilaritySummary
from rrjax.page.foretelling import foretelling_panels
from rrjax.page.panels import Panel, interval_chart, interval_row


def panels(results: Any, summary: SimilaritySummary) -> list[Panel]:
    """Returns the mean similarities by outcome, and what a puzzle's own steadiness foretells."""
    rows = [
        interval_row(f"{each.field}, {each.model}", each.group, each.mean, facet=each.measure)
        for each in summary.similarities
    ]
    words = (
        f"Mean over pairs of different segments, {summary.num_puzzles} puzzles, "
        f"{summary.num_solved} of them solved. CKA is unbiased; correlation and Euclidean are "
        "Spearman's correlations of dissimilarities. 95 % intervals over puzzles."
    )
    chart = interval_chart(rows, "similarity of the states after two segments")
    return [
        Panel("How alike are the states?", words, chart),
        *foretelling_panels(summary.foretelling),
    ]
