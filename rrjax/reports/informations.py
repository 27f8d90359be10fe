"""Information of cells in words."""

import math

from rrjax.analysis import format as words
from rrjax.analysis.informations import InformationSummary
from rrjax.analysis.table import Table
from rrjax.reports.similarities import state_name
from rrjax.results.results import Results

_TITLES = {
    "answer": "What blank cells tell of their digit, nats per cell",
    "input": "What blank cells tell of the givens in their units, nats per cell and digit",
}


def tables(summary: InformationSummary) -> list[Table]:
    """Returns a table of the bounds for each target."""
    made = [_table(summary, target) for target in summary.ceilings]
    notes = [
        f"{words.count(summary.num_puzzles, 'puzzle')}, {summary.num_solved} solved; the control "
        "is split by the outcome of the trained model.",
        "Lower bounds by linear probes on held-out puzzles; below 0 where there are too few cells.",
    ]
    made[0] = made[0]._replace(notes=[*notes, *made[0].notes])
    return made


def _table(summary: InformationSummary, target: str) -> Table:
    rows = [
        (
            state_name(each.model, each.field),
            str(each.segment),
            *(words.interval(each.by_group[name], ".2f") for name in ("solved", "failed")),
        )
        for each in summary.cells
        if each.target == target
    ]
    ceiling = words.interval(summary.ceilings[target], ".2f")
    notes = [f"The ceiling, the entropy of what is told: {ceiling} nats."]
    headers = ("states", "segment", "solved (95 %)", "failed (95 %)")
    return Table(_TITLES[target], headers, rows, notes)


def findings(results: Results, summary: InformationSummary) -> list[str]:
    """Returns in a sentence for each field what its cells tell of their digit at the end."""
    last = max(each.segment for each in summary.cells)
    answer = {
        (each.model, each.field): each.by_group
        for each in summary.cells
        if (each.target, each.segment) == ("answer", last)
    }
    ceiling = words.number(summary.ceilings["answer"].value, ".2f")
    sentences = []
    for field in dict.fromkeys(field for _, field in answer):
        groups = answer["trained", field]
        parts = [
            f"{words.interval_in_words(groups[name], '.2f')} in {name} puzzles"
            for name in ("solved", "failed")
            if not math.isnan(groups[name].value)
        ]
        fresh = answer.get(("untrained", field))
        control = ""
        if fresh is not None:
            bound = words.interval_in_words(fresh["all"], ".2f")
            control = f"; with fresh weights the bound is {bound}"
        sentences.append(
            f"After segment {last} a blank cell of {field} tells of its digit, in nats, at least "
            f"{' and '.join(parts)}, where {ceiling} is the ceiling{control}."
        )
    return sentences
