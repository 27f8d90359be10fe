"""A long rollout in numbers: accuracy against compute, escape of the failures, early halting."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.compute import Halting, accuracy_curve, early_halting
from rrjax.analysis.intervals import (
    Interval,
    fraction_interval,
    rate_interval,
    rate_ratio_interval,
)
from rrjax.analysis.survival import Waits, escapes, kaplan_meier, rest_segments, while_moving


@dataclass(frozen=True)
class AccuracyAt:
    """What is read out after one segment.

    Attributes:
      segment: Counted from 1.
      evaluations: Module evaluations until then.
      solved: Fraction of the puzzles.
      token_accuracy: Mean share of right tokens, of puzzles with known ones; NaN without any.
      violations: Median over the failures of the violated constraints; None if not counted, NaN
        without failures.
      valid_path: Fraction of the puzzles whose answer is a valid path, labelled or not; None if
        they have none.
    """

    segment: int
    evaluations: int
    solved: Interval
    token_accuracy: float
    violations: float | None
    valid_path: Interval | None


@dataclass(frozen=True)
class Escape:
    """What becomes of the puzzles that fail at the readout.

    Attributes:
      num_failures: Number of failures at the readout.
      num_solved_before: Number of these that were solved at an earlier segment.
      num_escaped: Number of these that are solved at a later segment.
      num_kept: Number of the escaped that are solved after the last segment too.
      num_at_rest: Number of those that did not escape whose residual is round-off by the end: they
        stand still at a wrong answer.
      last_escape: Segments from the readout to the last escape; None without one.
      segments_watched: Number of segments after the readout.
      segments_failing: Sum over the failures of the segments waited for each.
      segments_moving: The part of these in which the run was not at rest.
      still_failing: Kaplan–Meier estimate at the end.
      rate_per_segment: Escapes over `segments_moving`; NaN where there are none.
      rate_per_update: The same per update.
      late_over_early: Ratio of the rate in the second half of the segments watched to that in the
        first half, rounded down.
    """

    num_failures: int
    num_solved_before: int
    num_escaped: int
    num_kept: int
    num_at_rest: int
    last_escape: int | None
    segments_watched: int
    segments_failing: int
    segments_moving: int
    still_failing: Interval
    rate_per_segment: Interval
    rate_per_update: Interval
    late_over_early: Interval


@dataclass(frozen=True)
class RolloutSummary:
    """A long rollout in numbers.

    Attributes:
      num_puzzles: N.
      updates_per_segment: Module evaluations in a segment.
      at_readout: After the readout segment.
      at_end: After the last segment.
      solved_at_some: Fraction of the puzzles solved after any segment.
      num_lost: Puzzles solved at the readout and not at the end.
      num_not_finite: Runs that blew up; they count as not solved.
      escape: What becomes of the failures at the readout.
      halting: What each rule for early halting costs and saves.
    """

    num_puzzles: int
    updates_per_segment: int
    at_readout: AccuracyAt
    at_end: AccuracyAt
    solved_at_some: Interval
    num_lost: int
    num_not_finite: int
    escape: Escape
    halting: list[Halting]


def summarize_rollout(
    arrays: Mapping[str, np.ndarray],
    updates_per_segment: int,
    readout_segment: int,
    halts: Mapping[str, np.ndarray],
    tolerance: float,
) -> RolloutSummary:
    """Returns all numbers of a long rollout.

    Args:
      arrays: (N, segments) `solved` (booleans), `token_accuracy`, `residual`, and, where puzzles
        have them, `violations` and `valid_path` (booleans).
      updates_per_segment: Module evaluations in a segment.
      readout_segment: Counted from 1.
      halts: For each rule (N, segments) booleans, where it would halt.
      tolerance: Residual up to which a run is at rest.
    """
    solved = arrays["solved"]
    curve = accuracy_curve(solved)
    rest = rest_segments(arrays["residual"], tolerance)
    escape = _escape(solved, rest, readout_segment, updates_per_segment)
    last = solved.shape[1]
    return RolloutSummary(
        num_puzzles=len(solved),
        updates_per_segment=updates_per_segment,
        at_readout=_readout(arrays, curve.at_segment, readout_segment, updates_per_segment),
        at_end=_readout(arrays, curve.at_segment, last, updates_per_segment),
        solved_at_some=curve.so_far.at(last - 1),
        num_lost=int(np.sum(solved[:, readout_segment - 1] & ~solved[:, -1])),
        num_not_finite=int(np.sum(~np.isfinite(arrays["residual"]).all(axis=1))),
        escape=escape,
        halting=[early_halting(name, solved, rule) for name, rule in halts.items()],
    )


def _readout(
    arrays: Mapping[str, np.ndarray], solved: Interval, segment: int, updates: int
) -> AccuracyAt:
    column = segment - 1
    known = arrays["token_accuracy"][:, column]
    known = known[~np.isnan(known)]
    violations = valid_path = None
    if "violations" in arrays:
        failed = arrays["violations"][~arrays["solved"][:, column], column]
        violations = float(np.median(failed)) if len(failed) else np.nan
    if "valid_path" in arrays:
        valid = arrays["valid_path"][:, column]
        valid_path = fraction_interval(int(valid.sum()), len(valid))
    return AccuracyAt(
        segment=segment,
        evaluations=segment * updates,
        solved=solved.at(column),
        token_accuracy=float(known.mean(dtype=np.float64)) if len(known) else np.nan,
        violations=violations,
        valid_path=valid_path,
    )


def _escape(solved: np.ndarray, rest: np.ndarray, readout_segment: int, updates: int) -> Escape:
    waits = escapes(solved, readout_segment)
    failed = ~solved[:, readout_segment - 1]
    moving = while_moving(waits, failed, rest, readout_segment)
    watched = solved.shape[1] - readout_segment
    num_escaped, segments_moving = int(waits.observed.sum()), int(moving.durations.sum())
    early, late = _halves(moving, watched // 2)  # escapes come at whole segments
    rate = rate_interval(num_escaped, segments_moving)
    at_rest = ~waits.observed & (rest[failed] < solved.shape[1])
    return Escape(
        num_failures=int(failed.sum()),
        num_solved_before=int(solved[failed, :readout_segment].any(axis=1).sum()),
        num_escaped=num_escaped,
        num_kept=int(np.sum(waits.observed & solved[failed, -1])),
        num_at_rest=int(at_rest.sum()),
        last_escape=int(waits.durations[waits.observed].max()) if num_escaped else None,
        segments_watched=watched,
        segments_failing=int(waits.durations.sum()),
        segments_moving=segments_moving,
        still_failing=kaplan_meier(*waits).survival.at(-1),
        rate_per_segment=rate,
        rate_per_update=rate.map(lambda end: end / updates),
        late_over_early=rate_ratio_interval(*late, *early),
    )


def _halves(waits: Waits, middle: int) -> list[tuple[int, float]]:
    """Returns the escapes and the segments waited, up to the middle and after it."""
    early = waits.observed & (waits.durations <= middle)
    before = float(np.minimum(waits.durations, middle).sum())
    return [
        (int(early.sum()), before),
        (int(waits.observed.sum() - early.sum()), float(waits.durations.sum()) - before),
    ]
