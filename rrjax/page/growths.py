"""Growth by part on the page: contributions by outcome, and where the leading vectors lie."""

from rrjax.analysis.growths import Contribution, GrowthSummary
from rrjax.page.panels import Panel, interval_chart, interval_row
from rrjax.results.results import Results

_PART = "contribution to λ₁ (nats per update)"


def panels(results: Results, summary: GrowthSummary) -> list[Panel]:
    """Returns the contributions of stages, fields and updates by outcome, and of cells."""
    sizes = (
        f"Means over {summary.num_solved} solved and {summary.num_failed} failed puzzles with "
        "Student's 95 % intervals."
    )
    parts = [*summary.stages, *summary.fields, summary.lambda1]
    made = [
        Panel(
            "Which part makes the growth",
            f"{sizes} The stages add up to λ₁, and so do the fields.",
            interval_chart(_rows(parts), _PART),
        ),
        Panel(
            "Growth by update of a segment",
            f"{sizes} The updates add up to λ₁.",
            interval_chart(_rows(summary.updates), _PART),
        ),
    ]
    if summary.cells:
        words = f"{sizes} Means over the cells of a kind in each puzzle that has some."
        made.append(Panel("Growth of one cell", words, interval_chart(_rows(summary.cells), _PART)))
    return made


def _rows(parts: list[Contribution]) -> list[dict]:
    return [
        interval_row(part.name, group, getattr(part, group))
        for part in parts
        for group in ("solved", "failed")
    ]
