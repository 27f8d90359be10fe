"""Information of cells in numbers, by outcome and segment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval


@dataclass(frozen=True)
class CellInformation:
    """What the blank cells of one field tell of a target after one segment.

    Attributes:
      target: `answer` or `input`.
      model: `trained` or `untrained`.
      field: The field of the state.
      segment: From 1.
      by_group: Lower bounds in nats, of all, solved and failed puzzles.
    """

    target: str
    model: str
    field: str
    segment: int
    by_group: dict[str, Interval]


@dataclass(frozen=True)
class InformationSummary:
    """Numbers of `rrjax.experiments.information`.

    Attributes:
      num_puzzles: Number of puzzles.
      num_solved: Number of puzzles that are solved at the end.
      ceilings: By target the entropy, which no bound exceeds.
      cells: The bounds.
    """

    num_puzzles: int
    num_solved: int
    ceilings: dict[str, Interval]
    cells: list[CellInformation]


def summarize_information(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> InformationSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.information`."""
    targets = [name.removeprefix("ceiling_") for name in arrays if name.startswith("ceiling_")]
    models = ["trained", *(["untrained"] if record["options"]["untrained"] else [])]
    return InformationSummary(
        num_puzzles=len(arrays["solved"]),
        num_solved=int(arrays["solved"].sum()),
        ceilings={t: Interval.of(arrays[f"ceiling_{t}"][0]) for t in targets},
        cells=[
            CellInformation(
                target,
                model,
                field,
                int(segment),
                {
                    group: Interval.of(arrays[f"{target}_{model}_{field}"][g, read])
                    for g, group in enumerate(record["groups"])
                },
            )
            for target in targets
            for model in models
            for field in record["fields"]
            for read, segment in enumerate(arrays["after"])
        ],
    )
