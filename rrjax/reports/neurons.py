"""Scores of channels in words."""

from rrjax.analysis import format as words
from rrjax.analysis.neuron_tables import NeuronSummary
from rrjax.analysis.table import Table
from rrjax.reports.similarities import state_name


def tables(summary: NeuronSummary) -> list[Table]:
    """Returns the table of quantities over channels, in their basis and in a random one."""
    rows = [
        (
            each.what,
            state_name(each.model, each.field),
            words.interval(each.channels, ".2f"),
            words.interval(each.random_basis, ".2f"),
        )
        for each in summary.quantities
    ]
    notes = [
        "Position and answer: the share of a channel's variance over blank cells that the place of "
        "a cell and its label explain. What a mean over puzzles keeps is the position; it hides "
        "the rest.",
        "Turn: the cosine of the first with the last segment, median over channels, of all blank "
        "cells, and of their means over puzzles. A number that is the same in a random basis says "
        "nothing of single channels.",
    ]
    number = words.count(summary.num_puzzles, "puzzle")
    headline = f"Single channels after the last segment: {summary.num_channels}, of {number}"
    headers = ("quantity", "states", "channels (95 %)", "random basis (95 %)")
    return [Table(headline, headers, rows, notes)]
