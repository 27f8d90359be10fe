"""Shares of puzzle, start and relabelling in what decides whether a puzzle is solved."""

from dataclasses import dataclass

import numpy as np
import scipy

from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import UNDEFINED, Interval, student_interval


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the variance of an outcome over puzzles, starts and relabellings.

    Attributes:
      puzzle: share that the puzzle decides, whatever the start and the relabelling.
      start: share that the start decides, given the puzzle, whatever the relabelling.
      relabelling: share that the relabelling decides, given the puzzle, whatever the start.
      interaction: the rest, which start and relabelling decide only together.
      total: the variance of one outcome.
    """

    puzzle: Interval
    start: Interval
    relabelling: Interval
    interaction: Interval
    total: float


def variance_shares(solved: np.ndarray) -> VarianceShares:
    """Returns the shares of the variance of outcomes (puzzles, starts, relabellings).

      yₚₛᵣ = μ + Pₚ + Sₚₛ + Rₚᵣ + Iₚₛᵣ

    Starts and relabellings are other ones for each puzzle. The components are the unbiased ones of
    the two-way analysis of variance; one may come out below 0 where it is small. Intervals are
    Student's of the jackknife over puzzles.

    Args:
      solved: (N, S, R) booleans with N ≥ 3 and S, R ≥ 2.

    Returns:
      Shares that sum to 1. All are NaN where every outcome is the same.

    References:
      Searle, Casella and McCulloch 1992, "Variance Components"; Tukey 1958,
      Ann. Math. Stat. 29, 614.
    """
    solved = as_array("solved", solved, ("puzzles", "starts", "relabellings"), bool)
    number = len(solved)
    if number < 3 or min(solved.shape[1:]) < 2:
        raise ValueError(
            f"solved must hold at least 3 puzzles, 2 starts and 2 relabellings, got {solved.shape}"
        )
    components = _components(solved)
    total = float(components.sum())
    if not total > 0:
        return VarianceShares(UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED, total)
    shares = components / total
    left_out = np.array([_shares_without(solved, puzzle) for puzzle in range(number)])
    pseudo = number * shares - (number - 1) * left_out
    ends = (student_interval(column) for column in pseudo.T)
    puzzle, start, relabelling, interaction = (
        Interval(float(share), end.low, end.high) for share, end in zip(shares, ends, strict=True)
    )
    return VarianceShares(puzzle, start, relabelling, interaction, total)


def _shares_without(solved: np.ndarray, puzzle: int) -> np.ndarray:
    components = _components(np.delete(solved, puzzle, axis=0))
    return components / components.sum()


def _components(solved: np.ndarray) -> np.ndarray:
    """Returns the variance components of puzzle, start, relabelling and interaction."""
    y = solved.astype(np.float64)
    number, starts, relabellings = y.shape
    of_start, of_relabelling = y.mean(axis=2), y.mean(axis=1)
    of_puzzle = y.mean(axis=(1, 2))
    rest = y - of_start[:, :, None] - of_relabelling[:, None] + of_puzzle[:, None, None]
    ms_rest = np.sum(rest**2) / (number * (starts - 1) * (relabellings - 1))
    ms_start = relabellings * np.sum((of_start - of_puzzle[:, None]) ** 2) / number / (starts - 1)
    ms_relabelling = np.sum((of_relabelling - of_puzzle[:, None]) ** 2) / number
    ms_relabelling *= starts / (relabellings - 1)
    ms_puzzle = starts * relabellings * np.var(of_puzzle, ddof=1)
    return np.array(
        [
            (ms_puzzle - ms_start - ms_relabelling + ms_rest) / (starts * relabellings),
            (ms_start - ms_rest) / relabellings,
            (ms_relabelling - ms_rest) / starts,
            ms_rest,
        ]
    )


@dataclass(frozen=True)
class BetaBinomial:
    """A beta law of the probability that a run solves a puzzle, over puzzles.

    Attributes:
      a: the first parameter, of solving; infinite with `b` where all puzzles are alike.
      b: the second one, of failing.
    """

    a: float
    b: float

    def pass_at(self, k: int) -> float:
        """Returns the probability that one of k runs of a puzzle solves it: 1 − E[(1 − p)^k]."""
        log_failure = scipy.special.betaln(self.a, self.b + k) - scipy.special.betaln(
            self.a, self.b
        )
        return float(-np.expm1(log_failure))


def fit_beta_binomial(solved: np.ndarray) -> BetaBinomial:
    """Returns the beta-binomial law of largest likelihood for K runs of each puzzle.

    It extrapolates pass@k beyond K by an assumption: a puzzle that no run ever solves has no place
    in it, so that pass@k goes to 1 with k.

    Args:
      solved: (N, K) booleans, with K ≥ 2.

    Raises:
      ValueError: all runs or no run are right, which leaves the law undetermined.
    """
    solved = as_array("solved", solved, ("N", "K"), bool, least=1)
    counts, runs = solved.sum(axis=1), solved.shape[1]
    if runs < 2 or counts.sum() in (0, solved.size):
        raise ValueError("solved must hold at least 2 runs of each puzzle, right and wrong ones")

    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        terms = scipy.special.betaln(a + counts, b + runs - counts)
        return float(-np.sum(terms - scipy.special.betaln(a, b)))

    bounds = [(-12.0, 12.0)] * 2
    best = scipy.optimize.minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=bounds)
    return BetaBinomial(*map(float, np.exp(best.x)))
