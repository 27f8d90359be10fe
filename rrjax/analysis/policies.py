"""What to do with more compute: rules that choose an answer among runs, and what they cost.

Arrays have axes (puzzle, run, segment). A budget of K runs and D segments is read off longer arrays
by cutting them, so that all budgets share one set of trajectories. No rule sees a label: rules
return which answer they choose, and what it is worth is looked up afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.analysis.paired import paired_difference
from rrjax.analysis.selection import fraction_of_puzzles, highest, powers_of_two

WINDOW = 3
"""Segments over which the change of the logits is averaged, as EqR does (arXiv 2605.21488)."""


@dataclass(frozen=True)
class Runs:
    """What a user sees of K runs of N puzzles after each of S segments.

    Attributes:
      answers: (N, K, S) integers that name the boards: equal numbers of one puzzle are equal boards
        (`name_boards`).
      q_halt: (N, K, S) logits of "the answer is right"; NaN for a model without one.
      residual: (N, K, S) norms of the change of the state over a segment, relative to the state's.
      logit_change: (N, K, S) mean over cells of the Euclidean norm of the change of the logits over
        a segment.
      lambda1: (N, K, S) running λ₁ from the start to the segment, or None where it was not
        measured.
      valid: (N, K, S) whether the board obeys the rules of the puzzle, or None where there are no
        rules to ask.
    """

    answers: np.ndarray
    q_halt: np.ndarray
    residual: np.ndarray
    logit_change: np.ndarray
    lambda1: np.ndarray | None = None
    valid: np.ndarray | None = None

    def __post_init__(self):
        shape = as_array("answers", self.answers, ("N", "K", "S"), int, least=1).shape
        for field in fields(self)[1:]:
            array = getattr(self, field.name)
            if array is not None:
                as_array(field.name, array, shape, bool if field.name == "valid" else float)

    @property
    def has_q(self) -> bool:
        """Whether the model has a q."""
        return not np.isnan(self.q_halt).all()

    def cut(self, num_runs: int, num_segments: int) -> "Runs":
        """Returns the first runs up to a segment, as a smaller budget would have given them."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: array for name, array in arrays.items() if array is not None}
        return replace(
            self, **{n: array[:, :num_runs, :num_segments] for n, array in known.items()}
        )

    def of_puzzles(self, places: slice) -> "Runs":
        """Returns the runs of some puzzles."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: array for name, array in arrays.items() if array is not None}
        return replace(self, **{name: array[places] for name, array in known.items()})


class Choice(NamedTuple):
    """The readouts that a rule chooses, and how long it ran.

    Attributes:
      run: (N,) from 0.
      segment: (N,) from 0.
      spent: (N,) segments of all runs together.
    """

    run: np.ndarray
    segment: np.ndarray
    spent: np.ndarray


Rule = Callable[[Runs], Choice]


def name_boards(answers: np.ndarray) -> np.ndarray:
    """Returns (N, ...) integers that are equal where boards (N, ..., cells) of a puzzle are."""
    answers = as_array("answers", answers, ("N", ..., "cells"), int)
    names = np.empty(answers.shape[:-1], np.int64)
    for puzzle, boards in enumerate(answers):
        flat = boards.reshape(-1, boards.shape[-1])
        names[puzzle] = np.unique(flat, axis=0, return_inverse=True)[1].reshape(boards.shape[:-1])
    return names


def plain(runs: Runs) -> Choice:
    """Chooses the last answer of the first run, which alone is run."""
    number, _, last = runs.answers.shape
    zeros = np.zeros(number, int)
    return Choice(zeros, zeros + last - 1, zeros + last)


def halt_first(runs: Runs) -> Choice:
    """Chooses the run of largest q at the first segment where any run has q > 0.

    All runs go on side by side until then; where none halts, the first run is read out at the end.

    References:
      arXiv 2601.19085.
    """
    number, num_runs, last = runs.answers.shape
    halts = known_q(runs) > 0
    any_halts = np.asarray(halts.any(axis=1))
    segment = np.where(any_halts.any(axis=1), any_halts.argmax(axis=1), last - 1)
    q_there = runs.q_halt[np.arange(number), :, segment]
    run = np.where(any_halts.any(axis=1), highest(q_there), 0)
    return Choice(run, segment, num_runs * (segment + 1))


def halt_at_rest(runs: Runs, threshold: float = 1e-3) -> Choice:
    """Chooses the answer of the first run where its residual first falls below a threshold."""
    return _first_below(runs, runs.residual[:, 0], threshold)


def halt_when_decided(runs: Runs, threshold: float = 0.1) -> Choice:
    """Chooses the answer of the first run where its logits first change less than a threshold."""
    return _first_below(runs, runs.logit_change[:, 0], threshold)


def best_q(runs: Runs) -> Choice:
    """Chooses the run of largest q at the end."""
    return _at_end(runs, known_q(runs)[:, :, -1])


def smallest_residual(runs: Runs) -> Choice:
    """Chooses the run whose state moves least over the last segment."""
    return _at_end(runs, -runs.residual[:, :, -1])


def smallest_logit_change(runs: Runs) -> Choice:
    """Chooses the run whose logits change least, as the mean of the last 3 segments."""
    return _at_end(runs, -runs.logit_change[:, :, -WINDOW:].mean(axis=2))


def smallest_lambda1(runs: Runs) -> Choice:
    """Chooses the run of smallest λ₁; a tangent vector doubles what a segment costs.

    Raises:
      ValueError: λ₁ was not measured.
    """
    if runs.lambda1 is None:
        raise ValueError("smallest_lambda1 needs runs along which λ₁ was measured")
    choice = _at_end(runs, -runs.lambda1[:, :, -1])
    return choice._replace(spent=2 * choice.spent)


def vote(runs: Runs) -> Choice:
    """Chooses the last answer that most runs give; of equally many the earliest run's."""
    return _voted(runs, np.ones(runs.answers.shape[:2]))


