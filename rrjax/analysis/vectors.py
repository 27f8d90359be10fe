"""Meaning and dynamics in numbers: where leading vectors lie, and what their fall goes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import UNDEFINED, Interval, known_mean, median_interval

KINDS = ("read", "code")
"""What a vector is held against: the directions that a probe reads, and those in which states
differ between classes. Both of probes of labels permuted within puzzles come after them."""

GROUPS = ("solved", "failed")
CELLS = ("given", "right", "wrong")
BEFORE, AFTER = 2, 3
"""Segments around a fall that are shown."""


@dataclass(frozen=True)
class Overlap:
    """The overlap of one vector with one meaning in one field, in units of a random direction's.

    Attributes:
      vector: Its name.
      target: The meaning.
      field: The field of the state.
      kind: One of `KINDS`.
      medians: By group the median over puzzles after each segment; undefined where it was not
        measured.
      over_shuffled: By group the median of each puzzle's overlap over that with probes of labels
        permuted within puzzles.
    """

    vector: str
    target: str
    field: str
    kind: str
    medians: dict[str, list[Interval]]
    over_shuffled: dict[str, list[Interval]]


@dataclass(frozen=True)
class Location:
    """Where one vector lies after each segment, as medians over the puzzles of a group.

    Attributes:
      vector: Its name.
      group: solved or failed.
      in_field: By field the share of its squared norm.
      on_cells: By `CELLS` its share per cell, in units of an even spread over all cells.
      along_answer: Squared cosine with the gradient of the answer's margin after the next segment,
        times the dimension of the state: 1 is expected of a random vector.
    """

    vector: str
    group: str
    in_field: dict[str, list[Interval]]
    on_cells: dict[str, list[Interval]]
    along_answer: list[Interval]


@dataclass(frozen=True)
class Fall:
    """What becomes readable in the segment in which the growth of the leading vector falls most.

    Attributes:
      target: The meaning.
      field: The field of the state.
      own: Mean rise, in this segment, of the share of cells that are read right.
      others: Mean rise of other puzzles of the same outcome in the same segment.
      excess: own − others, paired by puzzle, with Student's interval.
      aligned: Mean excess over the other puzzles from `BEFORE` segments before to `AFTER` after.
    """

    target: str
    field: str
    own: Interval
    others: Interval
    excess: Interval
    aligned: list[Interval]


@dataclass(frozen=True)
class MeaningSummary:
    """Meaning and dynamics in numbers.

    Attributes:
      num_puzzles: Held-out puzzles that were measured.
      num_solved: Of these, solved at the end.
      num_segments: Segments.
      fields: Fields of the state.
      growth: By group the median growth of the first covariant vector in each segment, in nats per
        update.
      overlaps: One for each vector, target, field and kind.
      locations: One for each vector and group.
      fall_segment: The median segment of the fall, from 1.
      falls: One for each class target and field.
    """

    num_puzzles: int
    num_solved: int
    num_segments: int
    fields: list[str]
    growth: dict[str, list[Interval]]
    overlaps: list[Overlap]
    locations: list[Location]
    fall_segment: float
    falls: list[Fall]


def summarize_meaning(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> MeaningSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.vectors`."""
    solved = arrays["solved"]
    groups = {"solved": solved, "failed": ~solved}
    growth = arrays["growth"][:, :, 0]
    places = [
        (vector, target, field, kind)
        for vector in range(len(record["vectors"]))
        for target in range(len(record["targets"]))
        for field in range(len(record["fields"]))
        for kind in range(len(KINDS))
    ]
    return MeaningSummary(
        num_puzzles=len(solved),
        num_solved=int(solved.sum()),
        num_segments=growth.shape[1],
        fields=record["fields"],
        growth={name: _medians(growth[group]) for name, group in groups.items()},
        overlaps=[_overlap(arrays["overlap"], record, place, groups) for place in places],
        locations=[
            _location(arrays, record, vector, name, group)
            for vector in range(len(record["vectors"]))
            for name, group in groups.items()
        ],
        fall_segment=float(np.median(fall_segments(growth))) + 1 if len(growth) else np.nan,
        falls=[
            _fall(arrays, record, target, field)
            for target in range(len(record["class_targets"]))
            for field in range(len(record["fields"]))
        ],
    )


