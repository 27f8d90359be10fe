"""Panels of the weights between tokens."""

from typing import Any

from rrjax.analysis.mixing import MixingSummary
from rrjax.page.panels import Panel, interval_chart, interval_row


def panels(results: Any, summary: MixingSummary) -> list[Panel]:
    """Returns the correlations of all matrices with the graph of peers, beside the control."""
    rows = [
        interval_row(each.stage, each.run, each.correlation["all"], facet=each.matrix)
        for each in summary.agreements
    ]
    words = (
        "Pearson's r of |weight| with the graph of peers, off the diagonal. Lines are no errors of "
        f"r: they hold the middle 95 % of {summary.num_permutations} permutations of the cells, so "
        "that a mark outside of its line is beyond chance. Gates, attention and Jacobians are means"
        f" over {summary.num_puzzles} puzzles."
    )
    return [
        Panel("Do the weights between tokens follow the peers?", words, interval_chart(rows, "r"))
    ]
