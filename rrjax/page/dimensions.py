"""Panels of the dimension of recorded states."""

from typing import Any

import numpy as np

from rrjax.analysis.dimensions import DimensionSummary
from rrjax.page.foretelling import foretelling_panels
from rrjax.page.panels import Panel, curve_chart, interval_row


def panels(results: Any, summary: DimensionSummary) -> list[Panel]:
    """Returns the dimensions by segment and outcome, and what they foretell."""
    rows = [
        interval_row(
            "",
            group,
            interval.map(lambda end: end if np.isfinite(end) else np.nan),
            x=each.segment,
            facet=f"{each.field}, {each.measure}",
        )
        for each in summary.dimensions
        if each.model == "trained"
        for group, interval in each.by_group.items()
        if group != "all"
    ]
    words = (
        f"{summary.num_each} solved puzzles against as many failed ones, each of which is one "
        "point. 95 % intervals."
    )
    chart = curve_chart(rows, "segments", "dimension")
    return [
        Panel("How many dimensions have the states?", words, chart),
        *foretelling_panels(summary.foretelling),
    ]
