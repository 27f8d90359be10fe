"""Scores of channels in words."""

from rrjax.analysis import format as words
from rrjax.analysis.neuron_tables import NeuronSummary
from rrjax.analysis.table import Table
from rrjax.reports.similarities import state_name
from rrjax.results.results import Results


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


def findings(results: Results, summary: NeuronSummary) -> list[str]:
    """Returns in two sentences for each field what means over puzzles and single channels keep."""
    of = {(each.field, each.what): each for each in summary.quantities if each.model == "trained"}
    sentences = []
    for field in dict.fromkeys(field for field, _ in of):
        position, answer = (
            words.interval_in_words(of[field, f"{what}, median"].channels, ".2f")
            for what in ("position", "answer")
        )
        largest = of[field, "answer, largest"]
        own, turned = (
            words.interval_in_words(each, ".2f")
            for each in (largest.channels, largest.random_basis)
        )
        sentences += [
            f"Of the variance of the median channel of {field} the place of the cell explains "
            f"{position}, which is what a mean over puzzles keeps, and its digit {answer}.",
            f"The digit explains at most {own} of the variance of a channel of {field}, and "
            f"{turned} in a random basis.",
        ]
    return sentences
