"""Panels of the terms of logits, and of the gradients by the clues."""

from typing import Any

from rrjax.analysis.logit_terms import LogitSummary
from rrjax.page.panels import Panel, interval_chart, interval_row


def panels(results: Any, summary: LogitSummary) -> list[Panel]:
    """Returns what stages add to the margin, and how far gradients follow the peers."""
    stages = [
        interval_row(stage.name, f"{name} cells", term, facet=f"{run.name} weights")
        for run in summary.runs
        for stage in run.stages
        for name, term in stage.terms.items()
    ]
    gradients = [
        interval_row(
            f"{each.measure}, {each.start} segment",
            run.name,
            each.excess.percent,
        )
        for run in summary.runs
        for each in run.saliencies
    ]
    number = f"{summary.num_puzzles} puzzles, means with 95 % intervals"
    return [
        Panel(
            "What is the margin of a blank cell made of?",
            f"{number}. `before` and the stages of segment {summary.num_segments} add up to the "
            "margin: the logit of the label less the largest other.",
            interval_chart(stages, "added to the margin (logits)"),
        ),
        Panel(
            "Does the gradient of an answer lie on its peers?",
            f"{number}. Share of the gradient on the peers less what is expected where clues and "
            "blanks each change their places at random.",
            interval_chart(gradients, "share on the peers less expected (%)"),
        ),
    ]
