"""The tables of a slice: who settles where, and how mixed the basins are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.basins import (
    LN_2,
    MOVING,
    BasinEntropy,
    UncertaintyExponent,
    basin_entropy,
    uncertainty_exponent,
)
from rrjax.analysis.report import Estimate, Table, bracketed, to_estimate

LARGEST = 5
"""Answers that have a row of their own."""


@dataclass(frozen=True)
class Mixing:
    """How mixed one colouring of the grid is.

    Attributes:
      num_classes: basins, runs that still move being one of them.
      entropy: S_b in nats.
      boundary_entropy: S_bb in nats.
      box_size: points along the edge of a box.
      num_boxes: of the whole grid.
      num_boundary: boxes with more than one basin.
      exceeds_ln_2: whether S_bb lies above ln 2 with its whole interval, which shows a fractal
        boundary; its absence shows nothing.
      entropy_by_box: S_b by the points along the edge of a box.
      exponent: α.
      standard_error: of α, of the regression.
      dimension: D = 2 − α.
      distances: ε in grid steps.
      uncertain: f(ε).
      used: which of them the line was fitted to.
      remark: on α; empty if there is nothing to say.
    """

    num_classes: int
    entropy: Estimate
    boundary_entropy: Estimate
    box_size: int
    num_boxes: int
    num_boundary: int
    exceeds_ln_2: bool
    entropy_by_box: dict[str, float]
    exponent: Estimate
    standard_error: float
    dimension: Estimate
    distances: list[int]
    uncertain: list[float]
    used: list[bool]
    remark: str


@dataclass(frozen=True)
class SliceSummary:
    """A slice in numbers.

    Attributes:
      num_points: G².
      num_segments: of each run.
      rest_segments: an answer that stays over so many last segments is settled.
      threshold: of the relative residual.
      num_moving: runs whose answer is not settled, those not finite among them.
      num_not_finite: runs that blew up.
      num_at_rest: runs whose residual stays below the threshold over so many last segments.
      median_settling: segment at which half of all runs have settled; NaN where fewer have.
      num_solved: right after the last segment, settled or not; None where no answer is known.
      num_answers: distinct answers of the settled runs.
      largest: runs of each of the most frequent answers.
      largest_solved: which of them are right; None where no answer is known.
      answers: the final answers as basins.
      outcome: solved and not solved as basins; None where no answer is known.
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
    seed: int,
) -> SliceSummary:
    """All numbers of the tables.

    Args:
      arrays: (G, G) `answer_index` (−1: still moving), `answer_at` and `residual_at` in segments,
        `finite`; with a known answer also (G, G) `solved` and (n,) `answer_solved`.
      num_segments: of each run.
      rest_segments: as in `SliceSummary`.
      threshold: of the relative residual.
      box_size: points along the edge of a box.
      seed: of the bootstrap.

    Raises:
      ValueError: for a grid that is not square, or boxes that do not fit it.
    """
    index = arrays["answer_index"]
    moving = index == MOVING
    counts = np.bincount(index[~moving])
    solved = arrays.get("solved")
    is_right = None if solved is None else arrays["answer_solved"][:LARGEST].tolist()
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
        largest_solved=is_right,
        answers=mixing(index, box_size, seed),
        outcome=None if solved is None else mixing(solved, box_size, seed),
    )


def mixing(classes: np.ndarray, box_size: int, seed: int) -> Mixing:
    """Basin entropies and uncertainty exponent of one colouring (G, G)."""
    entropy, scaling = basin_entropy(classes, box_size, seed), uncertainty_exponent(classes)
    return Mixing(
        num_classes=len(np.unique(classes)),
        exceeds_ln_2=bool(entropy.boundary.low > LN_2),
        entropy_by_box=_entropy_by_box(classes),
        **_of_entropy(entropy),
        **_of_exponent(scaling),
    )


def _of_entropy(found: BasinEntropy) -> dict:
    return {
        "entropy": to_estimate(found.whole),
        "boundary_entropy": to_estimate(found.boundary),
        "box_size": found.box_size,
        "num_boxes": found.num_boxes,
        "num_boundary": found.num_boundary,
    }


def _of_exponent(found: UncertaintyExponent) -> dict:
    return {
        "exponent": to_estimate(found.exponent),
        "standard_error": found.standard_error,
        "dimension": to_estimate(found.dimension),
        "distances": found.distances.tolist(),
        "uncertain": found.fractions.tolist(),
        "used": found.used.tolist(),
        "remark": found.remark,
    }


def _entropy_by_box(classes: np.ndarray) -> dict[str, float]:
    """S_b of boxes of 2, 4, 8, … points, while there are four of them along an axis."""
    sizes = (2**power for power in range(1, 20))
    fitting = [size for size in sizes if 4 * size <= len(classes)]
    found = (basin_entropy(classes, size, num_resamples=1) for size in fitting)
    return {str(entropy.box_size): entropy.whole.value for entropy in found}


