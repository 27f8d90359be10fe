"""Policies in numbers: accuracy against evaluations, ceilings, and what restarts could give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rrjax.analysis import policies
from rrjax.analysis.choosing import Choosing, compare_scores
from rrjax.analysis.intervals import UNDEFINED, Interval, mean_interval
from rrjax.analysis.policies import (
    FrontierPoint,
    Rule,
    Runs,
    frontier,
    frontier_point,
)
from rrjax.analysis.restart_law import (
    EscapeLaw,
    ExponentialTest,
    best_whole_cutoff,
    exponential_test,
    fit_escape_law,
    solved_within,
)
from rrjax.analysis.selection import fraction_of_puzzles, pass_at_k, powers_of_two
from rrjax.analysis.tuned_restarts import TunedRestarts, summarize_restarts, waits_until_right

PLAIN: dict[str, Rule] = {
    "all segments": policies.plain,
    "halts at q > 0": policies.halt_first,
    "halts at rest": policies.halt_at_rest,
    "halts when decided": policies.halt_when_decided,
}
"""Rules of the long rollout."""

CHOOSE: dict[str, Rule] = {
    "first to halt": policies.halt_first,
    "largest q": policies.best_q,
    "smallest residual": policies.smallest_residual,
    "smallest change of logits": policies.smallest_logit_change,
    "vote": policies.vote,
    "vote weighted by q": policies.vote_by_q,
}
"""Rules of several runs that need nothing but the model."""

LAMBDA1, VALID, ORACLE, MEAN = "smallest λ₁", "first valid board", "any right", "mean probability"
PASS = "pass@k"


@dataclass(frozen=True)
class Way:
    """What one way of spending is worth.

    Attributes:
      name: of the way.
      points: what rules make of it, which see nothing but the model.
      with_rules: where the puzzles have rules, the first board that keeps them. Of puzzles with one
        solution this is the ceiling itself.
      ceiling: whether any run is right after any of its segments, which no policy knows.
      pass_at: the probability that one of k fresh runs is right at its end, which no policy knows.
      choosing: how well what is seen of a run tells right from wrong ones; None for particles.
      restarts: starts one after the other, with thresholds of the tuning puzzles. Empty for
        particles, which are no runs one after the other, for a model without q, and where fewer
        than two puzzles are for tuning or left over.
    """

    name: str
    points: list[FrontierPoint]
    with_rules: list[FrontierPoint]
    ceiling: list[FrontierPoint]
    pass_at: list[FrontierPoint]
    choosing: Choosing | None
    restarts: list[TunedRestarts]


@dataclass(frozen=True)
class Escapes:
    """The law of the segment of the first right answer, over puzzles and runs of one way.

    Puzzles differ, so that a law of all of them together need not be that of any of them.

    Attributes:
      way: its name.
      law: the fitted law.
      test: whether escapes after the delay are exponential.
      best: the cut-off, in segments and no longer than the runs, that by the law solves a puzzle
        soonest on average.
      predicted: the share of puzzles that the law solves with all runs cut off there, if all
        puzzles were alike.
      measured: the share of which any run is right by then, which no policy knows.
    """

    way: str
    law: EscapeLaw
    test: ExponentialTest
    best: int
    predicted: float
    measured: Interval


@dataclass(frozen=True)
class PolicySummary:
    """Policies in numbers.

    Attributes:
      num_puzzles: N.
      num_runs: K.
      num_segments: most segments of each of the K runs.
      longest: segments of the long rollout.
      updates_per_segment: module evaluations of a segment.
      plain: the long rollout, by rules for early halting.
      ways: the other ways of spending.
      escapes: of each way whose runs are independent of each other.
    """

    num_puzzles: int
    num_runs: int
    num_segments: int
    longest: int
    updates_per_segment: int
    plain: list[FrontierPoint]
    ways: list[Way]
    escapes: list[Escapes]


def summarize_policies(
    arrays: Mapping[str, np.ndarray],
    ways: Sequence[str],
    updates_per_segment: int,
    num_tuning: int,
    luby_unit: int | None = None,
) -> PolicySummary:
    """Returns all numbers of the results of `rrjax.experiments.policies`.

    The arguments are those of `summarize_frontiers`.
    """
    summary = summarize_frontiers(arrays, ways, updates_per_segment, num_tuning, luby_unit)
    escapes = [
        _escapes(name, arrays["solved"][:, place])
        for place, name in enumerate(ways)
        if name != "particles"
    ]
    return replace(summary, escapes=escapes)


def summarize_frontiers(
    arrays: Mapping[str, np.ndarray],
    ways: Sequence[str],
    updates_per_segment: int,
    num_tuning: int,
    luby_unit: int | None = None,
) -> PolicySummary:
    """Returns all numbers but the laws of escape, whose test takes longest.

    Args:
      arrays: The results.
      ways: The names of the ways.
      updates_per_segment: Module evaluations of a segment.
      num_tuning: Number of puzzles, from the first, that thresholds are chosen on.
      luby_unit: Segments of the shortest start of Luby's sequence; None chooses it, too.
    """
    solved, long_solved = arrays["solved"], arrays["plain_solved"]
    long_runs = Runs(
        np.zeros((*long_solved.shape[:1], 1, long_solved.shape[1]), int),
        *(arrays[f"plain_{name}"][:, None] for name in ("q_halt", "residual", "logit_change")),
    )
    rules = _known(PLAIN, long_runs)
    plain = frontier(rules, long_runs, long_solved[:, None], long_solved, updates_per_segment)
    number, _, num_runs, num_segments = solved.shape
    return PolicySummary(
        num_puzzles=number,
        num_runs=num_runs,
        num_segments=num_segments,
        longest=long_solved.shape[1],
        updates_per_segment=updates_per_segment,
        plain=plain,
        ways=[
            _way(arrays, name, place, updates_per_segment, num_tuning, luby_unit)
            for place, name in enumerate(ways)
        ],
        escapes=[],
    )


def _known(rules: dict[str, Rule], runs: Runs) -> dict[str, Rule]:
    """Returns the rules that a model without q can have, or all."""
    if runs.has_q:
        return rules
    return {name: rule for name, rule in rules.items() if "q" not in name and "halt" not in name}


def _way(
    arrays: Mapping[str, np.ndarray],
    name: str,
    place: int,
    updates: int,
    num_tuning: int,
    luby_unit: int | None,
) -> Way:
    long_solved = arrays["plain_solved"]

    def of_way(array: str) -> np.ndarray | None:
        return arrays[array][:, place] if array in arrays else None

    runs = Runs(
        arrays["board"][:, place],
        *(arrays[array][:, place] for array in ("q_halt", "residual", "logit_change")),
        lambda1=of_way("lambda1"),
        valid=of_way("valid"),
    )
    solved = arrays["solved"][:, place]
    at = partial(frontier, runs=runs, solved=solved, long_solved=long_solved)
    rules = _known(CHOOSE, runs)
    if runs.lambda1 is not None and not np.isnan(runs.lambda1).all():
        rules = {**rules, LAMBDA1: policies.smallest_lambda1}
    points = at(rules, updates_per_segment=updates)
    points += _pooled(arrays, place, long_solved, updates)
    ceiling, pass_at = _ceiling(solved, updates), _pass_at(solved, updates)
    with_rules = []
    if runs.valid is not None:
        with_rules = at({VALID: policies.first_valid}, updates_per_segment=updates)
    choosing = None if name == "particles" else compare_scores(runs, solved)
    restarts = []
    is_sequence = name != "particles" and runs.has_q
    if is_sequence and min(num_tuning, len(solved) - num_tuning) >= 2:
        restarts = summarize_restarts(runs, solved, long_solved, updates, num_tuning, luby_unit)
    if name == "particles":  # fewer of them would have been others, since they replace each other
        points, with_rules, ceiling, pass_at = (
            [point for point in some if point.num_runs == solved.shape[1]]
            for some in (points, with_rules, ceiling, pass_at)
        )
    return Way(name, points, with_rules, ceiling, pass_at, choosing, restarts)


def _pooled(
    arrays: Mapping[str, np.ndarray], place: int, long_solved: np.ndarray, updates: int
) -> list[FrontierPoint]:
    points = []
    for i, num_runs in enumerate(arrays["number_of_runs"].tolist()):
        for j, depth in enumerate(arrays["depth"].tolist()):
            right, size = arrays["pooled_solved"][:, place, i, j], (num_runs, depth)
            spent = np.full(len(right), num_runs * depth)
            points.append(frontier_point(MEAN, size, spent, right, long_solved, updates))
    return points


def _ceiling(solved: np.ndarray, updates: int) -> list[FrontierPoint]:
    return [
        _known_to_labels(
            ORACLE, size, updates, fraction_of_puzzles(solved[:, : size[0], : size[1]].any((1, 2)))
        )
        for size in _sizes(solved)
    ]


def _pass_at(solved: np.ndarray, updates: int) -> list[FrontierPoint]:
    return [
        _known_to_labels(
            PASS, size, updates, mean_interval(pass_at_k(solved[:, :, size[1] - 1], size[0]))
        )
        for size in _sizes(solved)
    ]


def _sizes(solved: np.ndarray) -> list[tuple[int, int]]:
    _, most_runs, most_segments = solved.shape
    return [(k, d) for k in powers_of_two(most_runs) for d in powers_of_two(most_segments)]


def _known_to_labels(
    name: str, size: tuple[int, int], updates: int, accuracy: Interval
) -> FrontierPoint:
    return FrontierPoint(name, *size, float(size[0] * size[1] * updates), accuracy, UNDEFINED)


def _escapes(name: str, solved: np.ndarray) -> Escapes:
    waits, (_, num_runs, last) = waits_until_right(solved), solved.shape
    law = fit_escape_law(waits)
    best = best_whole_cutoff(law, last)
    predicted = solved_within(law, best, num_runs * best)
    measured = fraction_of_puzzles(solved[:, :, :best].any(axis=(1, 2)))
    return Escapes(name, law, exponential_test(waits), best, predicted, measured)


def at_most(points: Sequence[FrontierPoint], policy: str, num_segments: int) -> list[FrontierPoint]:
    """Returns the points of one policy at runs of so many segments, by their number of runs."""
    return [p for p in points if p.policy == policy and p.num_segments == num_segments]


def whole_budget(points: Sequence[FrontierPoint], summary: PolicySummary) -> list[FrontierPoint]:
    """Returns the points of all runs at their full length."""
    size = summary.num_runs, summary.num_segments
    return [point for point in points if (point.num_runs, point.num_segments) == size]


def best_rule(way: Way, summary: PolicySummary) -> str:
    """Returns the rule that solves most puzzles at the whole budget, of equals the first."""
    return max(whole_budget(way.points, summary), key=lambda p: p.accuracy.value).policy
