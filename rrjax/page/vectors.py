"""Meaning and dynamics on the page: overlaps of vectors with what probes read, by outcome."""

from rrjax.analysis.vectors import GROUPS, MeaningSummary
from rrjax.page.panels import Panel, curve_chart, interval_chart, interval_row
from rrjax.results.results import Results


def panels(results: Results, summary: MeaningSummary) -> list[Panel]:
    """Returns overlaps by segment and outcome, and what becomes readable when growth falls."""
    vector = summary.overlaps[0].vector
    sizes = (
        f"{summary.num_solved} solved and {summary.num_puzzles - summary.num_solved} failed "
        "held-out puzzles."
    )
    curves = [
        interval_row(
            each.target,
            f"{each.field}, {group}",
            interval,
            x=segment,
            facet=each.target,
        )
        for each in summary.overlaps
        if each.vector == vector and each.kind == "read"
        for group in GROUPS
        for segment, interval in enumerate(each.over_shuffled[group], 1)
    ]
    rows = [
        interval_row(each.target, each.field, each.excess, facet="excess over other puzzles")
        for each in summary.falls
    ]
    return [
        Panel(
            f"Overlap of {vector} with what probes read",
            f"{sizes} Medians, in units of the overlap with probes of labels that were permuted "
            "within puzzles.",
            curve_chart(curves, "segment", "overlap", rule=1.0),
        ),
        Panel(
            "What becomes readable when growth falls",
            f"{sizes} Rise of the cells read right in the segment of the largest fall, less that "
            "of other puzzles of the same outcome; Student's 95 % intervals.",
            interval_chart(rows, "share of cells"),
        ),
    ]
