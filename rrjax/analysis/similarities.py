"""Similarities of segments in numbers, by outcome, and what they foretell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.foretelling import Foretelling, foretell, some_segments
from rrjax.analysis.intervals import Interval


@dataclass(frozen=True)
class Similarity:
    """Mean similarities of the states of one field of one model.

    Attributes:
      model: `trained` or `untrained`.
      field: The field of the state.
      group: `all`, `solved` or `failed`.
      measure: `cka`, `correlation` or `euclidean`.
      mean: Of all pairs of segments.
      successive: Of successive segments.
      first_last: Of the first with the last segment.
    """

    model: str
    field: str
    group: str
    measure: str
    mean: Interval
    successive: Interval
    first_last: float


@dataclass(frozen=True)
class SimilaritySummary:
    """Numbers of `rrjax.experiments.similarity`.

    Attributes:
      num_puzzles: Number of puzzles.
      num_solved: Number of puzzles that are solved at the end.
      num_segments: Number of segments.
      similarities: By model, field, group and measure.
      taus: By model and field the mean of Kendall's τ_a of successive segments.
      foretelling: How well each puzzle's own steadiness tells its outcome, and the answer's.
    """

    num_puzzles: int
    num_solved: int
    num_segments: int
    similarities: list[Similarity]
    taus: dict[str, float]
    foretelling: list[Foretelling]


def summarize_similarity(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> SimilaritySummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.similarity`."""
    names = [name.removeprefix("means_") for name in arrays if name.startswith("means_")]
    right = arrays["solved_by_segment"]
    segments = right.shape[1]
    scores = {
        f"steadiness of {name.removeprefix('trained_')}": arrays[f"steadiness_{name}"]
        for name in names
        if name.startswith("trained")
    } | {"blank cells whose answer stays": arrays["unchanged"]}
    return SimilaritySummary(
        num_puzzles=len(right),
        num_solved=int(arrays["solved"].sum()),
        num_segments=segments,
        similarities=[each for name in names for each in _similarities(arrays, record, name)],
        taus={name: float(arrays[f"tau_{name}"].mean()) for name in names},
        foretelling=[
            foretell(what, values[:, segment - 2], right, segment)
            for segment in some_segments(segments - 1, 2)
            if segment >= 2
            for what, values in scores.items()
        ],
    )


def _similarities(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], name: str
) -> list[Similarity]:
    model, _, field = name.partition("_")
    return [
        Similarity(
            model=model,
            field=field,
            group=group,
            measure=measure,
            mean=Interval.of(arrays[f"means_{name}"][m, g]),
            successive=Interval.of(arrays[f"neighbours_{name}"][m, g]),
            first_last=float(arrays[f"{measure}_{name}"][g, 0, -1]),
        )
        for m, measure in enumerate(record["measures"])
        for g, group in enumerate(record["groups"])
    ]
