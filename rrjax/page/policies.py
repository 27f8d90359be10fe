"""Policies on the page: accuracy against evaluations, all rules, and what tells right runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rrjax.analysis.choosing import Choosing
from rrjax.analysis.policies import FrontierPoint
from rrjax.analysis.policy_summary import PolicySummary, Way, at_most, best_rule, whole_budget
from rrjax.page.panels import Panel, curve_chart, interval_chart, interval_row
from rrjax.results.results import Results

_PERCENT = "% of puzzles solved"
_LABELS = "Any right, drawn beside them, asks the labels and is no policy."


def panels(results: Results, summary: PolicySummary) -> list[Panel]:
    """Returns the frontier, all rules at the whole budget, restarts, and the scores that choose."""
    sizes = f"{summary.num_puzzles} puzzles with 95 % intervals."
    budget = f"{summary.num_runs} runs of {summary.num_segments} segments"
    made = [
        Panel(
            "Accuracy against module evaluations",
            f"{sizes} Of each way the rule that solves most at the whole budget. {_LABELS}",
            curve_chart(_frontier(summary), "module evaluations of a puzzle (mean)", _PERCENT),
        ),
        Panel(
            "Every rule at the whole budget",
            f"{sizes} Each way has {budget}; first to halt spends less. {_LABELS}",
            interval_chart(_rules(summary), _PERCENT, rule=None),
        ),
    ]
    tuned = [way for way in summary.ways if way.restarts]
    if tuned:
        number = summary.num_puzzles - tuned[0].restarts[0].num_tuning
        made.append(
            Panel(
                "Starts one after the other, within a budget",
                f"{number} puzzles that no threshold was chosen on, with 95 % intervals. A start "
                "is believed by its q, and given up where the policy judges that it is trapped.",
                curve_chart(_restarts(tuned), "module evaluations of a puzzle (mean)", _PERCENT),
            )
        )
    mixed = {
        way.name: way.choosing for way in summary.ways if way.choosing and way.choosing.num_mixed
    }
    if mixed:
        counts = ", ".join(f"{choosing.num_mixed} of {name}" for name, choosing in mixed.items())
        made.append(
            Panel(
                "What tells the right runs of a puzzle from the wrong ones",
                f"AUC within puzzles with right and wrong runs ({counts}), with 95 % intervals "
                "over these. λ₁ is that of half the segments, since it doubles their cost.",
                interval_chart(_scores(mixed), "AUC", rule=0.5),
            )
        )
    return made


def _frontier(summary: PolicySummary) -> list[dict[str, Any]]:
    plain = [point for point in summary.plain if point.policy == "all segments"]
    rows = [_row(point, "one rollout") for point in plain]
    for way in summary.ways:
        best = best_rule(way, summary)
        for name, points in ((best, way.points), ("any right", way.ceiling)):
            curve = at_most(points, name, summary.num_segments)
            rows += [_row(point, f"{way.name}, {name}") for point in curve]
    return rows


def _row(point: FrontierPoint, group: str) -> dict[str, Any]:
    runs = {"runs": point.num_runs, "segments": point.num_segments}
    percent = point.accuracy.map(lambda share: 100 * share)
    return interval_row(point.policy, group, percent, x=round(point.evaluations), **runs)


def _rules(summary: PolicySummary) -> list[dict[str, Any]]:
    return [
        _row(point, way.name)
        for way in summary.ways
        for point in whole_budget([*way.points, *way.with_rules, *way.ceiling], summary)
    ]


def _restarts(ways: Sequence[Way]) -> list[dict[str, Any]]:
    return [
        _row(point, tuned.name) | {"facet": way.name, "budget": budget}
        for way in ways
        for tuned in way.restarts
        for budget, point in tuned.points.items()
    ]


def _scores(by_way: Mapping[str, Choosing]) -> list[dict[str, Any]]:
    return [
        interval_row(name, way, area)
        for way, choosing in by_way.items()
        for name, area in choosing.within.items()
    ]
