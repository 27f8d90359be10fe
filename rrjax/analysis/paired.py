"""Two results of the same puzzles compared, puzzle by puzzle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy

from rrjax.analysis.arrays import as_array, largest_first
from rrjax.analysis.intervals import Interval, fraction_interval, median_interval


@runtime_checkable
class Result(Protocol):
    """What is compared: arrays by name, and the record that says of which puzzles they are."""

    @property
    def record(self) -> Mapping[str, Any]: ...

    def __getitem__(self, name: str, /) -> np.ndarray: ...

    def __contains__(self, name: object, /) -> bool: ...


@dataclass(frozen=True)
class Comparison:
    """What changes from one result to another of the same puzzles.

    Attributes:
      num_puzzles: Number of puzzles that both results have.
      before: Fraction of the puzzles that the first result solves, with its interval.
      after: The same of the second.
      difference: after − before with the interval of `paired_difference`.
      p_value: Of McNemar's exact test: the probability of counts as uneven as these if gains and
        losses were equally likely; 1 where no puzzle changes.
      gained: Puzzles (their places in the first result, from 0) that only the second result solves.
      lost: Puzzles that only the first one solves.
      num_ranked: Number of puzzles with a finite λ₁ in both; None where one has no exponents.
      lambda1_change: Median over these of λ₁ after − before, in nats per update, with its
        interval; NaN without any such puzzle, None without exponents.
    """

    num_puzzles: int
    before: Interval
    after: Interval
    difference: Interval
    p_value: float
    gained: list[int]
    lost: list[int]
    num_ranked: int | None
    lambda1_change: Interval | None


def compare(before: Result, after: Result) -> Comparison:
    """Returns what changes between two results of the same puzzles, with 95 % intervals.

    Args:
      before: Results of a spectrum or a rollout. A rollout counts by its last segment.
      after: Others. Results of one list of puzzles are paired in its order; those of different
        lists by the inputs that both hold, each once.

    Raises:
      ValueError: The results share no puzzle, or do not say which puzzles they are of or solve.

    References:
      McNemar 1947, Psychometrika 12, 153.

    Example:
      >>> run = rrjax.load_results("runs/made-up")  # a finished spectrum
      >>> rrjax.analysis.compare(run, run).difference.value
      0.0
    """
    first, second = _solved_at_end("before", before), _solved_at_end("after", after)
    here, there = _shared_puzzles(before, after, len(first), len(second))
    first, second = first[here], second[there]
    gained, lost = second & ~first, first & ~second
    changes = int(gained.sum() + lost.sum())
    num_ranked, lambda1_change = None, None
    if "exponents" in before and "exponents" in after:
        difference = _lambda1(after)[there] - _lambda1(before)[here]
        ranked = difference[np.isfinite(difference)]
        num_ranked, lambda1_change = len(ranked), median_interval(ranked).map(float)
    return Comparison(
        num_puzzles=len(first),
        before=fraction_interval(int(first.sum()), len(first)),
        after=fraction_interval(int(second.sum()), len(second)),
        difference=paired_difference(first, second),
        p_value=float(scipy.stats.binomtest(int(gained.sum()), changes).pvalue) if changes else 1.0,
        gained=here[gained].tolist(),
        lost=here[lost].tolist(),
        num_ranked=num_ranked,
        lambda1_change=lambda1_change,
    )


def paired_difference(before: np.ndarray, after: np.ndarray) -> Interval:
    r"""Returns the difference of two paired fractions with the interval of Newcombe's method 10.

      p₂ − p₁ − √(δ₂² − 2φ δ₂ ε₁ + ε₁²) … p₂ − p₁ + √(ε₂² − 2φ ε₂ δ₁ + δ₁²)

    δ and ε are the distances from a fraction to the ends of its Clopper–Pearson interval, and
    φ is the correlation of the two outcomes, with Newcombe's correction for continuity where it is
    positive. The interval keeps a width where no puzzle changes.

    Args:
      before: (N,) booleans.
      after: (N,) booleans of the same puzzles.

    Returns:
      Three numbers in −1..1; NaN without a puzzle.

    References:
      Newcombe 1998, Stat. Med. 17, 2635, with Wilson's intervals of both fractions, which make it
      too narrow for few puzzles.
    """
    n = len(before)
    p1, low1, high1 = fraction_interval(int(before.sum()), n).ends
    p2, low2, high2 = fraction_interval(int(after.sum()), n).ends
    phi = _correlation(before, after)
    difference = p2 - p1
    below = (p2 - low2) ** 2 - 2 * phi * (p2 - low2) * (high1 - p1) + (high1 - p1) ** 2
    above = (high2 - p2) ** 2 - 2 * phi * (high2 - p2) * (p1 - low1) + (p1 - low1) ** 2
    return Interval(difference, difference - below**0.5, difference + above**0.5)


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    both, neither = int(np.sum(before & after)), int(np.sum(~before & ~after))
    gained, lost = int(np.sum(~before & after)), int(np.sum(before & ~after))
    scale = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    excess = both * neither - gained * lost
    if excess > 0:
        excess = max(excess - len(before) / 2, 0)
    return excess / scale**0.5 if scale else 0.0


def _shared_puzzles(
    before: Result, after: Result, num_before: int, num_after: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the puzzles that both have, or says why there are none to compare."""
    digests = [result.record.get("puzzles", {}).get("sha256") for result in (before, after)]
    names = [str(result.record.get("model", {}).get("name")) for result in (before, after)]
    for side, digest in zip(("before", "after"), digests, strict=True):
        if digest is None:
            raise ValueError(f"{side} must say of which puzzles it is; its record has no digest")
    if digests[0] == digests[1]:
        if num_before != num_after:
            raise ValueError(
                f"before and after must have the same number of puzzles; got {num_before} and "
                f"{num_after}"
            )
        return np.arange(num_before), np.arange(num_after)
    differ = (
        f"before and after must be of the same puzzles; those of {names[0]} have the digest "
        f"{digests[0]}, those of {names[1]} {digests[1]}"
    )
    if "inputs" not in before or "inputs" not in after:
        raise ValueError(f"{differ}, and not both hold the inputs to pair them by")
    rows = [[tuple(row) for row in result["inputs"].tolist()] for result in (before, after)]
    places = [{row: place for place, row in reversed(list(enumerate(side)))} for side in rows]
    shared = [row for row in places[0] if row in places[1]]
    if not shared:
        raise ValueError(f"{differ}, and no input is in both")
    here = np.sort([places[0][row] for row in shared])
    return here, np.array([places[1][rows[0][place]] for place in here.tolist()])


def _solved_at_end(side: str, result: Result) -> np.ndarray:
    if "solved" not in result or np.ndim(result["solved"]) > 2:
        raise ValueError(f"{side} must be a spectrum or a rollout, with one run of each puzzle")
    solved = result["solved"]
    at_end = solved if solved.ndim == 1 else solved[:, -1]
    return as_array(f"solved of {side}", at_end, ("N",), bool)


def _lambda1(result: Result) -> np.ndarray:
    lambda1 = largest_first(np.asarray(result["exponents"], np.float64))[:, 0]
    return np.where(np.isfinite(lambda1), lambda1, np.nan)
