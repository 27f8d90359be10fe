"""How well a score tells two groups apart: the rank AUC and its bootstrap interval."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, check_no_nan
from rrjax.analysis.intervals import Interval, percentile_interval

# Resamples are counted in blocks of so many numbers: they stay in cache, and memory is bounded.
BLOCK = 2**19


def auc(scores: ArrayLike, positive: ArrayLike) -> Any:
    """Returns the probability that a positive scores higher than a negative (the rank AUC).

      AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)   over all pairs of a positive and a negative

    Args:
      scores: (N, ...) one row per puzzle; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.

    Returns:
      An array of shape (...), a number for scores (N,): 1 if every positive scores higher, ½ for
      equal groups. NaN where a group is empty: there is no pair to compare.

    Raises:
      ValueError: There is NaN among the scores, or the shapes or types are others.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982, Radiology 143, 29.
    """
    scores, positive = _checked(scores, positive)
    once = np.ones((1, len(positive)), dtype=np.int64)
    return auc_of_resamples(scores, positive, once)[0].reshape(scores.shape[1:])[()]


def bootstrap_auc(
    scores: ArrayLike, positive: ArrayLike, seed: int, num_resamples: int = 2000
) -> Interval:
    """Returns the rank AUC with its percentile bootstrap interval.

    Puzzles are drawn with replacement, whatever their group, so that the interval also holds the
    chance in the sizes of the groups. A resample that misses one group has no AUC and is left
    out, which is the same as drawing it again. All columns see the same resamples.

    Args:
      scores: (N, ...) one row per puzzle; −inf and inf are ordered like other numbers.
      positive: (N,) booleans.
      seed: Seed of the resampling.
      num_resamples: How many resamples of N puzzles.

    Returns:
      The AUC and its interval, each of shape (...). NaN where a group is empty. Groups that do
      not overlap give 1 (or 0) with zero width however small they are: read the interval together
      with the sizes of the groups.

    Raises:
      ValueError: The arrays are those that `auc` refuses.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    scores, positive = _checked(scores, positive)
    draws = resample_counts(len(positive), seed, num_resamples)
    resampled = np.concatenate([auc_of_resamples(scores, positive, counts) for counts in draws])
    defined = resampled[~np.isnan(resampled).any(axis=1)]
    low, high = percentile_interval(defined.reshape(-1, *scores.shape[1:]))
    return Interval(auc(scores, positive), low, high)


def _checked(scores: ArrayLike, positive: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    positive = as_array("positive", positive, ("N",), bool)
    scores = as_array("scores", scores, (len(positive), ...))
    check_no_nan("scores", scores)
    return scores, positive


def middle_ranks(values: np.ndarray) -> np.ndarray:
    """Returns the ranks (n,) from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def resample_counts(n: int, seed: int, num_resamples: int) -> Iterator[np.ndarray]:
    """Yields blocks (B, n) of how often each of n puzzles occurs in each resample."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, n))
    for start in range(0, num_resamples, size):
        block = min(size, num_resamples - start)
        drawn = rng.integers(max(1, n), size=(block, n)) + n * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * n).reshape(block, n)


def auc_of_resamples(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the AUC (B, columns) of each resample; NaN where one misses a group."""
    num_positive = counts[:, positive].sum(axis=1, keepdims=True)
    num_negative = counts[:, ~positive].sum(axis=1, keepdims=True)
    columns = scores.reshape(len(scores), math.prod(scores.shape[1:])).T
    wins = [_pairs_won(column, positive, counts) for column in columns]
    wins = np.stack(wins, axis=1) if wins else np.zeros((len(counts), 0))
    pairs = np.broadcast_to(num_positive * num_negative, wins.shape)
    return np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)


def _pairs_won(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns (B,) the pairs that the positive wins in each resample, ties counting half."""
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives])]
    # passed[:, j]: the negatives among the j lowest.
    passed = np.zeros((len(counts), len(negatives) + 1), dtype=np.int64)
    np.cumsum(counts[:, negatives], axis=1, out=passed[:, 1:])
    below = np.searchsorted(scores[negatives], scores[positive], side="left")
    not_above = np.searchsorted(scores[negatives], scores[positive], side="right")
    worth = passed[:, below] + passed[:, not_above]
    return np.einsum("bn,bn->b", counts[:, positive], worth) / 2
