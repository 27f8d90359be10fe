"""Policies in words: what each is worth at the whole budget, and how far it is from the ceiling."""

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.policies import FrontierPoint
from rrjax.analysis.policy_summary import Adaptive, Escapes, PolicySummary, Way
from rrjax.analysis.table import Table

_HEADERS = ("policy", "evalu-\nations", "% solved", "gain in points")
_GAIN = (
    "Evaluations: module evaluations of a puzzle, in the mean. Gain: over the plain rollout that "
    "evaluates as often, paired by puzzle; empty where that was not run so far. 95 % intervals."
)


def tables(summary: PolicySummary) -> list[Table]:
    """Returns the policies of a long rollout, those of several runs, and the laws of escape."""
    ways = [_way_table(summary, way) for way in summary.ways]
    laws = [_escape_table(summary)] if summary.escapes else []
    return [_plain_table(summary), *ways, *laws]


def _plain_table(summary: PolicySummary) -> Table:
    rows = [
        (*_row(point, words.count(point.num_segments, "segment"))[:-1], "")
        for point in summary.plain
        if point.policy == "all segments"
    ]
    rows += [
        _row(point)
        for point in summary.plain
        if point.policy != "all segments" and point.num_segments == summary.longest
    ]
    headline = f"One rollout of {words.count(summary.num_puzzles, 'puzzle')}"
    notes = [
        f"A segment is {summary.updates_per_segment} module evaluations. A run is at rest where "
        "its residual is below .001, decided where the logits of a cell change by less than .1.",
        _GAIN,
    ]
    return Table(headline, _HEADERS, rows, notes)


def _way_table(summary: PolicySummary, way: Way) -> Table:
    size = summary.num_runs, summary.num_segments

    def whole(points: list[FrontierPoint]) -> list[FrontierPoint]:
        return [point for point in points if (point.num_runs, point.num_segments) == size]

    rows = [_row(point) for point in whole(way.points)]
    notes = ["* asks the rules of the puzzle. ** asks the labels, so that it is not a policy."]
    if way.adaptive is not None:
        rows.append(_row(way.adaptive.point))
        notes.append(_adaptive_note(way.adaptive))
    rows += [_row(point, f"{point.policy} *") for point in whole(way.with_rules)]
    rows += [_row(point, f"{point.policy} **") for point in whole(way.ceiling)]
    headline = f"{way.name}: {summary.num_runs} runs of {words.count(size[1], 'segment')}"
    return Table(headline, _HEADERS, rows, notes)


def _adaptive_note(adaptive: Adaptive) -> str:
    policy = adaptive.policy
    rest = ""
    if policy.accept_residual:
        trusted = "whatever its q" if np.isinf(policy.trust_q) else f"if q ≥ {policy.trust_q:g}"
        rest = f", or at rest (residual < {policy.accept_residual:g}) {trusted}"
    return (
        f"Restarts until believed: a start is believed at q > {policy.accept_q:g}{rest}, and given "
        f"up after {words.count(policy.cutoff, 'segment')}. Chosen on the first "
        f"{adaptive.num_tuning} puzzles, measured on the others."
    )


def _row(point: FrontierPoint, name: str | None = None) -> tuple[str, ...]:
    gain = "" if np.isnan(point.gain.value) else _points(point.gain)
    solved = words.interval(point.accuracy.map(lambda share: 100 * share), ".0f")
    return name or point.policy, f"{point.evaluations:.0f}", solved, gain


def _points(gain: Interval) -> str:
    return words.interval(gain.map(lambda share: 100 * share), "+.0f")


def _escape_table(summary: PolicySummary) -> Table:
    headers = (
        "way",
        "never\nsolved",
        "delay\n(segments)",
        "hazard per\nsegment",
        "p",
        "best\ncut-off",
    )
    rows = [_escape_row(escapes) for escapes in summary.escapes]
    notes = [
        "The law of the segment of the first right answer, over all runs of all puzzles: a share "
        "is never solved, the others after a delay with a constant hazard. p tests that the hazard "
        "is constant; where it is small, the best cut-off by this law means little."
    ]
    return Table("Escapes", headers, rows, notes)


def _escape_row(escapes: Escapes) -> tuple[str, ...]:
    law = escapes.law
    p_value = "unknown" if np.isnan(escapes.test.p_value) else f"{escapes.test.p_value:.3f}"
    numbers = f"{law.trapped:.3f}", str(law.delay), f"{law.hazard:.3f}"
    return (escapes.way, *numbers, p_value, words.count(escapes.best, "segment"))