def median_settling(answer_at: np.ndarray, moving: np.ndarray) -> float:
    """The segment at which half of the runs have settled; NaN if fewer do.

    A run that still moves settles after all others, if ever.
    """
    median = float(np.median(np.where(moving, np.inf, answer_at)))
    return median if np.isfinite(median) else np.nan


def format_slice(summary: SliceSummary, title: str) -> list[Table]:
    """The tables in words: who settles, and the basins.

    Args:
      summary: of a slice.
      title: what was run.
    """
    return [_settling_table(summary, title), _basin_table(summary)]


def _settling_table(summary: SliceSummary, title: str) -> Table:
    number, share = summary.num_points, _share(summary.num_points)
    settled = number - summary.num_moving
    rows = [
        ("settled", *share(settled)),
        ("still moving", *share(summary.num_moving)),
        ("at rest", *share(summary.num_at_rest)),
    ]
    if summary.num_solved is not None:
        rows.append(("solved", *share(summary.num_solved)))
    rows.append(("distinct answers", str(summary.num_answers), ""))
    rows += [
        (_answer_name(summary, place), *share(count)) for place, count in enumerate(summary.largest)
    ]
    return Table(title, ("", "starts", "share"), rows, _settling_notes(summary))


def _answer_name(summary: SliceSummary, place: int) -> str:
    is_right = summary.largest_solved is not None and summary.largest_solved[place]
    return f"answer {place + 1}{' (right)' if is_right else ''}"


def _settling_notes(summary: SliceSummary) -> list[str]:
    notes = []
    if summary.num_not_finite:
        notes.append(f"{summary.num_not_finite} runs were not finite; they count as still moving")
    if summary.num_solved is None:
        notes.append("the puzzle's answer is not known: nothing is said of solved")
    if np.isnan(summary.median_settling):
        notes.append("fewer than half of the starts settled")
    else:
        notes.append(f"half of the starts have settled at segment {summary.median_settling:g}")
    rest = summary.rest_segments
    legend = (
        f"settled: the same answer over the last {rest} steps of {summary.num_segments} segments; "
        f"at rest: relative residual below {summary.threshold:g} as long; solved: after the last "
        "segment"
    )
    return [*notes, legend]


def _basin_table(summary: SliceSummary) -> Table:
    colourings = [("final answer", summary.answers)]
    if summary.outcome is not None:
        colourings.append(("solved or not", summary.outcome))
    mixings = [mixing for _, mixing in colourings]
    rows = [
        ("basins", *(str(m.num_classes) for m in mixings)),
        ("basin entropy S_b", *(_number(m.entropy) for m in mixings)),
        ("of the boundary S_bb", *(_number(m.boundary_entropy) for m in mixings)),
        ("boundary boxes", *(f"{m.num_boundary} of {m.num_boxes}" for m in mixings)),
        ("uncertainty exponent α", *(_number(m.exponent) for m in mixings)),
        ("its standard error", *(_plain(m.standard_error) for m in mixings)),
        ("box dimension D = 2 − α", *(_number(m.dimension) for m in mixings)),
        ("fitted to ε in grid steps", *(_range(m) for m in mixings)),
    ]
    headers = ("[95 % interval]", *(name for name, _ in colourings))
    box = summary.answers.box_size
    headline = f"Basins, in boxes of {box} × {box} starts"
    return Table(headline, headers, rows, _basin_notes(colourings))


def _basin_notes(colourings: list[tuple[str, Mixing]]) -> list[str]:
    notes = [f"α by {name}: {mixing.remark}" for name, mixing in colourings if mixing.remark]
    notes += [
        f"by {name} S_bb > ln 2 = {LN_2:.3f}: the boundary is fractal at this resolution"
        for name, mixing in colourings
        if mixing.exceeds_ln_2
    ]
    legend = (
        "starts that still move are one basin of final answers; S in nats, bootstrap over boxes; "
        "S_bb > ln 2 suffices for a fractal boundary and is not necessary; α: f(ε) ~ ε^α, 1 for a "
        "smooth boundary, interval of the regression"
    )
    return [*notes, legend]


def _range(mixing: Mixing) -> str:
    used = np.array(mixing.distances)[mixing.used].tolist()
    return f"{used[0]}..{used[-1]} ({len(used)})" if used else "none"


def _share(total: int):
    return lambda count: (str(count), f"{100 * count / total:.1f} %")


def _number(estimate: Estimate) -> str:
    return bracketed(estimate.value, estimate.low, estimate.high, ".3f")


def _plain(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.3f}"
