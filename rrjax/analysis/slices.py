"""A slice in numbers: who settles where, and how mixed the basins are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.basins import (
    LN_2,
    MOVING,
    SharedBoundaries,
    basin_entropy,
    shared_boundaries,
    uncertainty_exponent,
)

LARGEST = 5
"""Answers that have a row of their own."""


@dataclass(frozen=True)
class Mixing:
    """How mixed one colouring of the grid is.

    Attributes:
      num_classes: Basins, runs that still move being one of them.
      entropy: S_b in nats.
      boundary_entropy: S_bb in nats.
      box_size: Points along the edge of a box.
      num_boxes: Number of boxes on the grid.
      num_boundary: Boxes with more than one basin.
      shared: How often three basins or more meet, on the grid and on every other point of it.
      fractal: Whether S_bb lies above ln 2 and `shared` is persistent, which shows a fractal
        boundary; its absence shows nothing.
      entropy_by_box: S_b by the points along the edge of a box: 2, 4, 8, …, while four boxes fit.
      exponent: α.
      dimension: D = 2 − α.
      distances: Distances ε in grid steps.
      uncertain: Fractions f(ε) of uncertain points.
      used: Which of them the line was fitted to.
      remark: What must be known to read α; empty if there is nothing.
    """

    num_classes: int
    entropy: float
    boundary_entropy: float
    box_size: int
    num_boxes: int
    num_boundary: int
    shared: SharedBoundaries
    fractal: bool
    entropy_by_box: dict[str, float]
    exponent: float
    dimension: float
    distances: list[int]
    uncertain: list[float]
    used: list[bool]
    remark: str


@dataclass(frozen=True)
class SliceSummary:
    """A slice in numbers.

    Attributes:
      num_points: G².
      num_segments: Number of segments of each run.
      rest_segments: An answer that stays over so many last segments is settled.
      threshold: Threshold of the relative residual.
      num_moving: Runs whose answer is not settled, those not finite among them.
      num_not_finite: Runs that blew up.
      num_at_rest: Runs whose residual stays below the threshold over so many last segments.
      median_settling: Segment at which half of all runs have settled; NaN where fewer have.
      num_solved: Right after the last segment, settled or not; None where no answer is known.
      num_answers: Distinct answers of the settled runs.
      largest: Runs of each of the most frequent answers.
      largest_solved: Which of them are right; None where no answer is known.
      answers: The final answers as basins.
      outcome: Solved and not solved as basins; None where no answer is known.
    """

    num_points: int
    num_segments: int
    rest_segments: int
    threshold: float
    num_moving: int
    num_not_finite: int
    num_at_rest: int
    median_settling: float
    num_solved: int | None
    num_answers: int
    largest: list[int]
    largest_solved: list[bool] | None
    answers: Mixing
    outcome: Mixing | None


def summarize_slice(
    arrays: Mapping[str, np.ndarray],
    num_segments: int,
    rest_segments: int,
    threshold: float,
    box_size: int,
) -> SliceSummary:
    """Returns all numbers of a slice.

    Args:
      arrays: (G, G) `answer_index` (−1: still moving), `answer_at` and `residual_at` in segments,
        `finite`; with a known answer also (G, G) `solved` and (n,) `answer_solved`.
      num_segments: Number of segments of each run.
      rest_segments: An answer that stays over so many last segments is settled.
      threshold: Threshold of the relative residual.
      box_size: Points along the edge of a box.
    """
    index = arrays["answer_index"]
    moving = index == MOVING
    counts = np.bincount(index[~moving])
    solved = arrays.get("solved")
    return SliceSummary(
        num_points=index.size,
        num_segments=num_segments,
        rest_segments=rest_segments,
        threshold=threshold,
        num_moving=int(moving.sum()),
        num_not_finite=int(np.sum(~arrays["finite"])),
        # the residual of a segment is of the step to it
        num_at_rest=int(np.sum(arrays["residual_at"] <= num_segments - rest_segments + 1)),
        median_settling=median_settling(arrays["answer_at"], moving),
        num_solved=None if solved is None else int(solved.sum()),
        num_answers=len(counts),
        largest=counts[:LARGEST].tolist(),
        largest_solved=None if solved is None else arrays["answer_solved"][:LARGEST].tolist(),
        answers=mixing(index, box_size),
        outcome=None if solved is None else mixing(solved, box_size),
    )


def mixing(classes: np.ndarray, box_size: int) -> Mixing:
    """Returns basin entropies and uncertainty exponent of one colouring (G, G)."""
    entropy, scaling = basin_entropy(classes, box_size), uncertainty_exponent(classes)
    shared = shared_boundaries(classes)
    return Mixing(
        num_classes=len(np.unique(classes)),
        entropy=entropy.whole,
        boundary_entropy=entropy.boundary,
        box_size=entropy.box_size,
        num_boxes=entropy.num_boxes,
        num_boundary=entropy.num_boundary,
        shared=shared,
        fractal=entropy.boundary > LN_2 and shared.persistent,
        entropy_by_box={
            str(size): basin_entropy(classes, size).whole
            for size in (2**power for power in range(1, 20))
            if 4 * size <= len(classes)
        },
        exponent=scaling.exponent,
        dimension=scaling.dimension,
        distances=scaling.distances.tolist(),
        uncertain=scaling.fractions.tolist(),
        used=scaling.used.tolist(),
        remark=scaling.remark,
    )


def median_settling(answer_at: np.ndarray, moving: np.ndarray) -> float:
    """Returns the segment at which half of the runs have settled; NaN if fewer do.

    A run that still moves settles after all others, if ever.
    """
    median = float(np.median(np.where(moving, np.inf, answer_at)))
    return median if np.isfinite(median) else np.nan
