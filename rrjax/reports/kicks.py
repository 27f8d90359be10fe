"""Kicks in words: what they free and break, against a random direction of equal length."""

import math
from collections.abc import Sequence

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.kicks import Kick, KickSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results

_DIRECTIONS = {
    "v1": "along the leading covariant vector",
    "loss": "against the gradient of the loss",
    "entropy": "against the gradient of the entropy",
}


def tables(summary: KickSummary) -> list[Table]:
    """Returns what kicks do to failures and to solved puzzles."""
    number = summary.num_puzzles - summary.num_failed
    after = f"after {words.count(summary.segment, 'segment')}"
    groups = (
        (f"{words.count(summary.num_failed, 'failure')} kicked {after}", summary.failed),
        (f"{words.count(number, 'solved puzzle')} kicked {after}", summary.solved),
    )
    made = [
        table
        for title, kicks in groups
        if kicks
        for table in (_solved(title, kicks), _effects(title, kicks))
    ]
    notes = [
        f"Solved {words.count(summary.num_segments, 'segment')} later. A size is a share of "
        "the norm of the state. Loss and entropy: against their gradients; that of the loss needs "
        "the labels. Less random: less a random direction of equal length, paired by puzzle, with "
        "95 % intervals. Time: median segments until the answer is right, where it ever is."
    ]
    return [made[0]._replace(notes=[*made[0].notes, *notes]), *made[1:]]


def _solved(headline: str, kicks: Sequence[Kick]) -> Table:
    rows = [
        (
            *_name(each),
            words.percent_interval(each.solved),
            "" if each.direction == "random" else _percent(each.against_random),
            words.number(each.time.value),
        )
        for each in kicks
    ]
    return Table(headline, ("along", "size", "solved (95 %)", "less random, %", "time"), rows, [])


def _effects(headline: str, kicks: Sequence[Kick]) -> Table:
    is_measured = kicks[0].lambda1 is not None
    rows = [
        (
            *_name(each),
            _percent(each.cells_against_random),
            words.interval(each.margin_against_random, "+.2f"),
            *(_exponents(each) if is_measured else ()),
        )
        for each in kicks
        if each.direction != "random"
    ]
    headers = ("along", "size", "right cells, %", "margin", *(("λ₁",) if is_measured else ()))
    return Table(f"{headline}: effect, less that of a random direction", headers, rows, [])


def _name(each: Kick) -> tuple[str, str]:
    return each.direction, f"{each.size:g}" if each.size else ""


def _percent(interval: Interval) -> str:
    return words.interval(interval.percent, "+.0f")


def _exponents(each: Kick) -> tuple[str]:
    assert each.lambda1_against_random is not None
    return (words.interval(each.lambda1_against_random, "+.3f"),)


def findings(results: Results, summary: KickSummary) -> list[str]:
    """Returns in sentences which of the longest kicks free more failures than a random one."""
    longest = max((each.size for each in summary.failed), default=0)
    failures = words.count(summary.num_failed, "failure")
    return [
        f"A kick {_DIRECTIONS.get(each.direction, f'along {each.direction}')} of {longest:g} of "
        f"the norm frees {words.percent_in_words(each.solved)} of {failures}, "
        f"{_against_random(each.against_random)}."
        for each in summary.failed
        if each.size == longest and each.direction != "random"
    ]


def _against_random(difference: Interval) -> str:
    points = f"{_percent(difference)} points against a random direction"
    if math.isnan(difference.low):
        return points
    return points if difference.excludes(0) else f"{points}, which may be none"
