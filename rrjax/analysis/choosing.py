"""Which of what is seen of a run tells right from wrong ones, and whether λ₁ adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.intervals import Interval, mean_interval
from rrjax.analysis.policies import Runs
from rrjax.analysis.rivals import Rival, rivals
from rrjax.analysis.separation import middle_ranks, pairs_within

LAMBDA1 = "−λ₁ at half the depth"


@dataclass(frozen=True)
class Choosing:
    """How well scores of runs tell right from wrong ones, at equal module evaluations.

    A tangent vector doubles the cost of a run, so that λ₁ is that of half the segments.

    Attributes:
      num_mixed: number of puzzles with right and wrong runs; a rule can err or gain in these alone.
      within: by score, the AUC among the runs of a puzzle, as the mean over such puzzles; ½ for
        chance. NaN without such a puzzle.
      gain: what λ₁ adds to the AUC of the mean rank of q and residual, by a third rank with the
        same weight, as the paired mean over these puzzles; NaN where λ₁ was not measured.
      rivals: AUC of each score among the first runs of all puzzles, and that of −λ₁ among those
        that are near in it; none where λ₁ was not measured.
    """

    num_mixed: int
    within: dict[str, Interval]
    gain: Interval
    rivals: list[Rival]


def compare_scores(runs: Runs, solved: np.ndarray) -> Choosing:
    """Returns how well q, residual, change of the logits and λ₁ tell right from wrong runs.

    Args:
      runs: what is seen of the runs.
      solved: (N, K, S) booleans; what counts is the last segment.
    """
    right, half = solved[:, :, -1], runs.answers.shape[2] // 2
    scores = {
        "q": runs.q_halt[:, :, -1],
        "−residual": -runs.residual[:, :, -1],
        "−change of logits": -runs.logit_change[:, :, -1],
    }
    if runs.lambda1 is not None and half:
        scores[LAMBDA1] = -runs.lambda1[:, :, half - 1]
    scores = {name: score for name, score in scores.items() if not np.isnan(score).any()}
    mixed = np.flatnonzero(right.any(axis=1) & ~right.all(axis=1))

    def within(score: np.ndarray) -> np.ndarray:
        strata = np.repeat(mixed, right.shape[1])
        won, number = pairs_within(score[mixed].ravel(), right[mixed].ravel(), strata)
        shape = len(mixed), right.shape[1]
        return won.reshape(shape).sum(axis=1) / number.reshape(shape).sum(axis=1)

    gain = np.full(0, np.nan)
    if {"q", LAMBDA1} <= set(scores):
        before = _ranks(scores["q"]) + _ranks(scores["−residual"])
        gain = within(before + _ranks(scores[LAMBDA1])) - within(before)
    return Choosing(
        num_mixed=len(mixed),
        within={name: mean_interval(within(score)) for name, score in scores.items()},
        gain=mean_interval(gain, -1, 1),
        rivals=_rivals(scores, right),
    )


def _ranks(score: np.ndarray) -> np.ndarray:
    return np.array([middle_ranks(row) for row in score])


def _rivals(scores: Mapping[str, np.ndarray], right: np.ndarray) -> list[Rival]:
    if LAMBDA1 not in scores:
        return []
    first = {name: score[:, 0] for name, score in scores.items()}
    if "q" in first:
        both = middle_ranks(first["q"]) + middle_ranks(first["−residual"])
        first["q and −residual"] = both
    return rivals(-first.pop(LAMBDA1), right[:, 0], first)
