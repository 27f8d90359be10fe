"""Probes on the page: what is read by segment, and what tells solved from failed puzzles."""

from rrjax.analysis.probes import ProbeSummary, Reading
from rrjax.page.panels import Panel, curve_chart, interval_row
from rrjax.results.results import Results


def panels(results: Results, summary: ProbeSummary) -> list[Panel]:
    """Returns the scores of all targets by segment and field, and forecasts of the outcome."""
    sizes = (
        f"Fitted on {summary.num_train} puzzles and scored on {summary.num_held_out} others, with "
        "95 % intervals over puzzles."
    )
    rows = [row for reading in summary.readings for row in _rows(reading)]
    made = [
        Panel(
            "What linear probes read",
            f"{sizes} Accuracies balanced between classes, or the share of the spread that is "
            "explained. Control: random labels for each cell and input token.",
            curve_chart(rows, "segment", "score"),
        )
    ]
    if summary.forecasts:
        rows = [
            interval_row("", forecast.source, interval, x=segment, facet=title)
            for forecast in summary.forecasts
            for title, intervals in (("all", forecast.all), ("not yet right", forecast.open))
            for segment, interval in enumerate(intervals, 1)
        ]
        words = f"{sizes} A probe's score, or minus the number of conflicts in the answer."
        chart = curve_chart(rows, "segment", "AUC of solved against failed", rule=0.5)
        made.append(Panel("What tells solved from failed", words, chart))
    return made


def _rows(reading: Reading) -> list[dict]:
    kinds = ((reading.field, reading.scores["all"]), (f"{reading.field}, control", reading.control))
    return [
        interval_row(reading.target, group, interval, x=segment, facet=reading.target)
        for group, intervals in kinds
        for segment, interval in enumerate(intervals, 1)
    ]
