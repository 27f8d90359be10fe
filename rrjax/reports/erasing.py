"""Erasing in words: what a running model loses with a probe's directions, and with others."""

from rrjax.analysis import format as words
from rrjax.analysis.erasing import KINDS, MEASURES, ErasingSummary, Erasure
from rrjax.analysis.intervals import Interval
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def tables(summary: ErasingSummary) -> list[Table]:
    """Returns what erasing does at once, a segment later and in the end, and how it differs."""
    controls = (("random", "random directions"), ("moved", "a random step of the same length"))
    differences = [_difference_table(summary, *control) for control in controls]
    return [_effect_table(summary), *differences, _probe_table(summary)]


def _few(estimate: Interval) -> str:
    return words.interval(estimate, ".2f").replace(" (no interval)", "")


def _effect_table(summary: ErasingSummary) -> Table:
    rows = []
    for each in summary.erasures:
        before, after = summary.before[each.when], summary.after[each.when]
        own = (f"{before:.2f}", f"{after:.2f}", words.number(summary.solved.value, ".2f"))
        rows.append((each.when, each.part, "nothing", "0", *own, "–"))
        rows += [
            (
                each.when,
                each.part,
                kind,
                words.number(each.distance[kind], ".2f"),
                words.number(each.at_once[kind].value, ".2f"),
                words.number(each.next[kind].value, ".2f"),
                words.number(each.solved[kind].value, ".2f"),
                words.number(each.delay[kind].value, "+.1f"),
            )
            for kind in KINDS
        ]
    headers = ("after", "part", "change", "moved by", "at once", "next", "solved", "delay")
    rank = summary.erasures[0].rank
    notes = [
        f"LEACE of {summary.target} ({words.count(rank, 'direction')} of a cell's state), as many "
        "random directions of the whitened states, and a step as long as LEACE's in a random "
        "direction. Fitted on "
        f"{words.count(summary.num_train, 'other puzzle')}; cells to be found alone are changed.",
        "After: the segment; with “on”, each one from it. Moved by: share of the norm of a cell's "
        "state. At once, next: share of the cells that are "
        "right, read from the changed state and after one more segment. Delay: segments by which "
        "puzzles that are solved all the same, and were not before, are solved later.",
    ]
    headline = f"{summary.target.capitalize()} erased in {summary.num_puzzles} held-out puzzles"
    return Table(headline, headers, rows, notes)


def _difference_table(summary: ErasingSummary, control: str, what: str) -> Table:
    rows = [
        (each.when, each.part, *(_few(each.less[control][n]) for n in MEASURES))
        for each in summary.erasures
    ]
    headers = ("after segment", "part", "at once", "a segment later", "solved")
    notes = [
        "Cells right at once and a segment later, and puzzles solved at the end; Student's 95 % "
        "intervals of differences that are paired by puzzle."
    ]
    return Table(f"LEACE less {what}", headers, rows, notes)


def _probe_table(summary: ErasingSummary) -> Table:
    rows = [
        (when, field, *(words.number(value, ".2f") for value in values))
        for when, fields in summary.probed.items()
        for field, values in fields.items()
    ]
    headers = ("after segment", "field", "untouched", "after LEACE", "after random")
    notes = [f"Balanced accuracy on held-out puzzles; a guess has {summary.chance:.2f}."]
    return Table("Probes of the erased states", headers, rows, notes)


def findings(results: Results, summary: ErasingSummary) -> list[str]:
    """Returns in a sentence for each erasure, five at most, what LEACE costs beyond its control."""
    return [_erasure_sentence(each, summary.target) for each in summary.erasures[:5]]


def _erasure_sentence(erasure: Erasure, target: str) -> str:
    at_once, later, solved = (
        words.interval_in_words(erasure.less["random"][name], "+.2f") for name in MEASURES
    )
    return (
        f"LEACE of the {target} in {erasure.part} after segment {erasure.when} changes the share "
        f"of right cells by {at_once} at once, by {later} a segment later, and the share of solved "
        f"puzzles by {solved}, against the erasure of as many random directions."
    )
