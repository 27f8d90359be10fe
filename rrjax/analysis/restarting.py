"""Restarts: policies that run starts one after the other, and judge a start after every segment.

A start is believed where q says that its answer is right. It is given up where the policy judges
that it is trapped, and goes on where it may be on its way. The policies differ in this judgement,
which nothing enters that a user would not have at test time. `choose_restarts` finds thresholds on
training puzzles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rrjax.analysis.policies import Choice, Runs, known_q, right_choices
from rrjax.analysis.restart_law import luby
from rrjax.checks import check_count, check_number, refuse

Restarts = Callable[[Runs, int], Choice]
"""A policy returns what it chooses of some runs within a budget of segments."""

Policy = TypeVar("Policy", bound=Restarts)


@dataclass(frozen=True)
class Restarting:
    """Gives a start up after a fixed number of segments, and where it is at rest if that is asked.

    A start is believed where q is above `accept_q`, or where the residual is below
    `accept_residual` and q is not below `trust_q`. At rest with a lower q it is given up.

    Attributes:
      accept_q: infinity for never.
      accept_residual: the residual below which a run counts as at rest; 0 for never.
      trust_q: the least q with which a run at rest is believed.
      cutoff: segments of one start.
    """

    accept_q: float = 0.0
    accept_residual: float = 0.0
    trust_q: float = -np.inf
    cutoff: int = 16

    def __call__(self, runs: Runs, budget: int) -> Choice:
        """Returns what the policy chooses within a budget of segments."""
        last = runs.answers.shape[2]
        if not 1 <= self.cutoff <= last:
            raise ValueError(f"cutoff must lie in 1..{last}, the segments of a run; got {self}")
        q = known_q(runs)
        rests = runs.residual < self.accept_residual
        believed = (q > self.accept_q) | (rests & (q >= self.trust_q))
        given_up = rests.copy()
        given_up[:, :, self.cutoff - 1] = True
        return one_by_one(runs, believed, given_up, budget)


@dataclass(frozen=True)
class LubyRestarts:
    """Gives starts up after 1, 1, 2, 1, 1, 2, 4, … units of segments, whatever the law of escapes.

    No start is longer than the runs are.

    Attributes:
      accept_q: q above which a start is believed.
      unit: segments of the shortest start.

    References:
      Luby, Sinclair and Zuckerman 1993, Inf. Process. Lett. 47, 173.
    """

    accept_q: float = 0.0
    unit: int = 1

    def __post_init__(self):
        _check_accept(self.accept_q)
        check_count("unit", self.unit, least=1)

    def __call__(self, runs: Runs, budget: int) -> Choice:
        """Returns what the policy chooses within a budget of segments."""
        _, num_runs, last = runs.answers.shape
        if self.unit > last:
            refuse("unit", f"be at most {last}, the segments of a run", self.unit)
        lengths = np.minimum(self.unit * luby(num_runs), last)
        given_up = np.zeros(runs.answers.shape, bool)
        given_up[:, np.arange(num_runs), lengths - 1] = True
        return one_by_one(runs, known_q(runs) > self.accept_q, given_up, budget)


@dataclass(frozen=True)
class RestartsAtRest:
    """Gives a start up where it rests at an answer that q calls wrong, or no longer changes it.

    Attributes:
      accept_q: q above which a start is believed.
      residual: the residual below which a start is at rest; 0 for never.
      patience: the number of segments after which an answer that stayed the same is given up;
        None for never.
    """

    accept_q: float = 0.0
    residual: float = 1e-3
    patience: int | None = None

    def __post_init__(self):
        _check_accept(self.accept_q)
        check_number("residual", self.residual, least=0)
        check_count("patience", self.patience, least=1)

    def __call__(self, runs: Runs, budget: int) -> Choice:
        """Returns what the policy chooses within a budget of segments."""
        given_up = runs.residual < self.residual
        if self.patience is not None:
            given_up |= unchanged_for(runs.answers) >= self.patience
        return one_by_one(runs, known_q(runs) > self.accept_q, given_up, budget)


@dataclass(frozen=True)
class RestartsAdrift:
    """Gives a start up where its drift no longer falls and its running λ₁ is high.

      r(s) > flat · r(s − m)   and   λ₁(s) > lambda1

    The tangent vector doubles what a segment costs: a budget pays for half as many.

    Attributes:
      accept_q: q above which a start is believed.
      patience: m, in segments.
      flat: the share of the residual r that is left, above which the drift counts as flat.
      lambda1: in nats per update.
    """

    accept_q: float = 0.0
    patience: int = 2
    flat: float = 0.5
    lambda1: float = 0.0

    def __post_init__(self):
        _check_accept(self.accept_q)
        check_count("patience", self.patience, least=1)
        check_number("flat", self.flat, above=0, most=1)
        check_number("lambda1", self.lambda1)

    def __call__(self, runs: Runs, budget: int) -> Choice:
        """Returns what the policy chooses within a budget of segments without a tangent vector.

        Raises:
          ValueError: λ₁ was not measured, or the budget is below one segment with its tangent.
        """
        if runs.lambda1 is None or np.isnan(runs.lambda1).all():
            raise ValueError("RestartsAdrift needs runs along which λ₁ was measured")
        if budget < 2:
            refuse("budget", "be at least 2, a segment with its tangent vector", budget)
        given_up = np.zeros(runs.answers.shape, bool)
        before = runs.residual[:, :, : -self.patience]
        is_flat = runs.residual[:, :, self.patience :] > self.flat * before
        given_up[:, :, self.patience :] = is_flat & (
            runs.lambda1[:, :, self.patience :] > self.lambda1
        )
        choice = one_by_one(runs, known_q(runs) > self.accept_q, given_up, budget // 2)
        return choice._replace(spent=2 * choice.spent)


def unchanged_for(answers: np.ndarray) -> np.ndarray:
    """Returns (N, K, S) for how many segments the answers (N, K, S) have stayed the same."""
    same = np.zeros(answers.shape, int)
    for segment in range(1, answers.shape[2]):
        kept = answers[:, :, segment] == answers[:, :, segment - 1]
        same[:, :, segment] = np.where(kept, same[:, :, segment - 1] + 1, 0)
    return same


def one_by_one(runs: Runs, believed: np.ndarray, given_up: np.ndarray, budget: int) -> Choice:
    """Returns the first answer that is believed, of starts that run one after the other.

    Where the budget or the starts end first, the answer of the largest q among the last readouts of
    all starts is taken.

    Args:
      runs: of a model with q.
      believed: (N, K, S) booleans, whether the policy stops at this readout and chooses it.
      given_up: (N, K, S) booleans, whether the start ends there otherwise. It ends with the run.
      budget: in segments.
    """
    if budget < 1:
        raise ValueError(f"budget must be at least one segment; got {budget}")
    q, ends = known_q(runs), believed | given_up
    ends[:, :, -1] = True
    chosen = [
        _one(believed[puzzle], ends[puzzle], q[puzzle], budget) for puzzle in range(len(ends))
    ]
    return Choice(*map(np.array, zip(*chosen, strict=True)))


def _one(
    believed: np.ndarray, ends: np.ndarray, q: np.ndarray, budget: int
) -> tuple[int, int, int]:
    """Returns run, segment and segments spent of one puzzle, whose arrays are (K, S)."""
    spent, best, best_q_so_far = 0, (0, 0), -np.inf
    for run in range(len(ends)):
        length = min(int(ends[run].argmax()) + 1, budget - spent)
        if length <= 0:
            break
        spent += length
        if believed[run, length - 1]:
            return run, length - 1, spent
        if q[run, length - 1] > best_q_so_far or run == 0:
            best, best_q_so_far = (run, length - 1), q[run, length - 1]
    return *best, spent


def choose_restarts(
    candidates: Sequence[Policy], runs: Runs, solved: np.ndarray, budget: int
) -> Policy:
    """Returns the policy that solves most training puzzles within a budget, of equals the first.

    Args:
      candidates: policies.
      runs: of training puzzles, which no result is stated of.
      solved: (N, K, S) booleans of these.
      budget: in segments.
    """
    return max(candidates, key=lambda policy: right_choices(policy(runs, budget), solved).sum())


def _check_accept(accept_q: float) -> None:
    if np.isnan(accept_q):
        refuse("accept_q", "be a number", accept_q)
