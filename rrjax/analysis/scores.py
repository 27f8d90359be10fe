"""Scores of predictions of many cells, with intervals over the puzzles that hold the cells."""

from typing import NamedTuple

import numpy as np
import scipy

from rrjax.analysis.intervals import TAIL, UNDEFINED, Interval, clustered_fraction


class Score(NamedTuple):
    """A score and how far each puzzle moves it.

    Attributes:
      value: The score; NaN where nothing was scored.
      influence: (N,) by how much the score changes, to first order, per unit of weight that the
        puzzle is given. They add up to 0.
    """

    value: float
    influence: np.ndarray

    @property
    def variance(self) -> float:
        """The variance of the score over puzzles: n/(n − 1) Σ influence²."""
        n = self.num_puzzles
        return float(np.sum(np.square(self.influence)) * n / (n - 1)) if n > 1 else np.nan

    @property
    def num_puzzles(self) -> int:
        """The number of puzzles that count."""
        return int(np.count_nonzero(self.influence)) or len(self.influence)

    def interval(self) -> Interval:
        """Returns the score with Student's interval over puzzles."""
        n = self.num_puzzles
        if n < 2 or np.isnan(self.value):
            return Interval(self.value, np.nan, np.nan)
        reach = float(scipy.special.stdtrit(n - 1, 1 - TAIL)) * self.variance**0.5
        return Interval(self.value, self.value - reach, self.value + reach)

    def fraction_interval(self) -> Interval:
        """Returns a score between 0 and 1 with an interval that stays there."""
        if np.isnan(self.value):
            return UNDEFINED
        return clustered_fraction(self.value, self.variance, self.num_puzzles)

    def __sub__(self, other: "Score") -> "Score":
        """Returns the difference to a score of the same puzzles."""
        return Score(self.value - other.value, self.influence - other.influence)


def balanced_accuracy(right: np.ndarray, number: np.ndarray) -> Score:
    """Returns the mean over classes of the share of their cells that is right.

      (1/K) Σ_c Σ_i right_ic / Σ_i number_ic

    Chance is 1/K whatever the frequencies are. Classes without a cell are left out.

    Args:
      right: (N, K) how many cells of each puzzle and class are predicted right.
      number: (N, K) how many cells there are.

    Example:
      >>> score = rrjax.analysis.balanced_accuracy(
      ...     np.array([[3, 1], [2, 0]]), np.array([[4, 1], [4, 1]])
      ... )
      >>> score.value
      0.5625
    """
    right, number = np.asarray(right, float), np.asarray(number, float)
    total = number.sum(0)
    present = total > 0
    if not present.any():
        return Score(np.nan, np.zeros(len(right)))
    right, number, total = right[:, present], number[:, present], total[present]
    shares = right.sum(0) / total
    return Score(float(shares.mean()), ((right - shares * number) / total).mean(1))


def explained_share(error: np.ndarray, spread: np.ndarray) -> Score:
    """Returns the share of a number's spread that predictions explain, R² on held-out puzzles.

      1 − Σ_i error_i / Σ_i spread_i

    It is 0 for the best constant, 1 for exact predictions, and negative for worse ones.

    Args:
      error: (N,) of each puzzle the summed squared error of the predictions.
      spread: (N,) the summed squared distance to the mean.

    Example:
      >>> rrjax.analysis.explained_share(np.array([1.0, 2.0]), np.array([3.0, 3.0])).value
      0.5
    """
    error, spread = np.asarray(error, float), np.asarray(spread, float)
    total = spread.sum()
    if not total > 0:
        return Score(np.nan, np.zeros(len(error)))
    ratio = error.sum() / total
    return Score(float(1 - ratio), -(error - ratio * spread) / total)


def permutation_p(score: float, permuted: np.ndarray) -> float:
    """Returns the probability of so high a score if labels were exchangeable.

      (1 + #{permuted ≥ score}) / (1 + number)

    Args:
      score: The score of the labels.
      permuted: (number,) scores of permuted labels.

    Source: Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39.

    Example:
      >>> rrjax.analysis.permutation_p(0.9, np.array([0.1, 0.2, 0.1, 0.1]))
      0.2
    """
    return float((1 + np.sum(permuted >= score)) / (1 + len(permuted)))
