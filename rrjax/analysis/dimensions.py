"""Dimensions of recorded states in numbers, by outcome, and what they foretell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.foretelling import Foretelling, foretell, some_segments
from rrjax.analysis.intervals import Interval


@dataclass(frozen=True)
class Dimension:
    """The dimension of the states of one field after one segment.

    Attributes:
      model: `trained` or `untrained`.
      field: The field of the state.
      segment: From 1.
      measure: `participation`, `two_nn` or `mle`.
      by_group: Of all puzzles, and of as many solved as failed ones.
    """

    model: str
    field: str
    segment: int
    measure: str
    by_group: dict[str, Interval]


@dataclass(frozen=True)
class DimensionSummary:
    """Numbers of `rrjax.experiments.dimension`.

    Attributes:
      num_puzzles: Number of puzzles.
      num_each: Number of solved and of failed puzzles that are compared.
      dimensions: After some segments.
      by_scale: By model, field and number of puzzles, TwoNN after the last segment.
      foretelling: How well 1/dimension around a puzzle tells its outcome.
    """

    num_puzzles: int
    num_each: int
    dimensions: list[Dimension]
    by_scale: dict[str, dict[str, Interval]]
    foretelling: list[Foretelling]


def summarize_dimension(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> DimensionSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.dimension`."""
    names = [name.removeprefix("dimension_") for name in arrays if name.startswith("dimension_")]
    right = arrays["solved_by_segment"]
    segments = some_segments(right.shape[1])
    return DimensionSummary(
        num_puzzles=len(right),
        num_each=record["group_sizes"][1],
        dimensions=[
            Dimension(
                name.partition("_")[0],
                name.partition("_")[2],
                segment,
                measure,
                {
                    group: Interval.of(arrays[f"dimension_{name}"][m, g, segment - 1])
                    for g, group in enumerate(record["groups"])
                },
            )
            for name in names
            for m, measure in enumerate(record["measures"])
            for segment in segments
        ],
        by_scale={
            name: {
                str(size): Interval.of(arrays[f"by_scale_{name}"][index, -1])
                for index, size in enumerate(record["scales"])
            }
            for name in names
        },
        foretelling=[
            foretell(
                f"1/dimension around {field}",
                arrays[f"inverse_trained_{field}"][:, s - 1],
                right,
                s,
            )
            for s in segments[:-1]
            for field in record["fields"]
        ],
    )