def _overlap(
    shares: np.ndarray,
    record: Mapping[str, Any],
    place: tuple[int, int, int, int],
    groups: Mapping[str, np.ndarray],
) -> Overlap:
    vector, target, field, kind = place
    own = shares[:, :, vector, target, field, kind]
    shuffled = shares[:, :, vector, target, field, kind + len(KINDS)]
    ratio = np.divide(own, shuffled, out=np.full(own.shape, np.nan), where=shuffled > 0)
    return Overlap(
        record["vectors"][vector],
        record["targets"][target],
        record["fields"][field],
        KINDS[kind],
        {name: _medians(own[group]) for name, group in groups.items()},
        {name: _medians(ratio[group]) for name, group in groups.items()},
    )


def fall_segments(growth: np.ndarray) -> np.ndarray:
    """Returns (N,) the segment, from 0, in which the growth (N, segments) falls most.

    Example:
      >>> from rrjax.analysis.vectors import fall_segments
      >>> fall_segments(np.array([[0.1, 0.1, -0.3, -0.3]]))
      array([2])
    """
    return np.diff(growth, axis=1).argmin(axis=1) + 1


def rise_at(values: np.ndarray, events: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns how values rise at each puzzle's own event, and those of others at the same time.

    Args:
      values: (N, segments)
      events: (N,) segments, from 1 on, counted from 0.
      groups: (N,) the group of each puzzle; others are those of the same one.

    Returns:
      Two arrays (N,): values[i, e_i] − values[i, e_i − 1], and the mean over the other puzzles j of
      the group of values[j, e_i] − values[j, e_i − 1]; NaN where there is no other.

    Example:
      >>> values = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
      >>> from rrjax.analysis.vectors import rise_at
      >>> rise_at(values, np.array([1, 2]), np.array([0, 0]))
      (array([1., 1.]), array([0., 0.]))
    """
    rises = np.diff(values, axis=1)[:, events - 1]  # puzzles by events
    same = (groups[:, None] == groups[None]) & ~np.eye(len(groups), dtype=bool)
    known = same & np.isfinite(rises)
    number = known.sum(axis=0)
    total = np.where(known, rises, 0).sum(axis=0)
    others = np.divide(total, number, out=np.full(len(groups), np.nan), where=number > 0)
    return np.diagonal(rises).copy(), others


def _fall(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], target: int, field: int
) -> Fall:
    growth, solved = arrays["growth"][:, :, 0], arrays["solved"]
    values = arrays["readable"][:, :, field, target]
    events = fall_segments(growth)
    own, others = rise_at(values, events, solved.astype(int))
    return Fall(
        record["class_targets"][target],
        record["fields"][field],
        known_mean(own),
        known_mean(others),
        known_mean(own - others),
        [
            known_mean(_excess(values, events + shift, solved))
            for shift in range(-BEFORE, AFTER + 1)
        ],
    )


def _excess(values: np.ndarray, segments: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """Returns (N,) values less the mean of others of the same outcome in the same segment."""
    inside = (segments >= 0) & (segments < values.shape[1])
    at = values[:, np.clip(segments, 0, values.shape[1] - 1)]  # puzzles by events
    same = (solved[:, None] == solved[None]) & ~np.eye(len(solved), dtype=bool)
    number = same.sum(axis=0)
    others = np.where(same, at, 0).sum(axis=0) / np.maximum(number, 1)
    return np.where(inside & (number > 0), np.diagonal(at) - others, np.nan)


def _location(
    arrays: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    vector: int,
    name: str,
    group: np.ndarray,
) -> Location:
    in_field, on_cells = arrays["in_field"][group], arrays["on_cells"][group]
    return Location(
        record["vectors"][vector],
        name,
        {f: _medians(in_field[:, :, vector, i]) for i, f in enumerate(record["fields"])},
        {c: _medians(on_cells[:, :, vector, i]) for i, c in enumerate(CELLS)},
        _medians(arrays["along_answer"][group][:, :, vector]),
    )


def _medians(values: np.ndarray) -> list[Interval]:
    """Returns for each column of (N, segments) the median of what is known."""
    return [_median(column[np.isfinite(column)]) for column in values.T]


def _median(values: np.ndarray) -> Interval:
    return median_interval(values).map(float) if len(values) else UNDEFINED
