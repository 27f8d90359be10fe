"""Erasing in numbers: what a running model loses with the directions of a probe, or with others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, fraction_interval, student_interval

KINDS = ("leace", "random", "moved")
"""What is done: LEACE; the same with as many random directions; the state moved as far in a random
direction."""

MEASURES = ("at_once", "next", "solved")
"""Share of cells right at once and after one more segment, and whether the last answer is right."""


@dataclass(frozen=True)
class Erasure:
    """What one erasure does, over held-out puzzles.

    Attributes:
      when: Segments after which it is done, in words.
      part: Field of the state, or `all`.
      rank: Directions that are erased, in each field.
      distance: By kind the mean distance that a cell's state is moved by, as a share of its norm.
      at_once: By kind the mean share of cells that are right, read from the changed state.
      next: By kind the same after one more segment.
      solved: By kind the share of puzzles solved at the end.
      less: By control and by `MEASURES` LEACE less the control, paired by puzzle.
      delay: By kind the mean number of segments by which puzzles that stay solved are solved later.
    """

    when: str
    part: str
    rank: int
    distance: dict[str, float]
    at_once: dict[str, Interval]
    next: dict[str, Interval]
    solved: dict[str, Interval]
    less: dict[str, dict[str, Interval]]
    delay: dict[str, Interval]


@dataclass(frozen=True)
class ErasingSummary:
    """Erasing in numbers.

    Attributes:
      target: What is erased.
      num_train: Puzzles that the erasers were fitted on.
      num_puzzles: Held-out puzzles.
      solved: Share of them that is solved where nothing is erased.
      before: By `when` the share of cells right in the undisturbed answer at the same time.
      after: The same one segment later.
      probed: By `when` and field the accuracy of a probe on held-out cells: of untouched states,
        after LEACE and after random directions.
      chance: The accuracy of a guess.
      erasures: One for each time and part.
    """

    target: str
    num_train: int
    num_puzzles: int
    solved: Interval
    before: dict[str, float]
    after: dict[str, float]
    probed: dict[str, dict[str, list[float]]]
    chance: float
    erasures: list[Erasure]


def summarize_erasing(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> ErasingSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.erase`."""
    whens, parts = record["times"], record["parts"]
    own = arrays["own_right"]
    starts = record["first_segments"]
    solved = arrays["own_first_solved"] > 0
    return ErasingSummary(
        target=record["options"]["target"],
        num_train=record["num_train"],
        num_puzzles=len(own),
        solved=_share(arrays["own_solved"]),
        before={when: _mean(own[:, start - 1]) for when, start in zip(whens, starts, strict=True)},
        after={when: _mean(own[:, start]) for when, start in zip(whens, starts, strict=True)},
        probed={
            when: dict(zip(record["fields"], rows.tolist(), strict=True))
            for when, rows in zip(whens, arrays["probed"], strict=True)
        },
        chance=record["chance"],
        erasures=[
            _erasure(arrays, record, when, part, solved)
            for when in range(len(whens))
            for part in range(len(parts))
        ],
    )


def _erasure(
    arrays: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    when: int,
    part: int,
    own_solved: np.ndarray,
) -> Erasure:
    start = record["first_segments"][when]
    of = {
        kind: {name: arrays[name][:, when, part, place] for name in ("at_once", "solved")}
        | {
            "next": arrays["right"][:, when, part, place, start],
            "first": arrays["first_solved"][:, when, part, place],
            "distance": arrays["distance"][:, when, part, place],
        }
        for place, kind in enumerate(KINDS)
    }
    own_first = arrays["own_first_solved"]

    def delay(kind: str) -> Interval:
        first = of[kind]["first"]
        both = own_solved & (first > 0) & (own_first > start)
        return student_interval((first - own_first)[both])

    def against(kind: str) -> dict[str, Interval]:
        return {
            name: student_interval(of["leace"][name] - of[kind][name].astype(float))
            for name in MEASURES
        }

    return Erasure(
        when=record["times"][when],
        part=record["parts"][part],
        rank=int(record["rank"]),
        distance={kind: _mean(of[kind]["distance"]) for kind in KINDS},
        at_once={kind: student_interval(of[kind]["at_once"]) for kind in KINDS},
        next={kind: student_interval(of[kind]["next"]) for kind in KINDS},
        solved={kind: _share(of[kind]["solved"]) for kind in KINDS},
        less={kind: against(kind) for kind in KINDS[1:]},
        delay={kind: delay(kind) for kind in KINDS},
    )


def _share(solved: np.ndarray) -> Interval:
    return fraction_interval(int(solved.sum()), len(solved))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
