"""Noisy rollouts in numbers: what they solve together, which to believe, and q against λ₁."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.intervals import Interval, mean_interval
from rrjax.analysis.selection import (
    Selection,
    chosen,
    fraction_of_puzzles,
    runs_at_end,
    select,
)
from rrjax.analysis.separation import middle_ranks


@dataclass(frozen=True)
class Change:
    """What a rule over the noisy runs changes against the noiseless run.

    Attributes:
      gained: Number of puzzles that the rule solves and the noiseless run does not.
      lost: Number of puzzles that only the noiseless run solves.
    """

    gained: int
    lost: int


@dataclass(frozen=True)
class Correlation:
    """q_halt against λ₁ over the noisy runs of a puzzle, on puzzles of mixed outcome.

    Mixed: some of the noisy runs are right after the last segment, and some are not.

    Attributes:
      num_mixed: Number of such puzzles.
      num_used: Number of those that have at least 3 runs where both are known, and neither always
        the same.
      spearman: Mean of `rank_correlation` over those, with its interval over puzzles. Both may
        differ between right and wrong runs: it is not a correlation at equal outcome.
    """

    num_mixed: int
    num_used: int
    spearman: Interval


@dataclass(frozen=True)
class PtrmSummary:
    """Noisy rollouts in numbers, by the answers after the last segment.

    Attributes:
      num_puzzles: Number of puzzles.
      num_segments: Number of segments of each rollout.
      sigma: Standard deviation of the noise, in the unit of the state.
      num_not_finite: Noisy runs that blew up; they count as not solved.
      noiseless: Fraction of puzzles solved without noise.
      selection: What the noisy runs are worth together.
      changes: For each rule, and for `some_run`, which is pass@K, the change against no noise.
      correlation: q_halt against λ₁; None without exponents.
    """

    num_puzzles: int
    num_segments: int
    sigma: float
    num_not_finite: int
    noiseless: Interval
    selection: Selection
    changes: dict[str, Change]
    correlation: Correlation | None


def summarize_ptrm(arrays: Mapping[str, np.ndarray]) -> PtrmSummary:
    """Returns all numbers of noisy rollouts.

    Args:
      arrays: `sigma` (runs,), 0 for the first run alone; `solved` (N, runs, segments) booleans;
        `answers` (N, runs, seq); `q_halt`, `residual` (N, runs); if measured, `exponents`
        (N, runs, k).
    """
    sigma = arrays["sigma"]
    if len(sigma) < 2 or sigma[0] != 0 or len(set(sigma[1:])) != 1 or sigma[1] == 0:
        raise ValueError(
            f"sigma must be 0 for the first run and one number for the others; got {sigma.tolist()}"
        )
    runs, quiet = noisy_runs(arrays), arrays["solved"][:, 0, -1]
    rules = chosen(runs) | {"some_run": np.asarray(runs["solved"].any(axis=1))}
    return PtrmSummary(
        num_puzzles=len(quiet),
        num_segments=arrays["solved"].shape[2],
        sigma=float(sigma[1]),
        num_not_finite=int(np.sum(~np.isfinite(runs["residual"]))),
        noiseless=fraction_of_puzzles(quiet),
        selection=select(runs),
        changes={
            name: Change(int(np.sum(right & ~quiet)), int(np.sum(quiet & ~right)))
            for name, right in rules.items()
        },
        correlation=_correlation(runs) if "lambda1" in runs else None,
    )


def noisy_runs(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays (N, K, ...) that `select` reads, of all runs but the first."""
    return {name: array[:, 1:] for name, array in runs_at_end(arrays).items()}


def mixed_outcome(solved: np.ndarray) -> np.ndarray:
    """Returns (N,) which puzzles some of the runs (N, K) solve, and some do not."""
    return np.asarray(solved.any(axis=1) & ~solved.all(axis=1))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's ρ of two (K,) arrays, ties with their mean ranks.

    Pairs with NaN are left out; infinities are ordered like other numbers. NaN for fewer than 3
    pairs, or where one of the two is always the same.
    """
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 3 or (a == a[0]).all() or (b == b[0]).all():
        return np.nan
    return float(np.corrcoef(middle_ranks(a), middle_ranks(b))[0, 1])


def _correlation(runs: Mapping[str, np.ndarray]) -> Correlation:
    mixed = mixed_outcome(runs["solved"])
    pairs = zip(runs["q_halt"][mixed], runs["lambda1"][mixed], strict=True)
    spearman = np.array([rank_correlation(q, lambda1) for q, lambda1 in pairs])
    num_used = int(np.sum(~np.isnan(spearman)))
    return Correlation(int(mixed.sum()), num_used, mean_interval(spearman, -1, 1))