def vote_by_q(runs: Runs) -> Choice:
    """Chooses the last answer with the largest sum of σ(q) over the runs that give it."""
    q = known_q(runs)[:, :, -1]
    return _voted(runs, np.exp(-np.logaddexp(0, -q)))


def first_valid(runs: Runs) -> Choice:
    """Chooses the first answer that obeys the rules, all runs going on side by side until then.

    Where the solution is unique this is the oracle: no run is right that is not chosen.

    Raises:
      ValueError: there are no rules to ask.
    """
    if runs.valid is None:
        raise ValueError("first_valid needs puzzles whose rules can be asked")
    last = runs.answers.shape[2]
    any_valid = np.asarray(runs.valid.any(axis=1))
    segment = np.where(any_valid.any(axis=1), any_valid.argmax(axis=1), last - 1)
    run = runs.valid[np.arange(len(segment)), :, segment].argmax(axis=1)
    return Choice(run, segment, runs.answers.shape[1] * (segment + 1))


def _first_below(runs: Runs, numbers: np.ndarray, threshold: float) -> Choice:
    below, last = numbers < threshold, runs.answers.shape[2] - 1
    segment = np.where(np.asarray(below.any(axis=1)), below.argmax(axis=1), last)
    return Choice(0 * segment, segment, segment + 1)


def known_q(runs: Runs) -> np.ndarray:
    """Returns q of the runs.

    Raises:
      ValueError: The model has none.
    """
    if not runs.has_q:
        raise ValueError("this policy reads q, and the model has none: choose one that does not")
    return runs.q_halt


def _at_end(runs: Runs, score: np.ndarray) -> Choice:
    number, num_runs, last = runs.answers.shape
    ends = np.full(number, last - 1)
    return Choice(highest(score), ends, num_runs * (ends + 1))


def _voted(runs: Runs, weights: np.ndarray) -> Choice:
    ends = runs.answers[:, :, -1]
    same = ends[:, :, None] == ends[:, None]
    return _at_end(runs, (same * weights[:, None]).sum(axis=2))


@dataclass(frozen=True)
class FrontierPoint:
    """A policy at one budget.

    Attributes:
      policy: its name.
      num_runs: K.
      num_segments: D, the most segments of one run.
      evaluations: mean number of module evaluations of a puzzle.
      accuracy: fraction of puzzles whose chosen answer is right, with its interval.
      gain: paired difference to the plain rollout of as many evaluations (at most), with its
        interval; NaN where that rollout was not run so far.
    """

    policy: str
    num_runs: int
    num_segments: int
    evaluations: float
    accuracy: Interval
    gain: Interval


def right_choices(choice: Choice, solved: np.ndarray) -> np.ndarray:
    """Returns (N,) whether the chosen readouts are right; `solved` are booleans (N, K, S)."""
    return solved[np.arange(len(choice.run)), choice.run, choice.segment]


def frontier(
    rules: Mapping[str, Rule],
    runs: Runs,
    solved: np.ndarray,
    long_solved: np.ndarray,
    updates_per_segment: int,
) -> list[FrontierPoint]:
    """Returns accuracy against compute for some rules, at K = 1, 2, 4, … and D = 1, 2, 4, …

    Args:
      rules: the rules by name.
      runs: what the rules see.
      solved: (N, K, S) booleans, which answers are right.
      long_solved: (N, L) the same of one long rollout of each puzzle, for comparison.
      updates_per_segment: module evaluations of a segment.
    """
    solved = as_array("solved", solved, runs.answers.shape, bool)
    long_solved = as_array("long_solved", long_solved, (len(solved), "L"), bool)
    _, most_runs, most_segments = solved.shape
    points = []
    for name, rule in rules.items():
        for num_runs in powers_of_two(most_runs):
            for num_segments in powers_of_two(most_segments):
                choice = rule(runs.cut(num_runs, num_segments))
                right = right_choices(choice, solved)
                size = num_runs, num_segments
                points.append(
                    frontier_point(
                        name, size, choice.spent, right, long_solved, updates_per_segment
                    )
                )
    return points


def frontier_point(
    name: str,
    size: tuple[int, int],
    spent: np.ndarray,
    right: np.ndarray,
    long_solved: np.ndarray,
    updates_per_segment: int,
) -> FrontierPoint:
    """Returns what a choice is worth and what it costs.

    Args:
      name: of the policy.
      size: the numbers of runs and segments.
      spent: (N,) segments of all runs together.
      right: (N,) booleans, whether that is right.
      long_solved: (N, L) booleans of the long rollout.
      updates_per_segment: module evaluations of a segment.
    """
    mean = float(spent.mean())
    affordable = int(mean)
    gain = UNDEFINED
    if 1 <= affordable <= long_solved.shape[1]:
        gain = paired_difference(long_solved[:, affordable - 1], right)
    accuracy = fraction_of_puzzles(right)
    return FrontierPoint(name, *size, mean * updates_per_segment, accuracy, gain)
