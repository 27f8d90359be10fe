"""Panels of what blank cells tell."""

from typing import Any

from rrjax.analysis.informations import InformationSummary
from rrjax.page.panels import Panel, curve_chart, interval_row


def panels(results: Any, summary: InformationSummary) -> list[Panel]:
    """Returns a panel for each target: the bounds by segment, field, model and outcome."""
    made = []
    for target, ceiling in summary.ceilings.items():
        rows = [
            interval_row("", f"{each.field}, {each.model}", interval, x=each.segment, facet=group)
            for each in summary.cells
            if each.target == target
            for group, interval in each.by_group.items()
            if group != "all"
        ]
        what = {"answer": "their digit", "input": "the givens in their units"}[target]
        sentence = (
            "Lower bounds by linear probes on held-out puzzles; the ceiling is "
            f"{ceiling.value:.2f} nats. 95 % intervals over puzzles."
        )
        chart = curve_chart(rows, "segments", "nats per blank cell", 0.0)
        made.append(Panel(f"What do blank cells tell of {what}?", sentence, chart))
    return made
