"""Panels of the scores of single channels."""

from typing import Any

from rrjax.analysis.neuron_tables import NeuronSummary
from rrjax.page.panels import Panel, interval_chart, interval_row


def panels(results: Any, summary: NeuronSummary) -> list[Panel]:
    """Returns the panel of quantities over channels, in their basis and in a random one."""
    rows = [
        interval_row(f"{each.field}, {each.model}", basis, interval, facet=each.what)
        for each in summary.quantities
        for basis, interval in (("channels", each.channels), ("random", each.random_basis))
    ]
    words = (
        f"{summary.num_channels} channels after the last segment, {summary.num_puzzles} puzzles; "
        "a number that is the same in a random basis says nothing of single channels. 95 % "
        "intervals over puzzles."
    )
    chart = interval_chart(rows, "share of the variance, or cosine")
    return [Panel("Are single channels special?", words, chart)]
