"""Recorded states in numbers: outcomes, and how much variance few directions hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, fraction_interval

NUM_COMPONENTS = 8
"""Principal directions whose variance is told."""


@dataclass(frozen=True)
class StatesSummary:
    """Numbers of recorded states.

    Attributes:
      num_puzzles: Number of puzzles.
      num_segments: Number of segments.
      fields: Names of the recorded fields.
      answer: The field that answers are read from.
      solved: Share of the puzzles that are solved at the end.
      control_solved: The same of the control; None without one.
      variance_share: The share of the variance of the answer's state, over puzzles and segments
        together, that each of the leading principal directions explains.
    """

    num_puzzles: int
    num_segments: int
    fields: list[str]
    answer: str
    solved: Interval
    control_solved: Interval | None
    variance_share: list[float]


def summarize_states(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> StatesSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.states`."""
    solved = arrays["solved_by_segment"]
    control = arrays.get("untrained_solved_by_segment")
    number = len(solved)
    return StatesSummary(
        num_puzzles=number,
        num_segments=solved.shape[1],
        fields=list(record["fields"]),
        answer=record["answer"],
        solved=fraction_interval(int(solved[:, -1].sum()), number),
        control_solved=None
        if control is None
        else fraction_interval(int(control[:, -1].sum()), number),
        variance_share=arrays["projection_variance"][:NUM_COMPONENTS].tolist(),
    )
