"""Recorded states in words."""

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.states import StatesSummary
from rrjax.analysis.table import Table


def tables(summary: StatesSummary) -> list[Table]:
    """Returns the table of the variance that principal directions hold."""
    shares = np.array(summary.variance_share)
    rows = [
        (str(index + 1), words.percent(share), words.percent(total))
        for index, (share, total) in enumerate(zip(shares, shares.cumsum(), strict=True))
    ]
    notes = [
        f"Solved at the end: {words.percent_interval(summary.solved)}"
        + (
            f"; with fresh weights {words.percent_interval(summary.control_solved)}."
            if summary.control_solved
            else "."
        ),
        f"Principal directions of {summary.answer}, all puzzles and segments together. The share "
        "is measured on numbers that took no part in the fit.",
    ]
    headline = (
        f"States of {words.count(summary.num_puzzles, 'puzzle')} after each of "
        f"{words.count(summary.num_segments, 'segment')}: {', '.join(summary.fields)}"
    )
    return [Table(headline, ("direction", "variance", "so far"), rows, notes)]
