"""Several runs of each puzzle: what one solves, what any solves, and which one to believe.

Arrays have a row per puzzle and a column per run. Runs of one puzzle are not independent of each
other: intervals count each puzzle once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, largest_first
from rrjax.analysis.intervals import Interval, fraction_interval, mean_interval


@dataclass(frozen=True)
class Selection:
    """What K runs of each puzzle are worth, by the answers at their ends.

    Attributes:
      num_puzzles: N.
      num_runs: K.
      pass_at: The `mean_interval` of `pass_at_k` for k = 1, 2, 4, …, K in digits; for k = 1 it is
        the fraction of all runs that are right. That of K, where each puzzle counts as solved or
        not, has the interval of a fraction.
      rules: Fraction of puzzles whose chosen run is right, for each rule of `chosen`, with
        Wilson's interval.
      agreement: The `mean_interval` of `agreement`; NaN for K = 1.
    """

    num_puzzles: int
    num_runs: int
    pass_at: dict[str, Interval]
    rules: dict[str, Interval]
    agreement: Interval


def select(runs: Mapping[str, np.ndarray]) -> Selection:
    """Returns what several runs of each puzzle are worth together.

    Args:
      runs: `solved` (N, K) booleans, `answers` (N, K, seq), `q_halt`, `residual` and, if measured,
        `lambda1` (N, K), all at the ends of the runs.
    """
    solved = check_runs(runs["solved"])
    number, K = solved.shape
    passed = {str(k): mean_interval(pass_at_k(solved, k)) for k in powers_of_two(K)[:-1]}
    passed[str(K)] = fraction_of_puzzles(solved.any(axis=1))
    return Selection(
        num_puzzles=number,
        num_runs=K,
        pass_at=passed,
        rules={name: fraction_of_puzzles(right) for name, right in chosen(runs).items()},
        agreement=mean_interval(agreement(runs["answers"])),
    )


def runs_at_end(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays that `select` reads from those of a result, whose runs have segments."""
    runs = {name: arrays[name] for name in ("answers", "q_halt", "residual")}
    runs["solved"] = arrays["solved"][:, :, -1]
    if "exponents" in arrays:
        runs["lambda1"] = largest_first(arrays["exponents"])[:, :, 0]
    return runs


def chosen(runs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns by rule (N,) whether the run that it chooses is right; the arrays are `select`'s."""
    picks = {
        "majority": majority(runs["answers"]),
        "best_q": highest(runs["q_halt"]),
        "smallest_residual": highest(-np.asarray(runs["residual"])),
    }
    if "lambda1" in runs:
        picks["smallest_lambda1"] = highest(-np.asarray(runs["lambda1"]))
    solved = check_runs(runs["solved"])
    return {name: solved[np.arange(len(solved)), pick] for name, pick in picks.items()}


def pass_at_k(solved: ArrayLike, k: int) -> np.ndarray:
    """Returns (N,) the probability that one of k of the K runs solves a puzzle.

      pass@k = 1 − C(K − c, k) / C(K, k) = 1 − Π_{i=K−c+1..K} (1 − k/i),  c = solved runs

    `solved` are booleans (N, K). The estimate is unbiased for k fresh runs; the product has no
    large numbers. It is the fraction of solved runs for k = 1, and whether any is for k = K.

    Source: Chen et al. 2021, arXiv 2107.03374.
    """
    solved = check_runs(solved)
    K = solved.shape[1]
    if not 1 <= k <= K:
        raise ValueError(f"k must lie in 1..{K}, the runs of a puzzle; got {k}")
    i = np.arange(1, K + 1)
    missing = np.maximum(0.0, 1 - k / i)  # C(K − c, k) is 0 for c > K − k
    # products from the right: that of the last c factors stands at c
    products = np.append(1.0, np.cumprod(missing[::-1]))
    return 1 - products[solved.sum(axis=1)]


def majority(answers: ArrayLike) -> np.ndarray:
    """Returns (N,) the first run, from 0, whose answer most runs of its puzzle give.

    The answers are (N, K, seq) tokens. Of equally many votes those for the earliest run win.
    """
    return _equal_pairs(answers).sum(axis=2).argmax(axis=1)


def agreement(answers: ArrayLike) -> np.ndarray:
    """Returns (N,) the share of a puzzle's pairs of runs that give the same answer.

    The answers are (N, K, seq) tokens. One run alone has no pair, and NaN.
    """
    same = _equal_pairs(answers)
    K = same.shape[1]
    if K == 1:
        return np.full(len(same), np.nan)
    return (same.sum(axis=(1, 2)) - K) / (K * (K - 1))


def highest(scores: ArrayLike) -> np.ndarray:
    """Returns (N,) the run, from 0, with the highest score (N, K), the earliest of equals.

    Infinities are ordered like other numbers. NaN is chosen only where there is nothing else:
    then it is run 0.
    """
    scores = np.asarray(scores, dtype=np.float64)
    best = np.where(np.isnan(scores), -np.inf, scores).max(axis=1, keepdims=True)
    return (scores == best).argmax(axis=1)


def fraction_of_puzzles(flags: ArrayLike) -> Interval:
    """Returns the fraction of puzzles (N,) that are flagged, with its interval."""
    flags = np.asarray(flags, dtype=bool)
    return fraction_interval(int(flags.sum()), len(flags))


def powers_of_two(last: int) -> list[int]:
    """Returns 1, 2, 4, … and `last`."""
    return [*(2**i for i in range((last - 1).bit_length())), last]


def check_runs(solved: ArrayLike) -> np.ndarray:
    """Returns booleans (N, K) of at least one run."""
    return as_array("solved", solved, ("N", "K"), bool)


def _equal_pairs(answers: ArrayLike) -> np.ndarray:
    """Returns (N, K, K) which runs of a puzzle give the same answer."""
    answers = as_array("answers", answers, ("N", "K", "cells"), int)
    same = np.zeros((len(answers), answers.shape[1], answers.shape[1]), bool)
    for puzzle, of_puzzle in enumerate(answers):
        names = np.unique(of_puzzle, axis=0, return_inverse=True)[1].ravel()
        same[puzzle] = names[:, None] == names
    return same
