"""Weights between tokens in words: how far they follow the graph of constraints."""

from rrjax.analysis import format as words
from rrjax.analysis.mixing import Agreement, MixingSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def tables(summary: MixingSummary) -> list[Table]:
    """Returns a table for each kind of matrix."""
    kinds = list(dict.fromkeys(each.matrix for each in summary.agreements))
    made = [_table(summary, kind) for kind in kinds]
    segments = ", ".join(map(str, summary.segments))
    made[-1].notes.extend(
        [
            f"Gates, attention and Jacobians are means over "
            f"{words.count(summary.num_puzzles, 'puzzle')}, after {segments} segments. r: Pearson's"
            " of |weight| off the diagonal with the graph of peers.",
            f"Chance: the largest |r| of 95 % of {summary.num_permutations} permutations of the "
            "cells. Peers / others: ratio of mean |weight|.",
        ]
    )
    return made


def _table(summary: MixingSummary, kind: str) -> Table:
    chosen = [each for each in summary.agreements if each.matrix == kind]
    control = {each.stage: each for each in chosen if each.run == "untrained"}
    rows = [_row(each, control.get(each.stage)) for each in chosen if each.run == "trained"]
    headers = (
        "sub-layer",
        "r with\npeers",
        "chance",
        "row",
        "column",
        "box",
        "peers /\nothers",
        "untrained\nr",
    )
    return Table(f"Weights between tokens and the graph of peers: {kind}", headers, rows, [])


def _row(each: Agreement, control: Agreement | None) -> tuple[str, ...]:
    values = {graph: words.number(r.value, "+.2f") for graph, r in each.correlation.items()}
    return (
        each.stage,
        values["all"],
        words.number(chance(each), ".2f"),
        *(values[graph] for graph in ("row", "column", "box")),
        words.number(each.ratio, ".2f"),
        "–" if control is None else words.number(control.correlation["all"].value, "+.2f"),
    )


def chance(each: Agreement) -> float:
    """Returns the larger end of the middle 95 % of correlations with permuted labels."""
    null = each.correlation["all"]
    return max(-null.low, null.high)


def findings(results: Results, summary: MixingSummary) -> list[str]:
    """Returns in a sentence how far strengths follow the graph, trained and untrained."""
    sentences = []
    for run in dict.fromkeys(each.run for each in summary.agreements):
        own = [e for e in summary.agreements if e.run == run and e.matrix == "strength"]
        r = [each.correlation["all"].value for each in own]
        above = sum(each.p_value["all"] <= 0.05 for each in own)
        sentences.append(
            f"The strengths of the {run} sub-layers correlate with the graph of peers by "
            f"{words.value_range(min(r), max(r), '.2f')}; {above} of {len(own)} are beyond chance "
            "(p ≤ 0.05 under permuted labels)."
        )
    return sentences
