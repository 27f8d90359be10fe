"""Policies in words: what each is worth at the whole budget, and how far it is from the ceiling."""

from functools import partial

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.policies import FrontierPoint
from rrjax.analysis.policy_summary import (
    PASS,
    Escapes,
    PolicySummary,
    Way,
    whole_budget,
)
from rrjax.analysis.restarting import LubyRestarts, Restarting, RestartsAdrift, RestartsAtRest
from rrjax.analysis.table import Table
from rrjax.analysis.tuned_restarts import TunedRestarts

_HEADERS = ("policy", "evalu-\nations", "% solved", "gain in points")
_GAIN = (
    "Evaluations: module evaluations of a puzzle, in the mean. Gain: over the plain rollout that "
    "evaluates as often, paired by puzzle; empty where that was not run so far. 95 % intervals."
)


def tables(summary: PolicySummary) -> list[Table]:
    """Returns the policies of one rollout, of several runs, of restarts, and the laws of escape."""
    ways = [_way_table(summary, way) for way in summary.ways]
    restarts = [
        table
        for way in summary.ways
        if way.restarts
        for table in (_restart_table(way), _budget_table(summary, way))
    ]
    grids = [
        _depth_breadth_table(way, rule)
        for way in summary.ways
        if way.name == "random_starts"
        for rule in ("smallest change of logits", "vote", PASS)
    ]
    choosing = [table for way in summary.ways for table in _choosing_tables(way)]
    laws = [_escape_table(summary)] if summary.escapes else []
    return [_plain_table(summary), *ways, *restarts, *grids, *choosing, *laws]


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
    whole = partial(whole_budget, summary=summary)
    rows = [_row(point) for point in whole(way.points)]
    notes = ["* asks the rules of the puzzle. ** asks the labels, so that it is not a policy."]
    rows += [_row(point, f"{point.policy} *") for point in whole(way.with_rules)]
    rows += [_row(point, f"{point.policy} **") for point in whole(way.ceiling)]
    length = words.count(summary.num_segments, "segment")
    headline = f"{way.name}: {summary.num_runs} runs of {length}"
    return Table(headline, _HEADERS, rows, notes)


def _restart_table(way: Way) -> Table:
    number = words.count(way.restarts[0].num_tuning, "puzzle")
    policy, *usual = _HEADERS
    headers = (policy, *usual, "evaluations\nby the law")
    rows = [(*_row(tuned.point), _by_law(tuned.by_law)) for tuned in way.restarts]
    settings = "; ".join(f"{tuned.name}: {_setting(tuned)}" for tuned in way.restarts)
    notes = [
        f"Starts run one after the other. Thresholds are those of the first {number}, and the "
        f"table is of the others. {settings}.",
        "The last column is by the escape law of the tuning puzzles, until a puzzle is solved, if "
        "all puzzles were alike and starts never ran out.",
    ]
    return Table(f"{way.name}: restarts", headers, rows, notes)


_BUDGETS = 5
"""Number of budgets in a table, from the whole one downwards: more do not fit into a terminal."""


def _budget_table(summary: PolicySummary, way: Way) -> Table:
    """Returns what share of puzzles restarts solve within smaller budgets, and what they spend."""
    budgets = list(way.restarts[0].points)[-_BUDGETS:]
    rows = [
        (
            tuned.name,
            *(
                f"{100 * point.accuracy.value:.0f} ({point.evaluations:.0f})"
                for point in (tuned.points[budget] for budget in budgets)
            ),
        )
        for tuned in way.restarts
    ]
    number = words.count(summary.num_puzzles - way.restarts[0].num_tuning, "puzzle")
    limits = (f"≤ {budget * summary.updates_per_segment}" for budget in budgets)
    notes = [
        f"% solved of {number} within a budget of module evaluations, and in brackets how many "
        "were spent in the mean. Thresholds are those of the whole budget."
    ]
    return Table(f"{way.name}: restarts within smaller budgets", ("policy", *limits), rows, notes)


def _by_law(evaluations: float) -> str:
    if np.isnan(evaluations):
        return ""
    return f"{evaluations:.0f}" if np.isfinite(evaluations) else "never"


