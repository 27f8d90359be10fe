"""Scores of channels in numbers, beside those of a random basis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval


@dataclass(frozen=True)
class Quantity:
    """A quantity over the channels of one field after the last segment.

    Attributes:
      model: `trained` or `untrained`.
      field: The field of the state.
      what: The quantity.
      channels: Its value in the basis of channels.
      random_basis: Its value in a random basis.
    """

    model: str
    field: str
    what: str
    channels: Interval
    random_basis: Interval


@dataclass(frozen=True)
class NeuronSummary:
    """Numbers of `rrjax.experiments.neurons`.

    Attributes:
      num_puzzles: Number of puzzles.
      num_channels: Number of channels of a field.
      quantities: By model, field and quantity.
    """

    num_puzzles: int
    num_channels: int
    quantities: list[Quantity]


def summarize_neurons(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> NeuronSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.neurons`."""
    names = [name.removeprefix("summary_") for name in arrays if name.startswith("summary_")]
    return NeuronSummary(
        num_puzzles=len(arrays["solved"]),
        num_channels=arrays[f"mean_{names[0]}"].shape[1],
        quantities=[
            Quantity(
                name.partition("_")[0],
                name.partition("_")[2],
                what,
                Interval.of(arrays[f"summary_{name}"][row, 0]),
                Interval.of(arrays[f"summary_{name}"][row, 1]),
            )
            for row, what in enumerate(record["quantities"])
            for name in names
        ],
    )
