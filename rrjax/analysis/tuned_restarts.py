"""Restarts whose thresholds come from the first puzzles, and what they are worth on the others."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from rrjax.analysis.arrays import first_right
from rrjax.analysis.policies import FrontierPoint, Runs, frontier_point, right_choices
from rrjax.analysis.restart_law import (
    EscapeLaw,
    best_whole_cutoff,
    expected_luby,
    expected_segments,
    fit_escape_law,
)
from rrjax.analysis.restarting import (
    LubyRestarts,
    Restarting,
    Restarts,
    RestartsAdrift,
    RestartsAtRest,
    choose_restarts,
)
from rrjax.analysis.selection import powers_of_two
from rrjax.analysis.survival import Waits

BELIEVED = "until believed"
FIXED = "at a fixed length"
BY_LAW = "at the law's length"
LUBY = "by Luby's sequence"
AT_REST = "where trapped: at rest"
ADRIFT = "where trapped: drift and λ₁"

ACCEPT = (0.0, 2.0, 4.0)
"""The thresholds of q that every policy may choose from."""


@dataclass(frozen=True)
class TunedRestarts:
    """A policy of restarts, with the thresholds that solve most of the tuning puzzles.

    Attributes:
      name: of the policy.
      policy: the policy with its thresholds.
      num_tuning: number of tuning puzzles, the first of all.
      points: by budgets of 2, 4, 8, … segments what the policy solves of the other puzzles, and its
        gain over the plain rollout there. The last budget is the one that the thresholds are for.
      by_law: module evaluations until a puzzle is solved, in the mean by the escape law of the
        tuning puzzles, if all puzzles were alike and starts had no end. NaN where the policy
        depends on more than the length of a start.
    """

    name: str
    policy: Restarts
    num_tuning: int
    points: dict[int, FrontierPoint]
    by_law: float

    @property
    def point(self) -> FrontierPoint:
        """What the policy is worth at the whole budget."""
        return self.points[max(self.points)]


def summarize_restarts(
    runs: Runs,
    solved: np.ndarray,
    long_solved: np.ndarray,
    updates_per_segment: int,
    num_tuning: int,
    luby_unit: int | None = None,
) -> list[TunedRestarts]:
    """Returns what policies of restarts are worth that were tuned on the first puzzles.

    Args:
      runs: independent runs of a model with q.
      solved: (N, K, S) booleans, which answers are right.
      long_solved: (N, L) the same of the long rollout.
      updates_per_segment: module evaluations of a segment.
      num_tuning: number of puzzles, from the first, that thresholds are chosen on.
      luby_unit: segments of the shortest start of Luby's sequence; None chooses it, too.
    """
    _, num_runs, last = runs.answers.shape
    budget = num_runs * last
    tuning, others = runs.of_puzzles(slice(num_tuning)), runs.of_puzzles(slice(num_tuning, None))
    law = fit_escape_law(waits_until_right(solved[:num_tuning]))
    tuned = tune_restarts(tuning, solved[:num_tuning], law, budget, luby_unit)
    solved, long_solved = solved[num_tuning:], long_solved[num_tuning:]

    def point(name: str, policy: Restarts, budget: int) -> FrontierPoint:
        choice, size = policy(others, budget), (num_runs, last)
        right = right_choices(choice, solved)
        return frontier_point(name, size, choice.spent, right, long_solved, updates_per_segment)

    budgets = powers_of_two(budget)[1:]  # two segments are one with its tangent vector
    return [
        TunedRestarts(
            name,
            policy,
            num_tuning,
            {budget: point(name, policy, budget) for budget in budgets},
            _expected(policy, law) * updates_per_segment,
        )
        for name, policy in tuned.items()
    ]


def tune_restarts(
    runs: Runs, solved: np.ndarray, law: EscapeLaw, budget: int, luby_unit: int | None = None
) -> dict[str, Restarts]:
    """Returns by name the policy of every kind that solves most of the tuning puzzles.

    Args:
      runs: of the tuning puzzles alone.
      solved: (N, K, S) booleans of these.
      law: their law of escapes.
      budget: in segments.
      luby_unit: segments of the shortest start of Luby's sequence; None chooses it, too.
    """
    last = runs.answers.shape[2]
    at_law, units = best_whole_cutoff(law, last), [luby_unit] if luby_unit else powers_of_two(last)
    candidates: dict[str, list[Restarts]] = {
        BELIEVED: [
            Restarting(accept, rest, trust, cutoff)
            for cutoff in powers_of_two(last)
            for accept in ACCEPT
            for rest, trust in ((0.0, -np.inf), (1e-3, 0.0), (1e-2, 0.0), (1e-3, -np.inf))
        ],
        FIXED: [
            Restarting(accept, cutoff=cutoff)
            for accept, cutoff in product(ACCEPT, range(1, last + 1))
        ],
        BY_LAW: [Restarting(accept, cutoff=at_law) for accept in ACCEPT],
        LUBY: [LubyRestarts(accept, unit) for accept, unit in product(ACCEPT, units)],
        AT_REST: [
            RestartsAtRest(accept, residual, patience)
            for accept, residual, patience in product(ACCEPT, (1e-3, 1e-2), (None, 2, 4))
        ],
    }
    if runs.lambda1 is not None and np.isfinite(runs.lambda1).any():
        known = runs.lambda1[np.isfinite(runs.lambda1)]  # −∞ where a map forgets its state
        heights = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
        candidates[ADRIFT] = [
            RestartsAdrift(accept, patience, flat, height)
            for accept, patience in product(ACCEPT, (1, 2, 4))
            for flat, height in product((0.5, 0.9), heights)
        ]
    return {
        name: choose_restarts(policies, runs, solved, budget)
        for name, policies in candidates.items()
    }


def waits_until_right(solved: np.ndarray) -> Waits:
    """Returns the segments of the first right answer of all runs, of booleans (N, K, S)."""
    first = first_right(solved).ravel()
    return Waits(np.where(first > 0, first, solved.shape[-1]).astype(float), first > 0)


def _expected(policy: Restarts, law: EscapeLaw) -> float:
    """Returns the mean number of segments by the law; NaN for a policy that watches the drift."""
    if isinstance(policy, LubyRestarts):
        return expected_luby(law, policy.unit)
    if isinstance(policy, Restarting) and not policy.accept_residual:
        return expected_segments(law, policy.cutoff)
    return np.nan
