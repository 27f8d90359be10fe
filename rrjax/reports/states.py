"""Recorded states in words."""

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.states import StatesSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


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


def findings(results: Results, summary: StatesSummary) -> list[str]:
    """Returns in sentences what is solved, trained and fresh, and what two directions hold."""
    solved = f"{words.percent_in_words(summary.solved)} of "
    solved += f"{words.count(summary.num_puzzles, 'puzzle')} are solved after "
    solved += words.count(summary.num_segments, "segment")
    if summary.control_solved is not None:
        solved += f", and {words.percent_in_words(summary.control_solved)} with fresh weights"
    plane = words.percent(sum(summary.variance_share[:2]))
    return [
        f"{solved}.",
        f"The plane in which paths are drawn holds {plane} of the variance of {summary.answer}.",
    ]
