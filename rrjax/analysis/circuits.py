"""Ablations at naked singles in numbers: effects over puzzles, beside random cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, mean_interval, student_interval


@dataclass(frozen=True)
class AblationEffect:
    """What one ablation does to naked singles. Means over puzzles, each the mean of its singles.

    Attributes:
      run: `trained` or `untrained`.
      method: What takes the place of the values: `mean` or `resampled`.
      ablation: What is ablated.
      right: By place the fraction of singles that are still right.
      margin_change: By place the change of the margin of the logits.
      against_control: margin_change at the target less that at the control.
    """

    run: str
    method: str
    ablation: str
    right: dict[str, Interval]
    margin_change: dict[str, Interval]
    against_control: Interval


@dataclass(frozen=True)
class CircuitSummary:
    """Circuits of naked singles in numbers.

    Attributes:
      num_puzzles: Puzzles with a naked single.
      num_singles: Naked singles.
      num_segments: Segments from the start.
      num_sources: Mean number of given peers of a single.
      clean_right: By run the fraction of singles that are right without an ablation.
      clean_margin: By run their margin.
      effects: By run, method and ablation.
      peer_share: By run and stage p / (p + o) of the mean strengths from peers and from other cells
        into the singles: 1/2 where both write as strongly.
      share_against_control: By run and stage the same less that into the control cells.
    """

    num_puzzles: int
    num_singles: int
    num_segments: int
    num_sources: float
    clean_right: dict[str, Interval]
    clean_margin: dict[str, Interval]
    effects: list[AblationEffect]
    peer_share: dict[str, dict[str, Interval]]
    share_against_control: dict[str, dict[str, Interval]]


def summarize_circuits(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]
) -> CircuitSummary:
    """Returns all numbers of the circuits of naked singles.

    Args:
      arrays: What `rrjax.experiments.circuits` returns.
      record: Its record, with the names of runs, methods, ablations, places and stages.
    """
    puzzle, runs, places = arrays["puzzle"], record["runs"], record["places"]
    change = arrays["margin"] - arrays["clean_margin"][:, :, None, None, None]
    right = arrays["right"].astype(np.float64)
    effects = []
    for run, method, ablation in np.ndindex(len(runs), *change.shape[2:4]):
        at = run, slice(None), method, ablation
        by_place = {name: by_puzzle(change[at][:, i], puzzle) for i, name in enumerate(places)}
        effects.append(
            AblationEffect(
                run=runs[run],
                method=record["methods"][method],
                ablation=record["ablations"][ablation],
                right={
                    name: mean_interval(by_puzzle(right[at][:, i], puzzle))
                    for i, name in enumerate(places)
                },
                margin_change={name: student_interval(values) for name, values in by_place.items()},
                against_control=student_interval(by_place["target"] - by_place["control"]),
            )
        )
    shares = arrays["peer_share"]
    return CircuitSummary(
        num_puzzles=len(np.unique(puzzle)),
        num_singles=len(puzzle),
        num_segments=record["options"]["num_segments"],
        num_sources=float(arrays["num_sources"].mean()),
        clean_right={
            run: mean_interval(by_puzzle(arrays["clean_right"][i].astype(float), puzzle))
            for i, run in enumerate(runs)
        },
        clean_margin={
            run: student_interval(by_puzzle(arrays["clean_margin"][i], puzzle))
            for i, run in enumerate(runs)
        },
        effects=effects,
        peer_share=_by_stage(shares[:, :, 0], puzzle, record),
        share_against_control=_by_stage(shares[:, :, 0] - shares[:, :, 1], puzzle, record),
    )


def by_puzzle(values: np.ndarray, puzzle: np.ndarray) -> np.ndarray:
    """Returns the mean of the values (n,) of each puzzle, ascending by its number."""
    _, place, count = np.unique(puzzle, return_inverse=True, return_counts=True)
    return np.bincount(place, values.astype(np.float64)) / count


def _by_stage(
    values: np.ndarray, puzzle: np.ndarray, record: Mapping[str, Any]
) -> dict[str, dict[str, Interval]]:
    return {
        run: {
            stage: student_interval(by_puzzle(values[i, :, j], puzzle))
            for j, stage in enumerate(record["stages"])
        }
        for i, run in enumerate(record["runs"])
    }