def _setting(tuned: TunedRestarts) -> str:
    """Returns when a start is believed and when it is given up."""
    match tuned.policy:
        case LubyRestarts(accept, unit):
            rule = f"after 1, 1, 2, 1, 1, 2, 4, … times {words.count(unit, 'segment')}"
        case RestartsAtRest(accept, residual, patience):
            kept = f", or an answer kept for {words.count(patience, 'segment')}" if patience else ""
            rule = f"at a residual < {residual:g}{kept}"
        case RestartsAdrift(accept, patience, flat, height):
            past = words.count(patience, "segment")
            rule = f"at a residual above {flat:g} of that {past} before and λ₁ > {height:.2g}"
        case Restarting(accept, residual, trust, cutoff):
            trusted = "" if np.isinf(trust) else f" (believed if q ≥ {trust:g})"
            rest = f", or at a residual < {residual:g}{trusted}" if residual else ""
            rule = f"after {words.count(cutoff, 'segment')}{rest}"
        case _:
            raise TypeError(f"no words for {tuned.policy}")
    return f"believed at q > {accept:g}, given up {rule}"


def _row(point: FrontierPoint, name: str | None = None) -> tuple[str, ...]:
    gain = "" if np.isnan(point.gain.value) else _points(point.gain)
    return name or point.policy, f"{point.evaluations:.0f}", _percent(point.accuracy), gain


def _percent(share: Interval) -> str:
    return words.interval(share.map(lambda part: 100 * part), ".0f")


def _points(gain: Interval) -> str:
    return words.interval(gain.map(lambda share: 100 * share), "+.0f")


def _depth_breadth_table(way: Way, rule: str) -> Table:
    """Returns the share of puzzles solved by the depth and the breadth of a run, for one rule."""
    points = way.pass_at if rule == PASS else [p for p in way.points if p.policy == rule]
    breadths = sorted({point.num_runs for point in points})
    solved = {(point.num_segments, point.num_runs): _percent(point.accuracy) for point in points}
    rows = [
        (str(depth), *(solved[depth, breadth] for breadth in breadths))
        for depth in sorted({point.num_segments for point in points})
    ]
    chosen = "by the labels, which is no policy" if rule == PASS else f"by {rule}"
    notes = [f"% solved at the end of runs of D segments, B of them, chosen {chosen}."]
    headline = f"{way.name}: depth × breadth, {rule}"
    return Table(headline, ("D", *(f"B = {breadth}" for breadth in breadths)), rows, notes)


def _choosing_tables(way: Way) -> list[Table]:
    """Returns how well scores choose among the runs of a puzzle; nothing without such a choice."""
    choosing = way.choosing
    if choosing is None or not choosing.num_mixed:
        return []
    headline, headers = f"{way.name}: choosing among runs", ("score", "AUC within\npuzzles")
    rows = [(name, words.interval(area, ".2f")) for name, area in choosing.within.items()]
    notes = [
        "AUC of right against wrong runs of the same puzzle, in the mean over "
        f"{words.count(choosing.num_mixed, 'puzzle')} with both; .5 is chance."
    ]
    if not choosing.rivals:
        return [Table(headline, headers, rows, notes)]
    notes.append(
        "λ₁ is that of half the segments, since it doubles their cost. Added to the mean rank of q "
        "and residual, it changes the AUC within puzzles by "
        f"{words.interval(choosing.gain, '+.3f')}."
    )
    given = [
        (rival.name, words.interval(rival.auc, ".2f"), words.interval(rival.lambda1_given, ".2f"))
        for rival in choosing.rivals
    ]
    columns = ("score", "AUC", "AUC of −λ₁ among\npuzzles near in it")
    pooled = ["Of the first run of each puzzle. .5 in the last column: λ₁ adds nothing."]
    return [
        Table(headline, headers, rows, notes),
        Table(f"{way.name}: does λ₁ add anything?", columns, given, pooled),
    ]


def _escape_table(summary: PolicySummary) -> Table:
    headers = (
        "way",
        "never\nsolved",
        "delay",
        "hazard",
        "p",
        "best\ncut-off",
        "% by\nthe law",
        "% by\nany run",
    )
    rows = [_escape_row(escapes) for escapes in summary.escapes]
    notes = [
        "The law of the segment of the first right answer, over all runs of all puzzles: a share "
        "is never solved, the others after a delay with a constant hazard, in segments. p tests "
        "that the hazard is constant; where it is small, the best cut-off by this law means "
        "little. The last columns: with all runs cut off there, by the law if all puzzles were "
        "alike, and measured, if one knew which run is right."
    ]
    return Table("Escapes", headers, rows, notes)


def _escape_row(escapes: Escapes) -> tuple[str, ...]:
    law = escapes.law
    p_value = "unknown" if np.isnan(escapes.test.p_value) else f"{escapes.test.p_value:.3f}"
    numbers = f"{law.trapped:.3f}", str(law.delay), f"{law.hazard:.3f}"
    share = f"{100 * escapes.predicted:.0f}", _percent(escapes.measured)
    return (escapes.way, *numbers, p_value, str(escapes.best), *share)
