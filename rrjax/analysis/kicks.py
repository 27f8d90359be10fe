"""Kicks in numbers: what they change by direction and length, against a random direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, fraction_interval, median_interval, student_interval
from rrjax.analysis.paired import paired_difference


@dataclass(frozen=True)
class Kick:
    """What kicks of one length along one direction change in a group of puzzles.

    Differences are paired by puzzle, and against the random direction of equal length.

    Attributes:
      direction: The direction; `nothing` stands for no kick.
      size: The length / norm of the state.
      solved: Fraction solved at the end.
      against_random: Difference of the fraction solved, with `paired_difference`.
      cells_against_random: Mean difference of the share of right cells.
      margin_against_random: Mean difference of the margin of the logits.
      time: Median of segments until the answer is first right, where it ever is.
      lambda1: Median λ₁ from the kick on; None where it was not measured.
      lambda1_against_random: Median difference of λ₁; None where it was not measured.
    """

    direction: str
    size: float
    solved: Interval
    against_random: Interval
    cells_against_random: Interval
    margin_against_random: Interval
    time: Interval
    lambda1: Interval | None
    lambda1_against_random: Interval | None


@dataclass(frozen=True)
class KickSummary:
    """Kicks in numbers.

    Attributes:
      num_puzzles: Number of puzzles.
      num_failed: Puzzles that fail alone.
      segment: Segments before the kick.
      num_segments: Segments after it.
      failed: Kicks of failures, by direction and length.
      solved: Kicks of solved runs.
    """

    num_puzzles: int
    num_failed: int
    segment: int
    num_segments: int
    failed: list[Kick]
    solved: list[Kick]


def summarize_kicks(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> KickSummary:
    """Returns all numbers of kicks.

    Args:
      arrays: What `rrjax.experiments.kicking` returns.
      record: Its record, with the names of the directions.
    """
    alone, options = arrays["solved_alone"], record["options"]
    return KickSummary(
        num_puzzles=len(alone),
        num_failed=int(np.sum(~alone)),
        segment=options["segment"],
        num_segments=options["num_segments"],
        failed=_kicks(arrays, record["directions"], ~alone),
        solved=_kicks(arrays, record["directions"], alone),
    )


def _kicks(
    arrays: Mapping[str, np.ndarray], directions: list[str], group: np.ndarray
) -> list[Kick]:
    random = directions.index("random")
    return [
        _kick(arrays, (group, place, at), (group, random, at), direction, size)
        for place, direction in enumerate(directions)
        for at, size in enumerate(arrays["size"].tolist())
        if group.any() and (direction != "nothing" or at == 0)
    ]


def _kick(
    arrays: Mapping[str, np.ndarray], own: tuple, random: tuple, direction: str, size: float
) -> Kick:
    solved, first = arrays["solved"][own], arrays["first_solved"][own]

    def differences(name: str) -> np.ndarray:
        return (arrays[name][own] - arrays[name][random]).astype(float)

    measured = "lambda1" in arrays
    return Kick(
        direction=direction,
        size=0.0 if direction == "nothing" else size,
        solved=fraction_interval(int(solved.sum()), len(solved)),
        against_random=paired_difference(arrays["solved"][random], solved),
        cells_against_random=student_interval(differences("cells_right")),
        margin_against_random=student_interval(differences("margin")),
        time=median_interval(first[first > 0]).map(float),
        lambda1=_median(arrays["lambda1"][own]) if measured else None,
        lambda1_against_random=_median(differences("lambda1")) if measured else None,
    )


def _median(values: np.ndarray) -> Interval:
    return median_interval(values[np.isfinite(values)]).map(float)
