"""Growth by part in numbers: signed contributions by outcome, and where the vectors lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from rrjax.analysis.attribution import classify, on_cells
from rrjax.analysis.intervals import (
    TAIL,
    UNDEFINED,
    Interval,
    median_interval,
    student_interval,
)

IGNORED = -100


@dataclass(frozen=True)
class Contribution:
    """A signed part of an exponent, as means over puzzles, in nats per update.

    Attributes:
      name: What contributes.
      solved: Mean of the solved puzzles with Student's interval.
      failed: Mean of the failed ones.
      difference: failed − solved, with Welch's interval.
    """

    name: str
    solved: Interval
    failed: Interval
    difference: Interval


@dataclass(frozen=True)
class Location:
    """Where one vector lies after the last segment, as medians over puzzles.

    Attributes:
      number: Which vector, from 1.
      answer_share: By outcome the share of its squared norm in the field of the answer.
      along_loss: By outcome its squared cosine with the gradient of the loss, times the dimension
        of the state: 1 is expected of a random vector.
    """

    number: int
    answer_share: dict[str, Interval]
    along_loss: dict[str, Interval]


@dataclass(frozen=True)
class Stretch:
    """How the segment after the last one stretches, as medians over the puzzles of a class.

    Attributes:
      name: early, late or never: solved first within the run, in the segments followed, or not.
      num_puzzles: Number of puzzles.
      natural: Factor by which the trajectory's own last step is stretched.
      above_one: Fraction of puzzles in which it is above 1.
      singular_value: The largest factor of any vector.
      right_answer_share: Share of its right singular vector v₁ in the field of the answer.
      left_answer_share: Share of its left singular vector u₁ in the field of the answer.
    """

    name: str
    num_puzzles: int
    natural: Interval
    above_one: float
    singular_value: Interval
    right_answer_share: Interval
    left_answer_share: Interval


@dataclass(frozen=True)
class GrowthSummary:
    """The growth of the leading vectors by part, in numbers.

    Attributes:
      num_puzzles: Number of puzzles.
      num_not_finite: Number of runs that blew up, which are left out below.
      num_solved: Solved puzzles that are counted below.
      num_failed: Failed ones.
      num_segments: Segments of a run.
      num_followed: Segments after it.
      largest_gap: The largest difference between an exponent and the sum of its parts.
      lambda1: λ₁ itself.
      sums: The contributions to λ₁ of the input sums, all residual sums and all norms.
      stages: Those of each stage.
      alignment: Of each residual sum the part of its branch's alignment.
      size: Of each residual sum the part of its branch's size.
      fields: The contributions of each field of the state.
      updates: Those of each update of a segment.
      cells: Those of a cell, by class: given, to be found and right, to be found and wrong.
      locations: Where each vector lies.
      random_along_loss: `Location.along_loss` of random vectors.
      answer: The field of the answer.
      answer_dimension: Share of the state's dimension that the field has: what is expected of
        `Location.answer_share` of a random vector.
      stretches: By class of first solution; empty where steps were not measured.
    """

    num_puzzles: int
    num_not_finite: int
    num_solved: int
    num_failed: int
    num_segments: int
    num_followed: int
    largest_gap: float
    lambda1: Contribution
    sums: list[Contribution]
    stages: list[Contribution]
    alignment: list[Contribution]
    size: list[Contribution]
    fields: list[Contribution]
    updates: list[Contribution]
    cells: list[Contribution]
    locations: list[Location]
    random_along_loss: dict[str, Interval]
    answer: str
    answer_dimension: float
    stretches: list[Stretch]


def difference_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    r"""Returns the mean of the second group minus that of the first, with Welch's interval.

      m₂ − m₁ ± t(ν; 0.975) √(s₁²/n₁ + s₂²/n₂),  ν of Welch and Satterthwaite

    Args:
      first: (n₁,) numbers.
      second: (n₂,) numbers.

    Returns:
      Three numbers; all are NaN where a group has fewer than two numbers.

    Source: Welch 1947, Biometrika 34, 28.
    """
    if min(len(first), len(second)) < 2:
        return UNDEFINED
    parts = np.array([np.var(group, ddof=1) / len(group) for group in (first, second)])
    value = float(np.mean(second) - np.mean(first))
    if not parts.sum():
        return Interval(value, value, value)
    sizes = np.array([len(first), len(second)])
    freedom = parts.sum() ** 2 / np.sum(parts**2 / (sizes - 1))
    reach = float(scipy.special.stdtrit(freedom, 1 - TAIL) * np.sqrt(parts.sum()))
    return Interval(value, value - reach, value + reach)


def summarize_growth(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> GrowthSummary:
    """Returns all numbers of growth by part.

    Args:
      arrays: What `rrjax.experiments.growth` returns.
      record: Its record, with the names of stages and updates.
    """
    keep = arrays["finite"] & np.isfinite(arrays["exponents"]).all(axis=1)
    kept = {name: np.asarray(array)[keep] for name, array in arrays.items()}
    solved, stages, answer = kept["solved"], record["stages"], record["answer"]
    first = kept["by_stage"][..., 0].astype(np.float64)  # (n, updates, stages)
    by_stage = dict(zip(stages, first.sum(1).T, strict=True))
    total = kept["by_stage"].sum((1, 2)) - kept["exponents"]
    fields = {
        name.removeprefix("by_row_"): rows for name, rows in kept.items() if "by_row_" in name
    }
    by_field = {name: rows[:, 0].sum(-1) for name, rows in fields.items()}
    places = [f"{place} {name}" for place, name in enumerate(record["updates"], 1)]
    by_update = dict(zip(places, first.sum(2).T, strict=True))

    def split(parts: Mapping[str, np.ndarray]) -> list[Contribution]:
        return [_contribution(name, values, solved) for name, values in parts.items()]

    branches = np.flatnonzero((kept["size"][..., 0] != 0).any(axis=0))
    of_branches = {
        part: {stages[i]: kept[part][:, i, 0] for i in branches} for part in ("alignment", "size")
    }
    scale = float(record["dimension"])
    groups = {"solved": solved, "failed": ~solved}
    random = scale * kept["random_along_loss"][:, -1]
    return GrowthSummary(
        num_puzzles=len(keep),
        num_not_finite=int(np.sum(~keep)),
        num_solved=int(solved.sum()),
        num_failed=int((~solved).sum()),
        num_segments=record["options"]["num_segments"],
        num_followed=record["options"]["num_followed"],
        largest_gap=float(np.abs(total).max(initial=0)),
        lambda1=_contribution("λ₁", kept["exponents"][:, 0], solved),
        sums=split(_sums(by_stage, [stages[i] for i in branches])),
        stages=split(by_stage),
        alignment=split(of_branches["alignment"]),
        size=split(of_branches["size"]),
        fields=split(by_field),
        updates=split(by_update),
        cells=_by_class(kept, fields),
        locations=[
            Location(
                i + 1,
                _medians(kept[f"share_{answer}"][:, -1, i], groups),
                _medians(scale * kept["along_loss"][:, -1, i], groups),
            )
            for i in range(kept["exponents"].shape[1])
        ],
        random_along_loss=_medians(random, groups),
        answer=answer,
        answer_dimension=record["answer_dimension"] / scale,
        stretches=_stretches(kept, answer, record["options"]["num_segments"])
        if "natural" in kept
        else [],
    )


def _contribution(name: str, values: np.ndarray, solved: np.ndarray) -> Contribution:
    values = np.asarray(values, np.float64)
    groups = [group[np.isfinite(group)] for group in (values[solved], values[~solved])]
    solved_mean, failed_mean = (student_interval(group) for group in groups)
    return Contribution(name, solved_mean, failed_mean, difference_interval(*groups))


def _sums(by_stage: Mapping[str, np.ndarray], branches: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the sums of the stages of a kind; nothing for dynamics without named parts."""
    kinds = {
        "input": [name for name in by_stage if name.split()[0] == "input"],
        "residual sums": list(branches),
        "norms": [name for name in by_stage if "norm" in name],
    }
    return {k: np.sum([by_stage[n] for n in names], 0) for k, names in kinds.items() if names}


