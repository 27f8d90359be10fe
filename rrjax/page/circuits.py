"""Panels of the circuits of naked singles."""

from typing import Any

from rrjax.analysis.circuits import CircuitSummary
from rrjax.page.panels import Panel, interval_chart, interval_row

_WHERE = {"target": "at the naked single", "control": "at random cells"}


def panels(results: Any, summary: CircuitSummary) -> list[Panel]:
    """Returns what every ablation does to the margin of naked singles, beside random cells."""
    rows = [
        interval_row(
            each.ablation,
            _WHERE[place],
            change,
            facet=f"{each.run} weights, {each.method} values put in",
            right=each.right[place].value,
        )
        for each in summary.effects
        for place, change in each.margin_change.items()
    ]
    words = (
        f"{summary.num_singles} naked singles of {summary.num_puzzles} puzzles. The margin is the "
        "logit of the label less the largest other, at the naked single. 95 % intervals over "
        "puzzles; the tooltip has the fraction that is still right."
    )
    chart = interval_chart(rows, "change of the margin (logits)")
    return [Panel("What do naked singles need?", words, chart)]