def _by_class(
    kept: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]
) -> list[Contribution]:
    """Returns the contribution of a cell, all fields summed, by what is known of the cell."""
    num_cells = kept["inputs"].shape[1]
    if any(rows.shape[-1] < num_cells for rows in fields.values()):
        return []
    board = sum(on_cells(rows[:, 0].astype(np.float64), num_cells) for rows in fields.values())
    cells = classify(kept["inputs"], kept["labels"], kept["answers"], IGNORED)
    kinds = {
        "a given cell": cells.given,
        "a cell to be found, right": cells.open & ~cells.wrong,
        "a cell to be found, wrong": cells.open & cells.wrong,
    }
    with np.errstate(invalid="ignore"):
        means = {k: np.where(m, board, 0).sum(1) / m.sum(1) for k, m in kinds.items()}
    return [_contribution(name, values, kept["solved"]) for name, values in means.items()]


def _medians(values: np.ndarray, groups: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {name: _median(values[group]) for name, group in groups.items()}


def _median(values: np.ndarray) -> Interval:
    return median_interval(values[~np.isnan(values)]).map(float)


def _stretches(kept: Mapping[str, np.ndarray], answer: str, num_segments: int) -> list[Stretch]:
    first = kept["first_solved"]
    classes = {
        "early": (first > 0) & (first <= num_segments),
        "late": first > num_segments,
        "never": first == 0,
    }
    return [
        Stretch(
            name=name,
            num_puzzles=int(group.sum()),
            natural=_median(kept["natural"][group, -1]),
            above_one=float(np.mean(kept["natural"][group, -1] > 1)) if group.any() else np.nan,
            singular_value=_median(kept["singular_value"][group]),
            right_answer_share=_median(kept[f"v1_{answer}"][group]),
            left_answer_share=_median(kept[f"u1_{answer}"][group]),
        )
        for name, group in classes.items()
    ]
