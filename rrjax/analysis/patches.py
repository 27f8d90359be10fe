"""Patches between trajectories in numbers: how far they lead to the donor's outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import (
    UNDEFINED,
    Interval,
    fraction_interval,
    known_mean,
    median_interval,
    student_interval,
)
from rrjax.analysis.paired import paired_difference

MEASURES = ("cells", "rows", "columns", "boxes")
"""What may be right in part."""


@dataclass(frozen=True)
class Effect:
    """What one kind of patch does to the pairs of one kind, against its control.

    An effect is the part of the way from what happens without a patch to the donor's own outcome,
    (m of patched − m of nothing) / (m of donor − m of nothing), with m the mean over pairs; its
    interval is that of the paired numerator, with the denominator as it is. 0 stands for no effect
    and 1 for the donor's outcome.

    Attributes:
      donor: Where the donor comes from.
      segment: Segments before the patch.
      part: The field that is replaced, or `all`.
      num_pairs: Number of pairs, each of another recipient.
      solved: By kind of run the fraction solved at the end.
      against_control: Fraction solved with the patch less that with its control, with
        `paired_difference`.
      effect: Of the patch on the fraction solved.
      control_effect: Of the control.
      cells_effect: Of the patch on the share of right cells.
      cells_control: Of the control.
      margin_effect: Of the patch on the margin of the logits.
      margin_control: Of the control.
      time: By kind of run the median of segments until the answer is first right, over the runs in
        which it ever is.
      lambda1: By kind of run the median λ₁ from the patch on; empty where it was not measured.
      distance: Median of the norm of what the patch changes.
      changes: By measure (`cells`, and of Sudokus `rows`, `columns` and `boxes`) and kind of run
        (`patch` and `control`) the mean change, against nothing, of the share that is right at the
        end; Student's interval over pairs.
      donated: By kind of run the mean share of the cells in which the donor's answer is another
        that show it at the end; empty where it was not measured.
    """

    donor: str
    segment: int
    part: str
    num_pairs: int
    solved: dict[str, Interval]
    against_control: Interval
    effect: Interval
    control_effect: Interval
    cells_effect: Interval
    cells_control: Interval
    margin_effect: Interval
    margin_control: Interval
    time: dict[str, Interval]
    lambda1: dict[str, Interval]
    distance: float
    changes: dict[str, dict[str, Interval]]
    donated: dict[str, Interval]


@dataclass(frozen=True)
class CellClass:
    """What one cell of a kind changes, as means over the pairs that have such cells.

    Attributes:
      name: The kind of cell.
      num_pairs: Pairs that have such cells.
      num_cells: Mean number of such cells in these pairs.
      change: Change of the margin towards the donor's outcome.
      control: The same with a random step of the cell.
      against_control: Their difference.
      turns: Fraction of the cells that alone lead to the donor's outcome.
      control_turns: The same with a random step.
    """

    name: str
    num_pairs: int
    num_cells: float
    change: Interval
    control: Interval
    against_control: Interval
    turns: Interval
    control_turns: Interval


@dataclass(frozen=True)
class CellMap:
    """The effect of single cells on the margin, as means over pairs.

    Attributes:
      num_pairs: Number of pairs.
      num_kept: Pairs whose recipient keeps its own outcome without a patch.
      any_turns: Fraction of those in which some cell alone leads to the donor's outcome.
      any_control: The same with a random step.
      classes: What one cell changes by kind of cell, of failures that have a solved donor and stay
        failures without a patch; empty where none is mapped.
      largest: Mean over pairs of the largest change of the margin by any cell.
      largest_control: The same of the controls.
      mean: Mean change over all cells.
      mean_control: The same of the controls.
    """

    num_pairs: int
    num_kept: int
    any_turns: Interval
    any_control: Interval
    classes: list[CellClass]
    largest: Interval
    largest_control: Interval
    mean: Interval
    mean_control: Interval


@dataclass(frozen=True)
class PatchSummary:
    """Patches in numbers.

    Attributes:
      num_puzzles: Number of puzzles.
      num_failed: Puzzles that fail from their own start.
      some_solves: By kind of donor, fraction of the failures that have one that is solved.
      num_segments: Segments that run on after a patch.
      denoising: Effects of solved donors on failures: sufficiency.
      noising: Effects of failed donors on solved puzzles: necessity.
      cells: The map of single cells; None without one.
    """

    num_puzzles: int
    num_failed: int
    some_solves: dict[str, Interval]
    num_segments: int
    denoising: list[Effect]
    noising: list[Effect]
    cells: CellMap | None


def summarize_patches(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> PatchSummary:
    """Returns all numbers of patches between trajectories.

    Args:
      arrays: What `rrjax.experiments.patching` returns.
      record: Its record, with the names of parts, kinds and donors.
    """
    base, options = arrays["base_solved"], record["options"]
    failed = ~base[:, 0]
    numbers = [options.get(name, 0) for name in ("num_starts", "num_copies", "num_relabelled")]
    others = np.split(base[failed, 1:], np.cumsum(numbers)[:2], axis=1)
    runs = dict(zip(("start", "copy", "digits"), others, strict=True))
    return PatchSummary(
        num_puzzles=len(base),
        num_failed=int(failed.sum()),
        some_solves={
            name: fraction_interval(int(solved.any(axis=1).sum()), len(solved))
            for name, solved in runs.items()
            if solved.shape[1]
        },
        num_segments=options["num_segments"],
        denoising=_effects(arrays, record, ~arrays["recipient_solved"]),
        noising=_effects(arrays, record, arrays["recipient_solved"]),
        cells=_cell_map(arrays, record["kinds"]),
    )


def _effects(
    arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], chosen: np.ndarray
) -> list[Effect]:
    effects = []
    for kind, donor in enumerate(record["donors"]):
        pairs = chosen & (arrays["donor"] == kind)
        for place, segment in enumerate(arrays["patched_after"].tolist()):
            for number, part in enumerate(record["parts"]):
                if pairs.any():
                    at = pairs, place, number
                    effects.append(_effect(arrays, record["kinds"], at, donor, segment, part))
    return effects


def _effect(
    arrays: Mapping[str, np.ndarray],
    kinds: list[str],
    at: tuple[np.ndarray, int, int],
    donor: str,
    segment: int,
    part: str,
) -> Effect:
    def by_kind(name: str) -> dict[str, np.ndarray]:
        return dict(zip(kinds, np.asarray(arrays[name][at]).T, strict=True))

    solved, cells, margin = (by_kind(name) for name in ("solved", "cells_right", "margin"))
    first = by_kind("first_solved")
    exponents = by_kind("lambda1") if "lambda1" in arrays else {}
    donated = by_kind("donated") if "donated" in arrays else {}
    number = len(solved["patch"])
    return Effect(
        donor=donor,
        segment=segment,
        part=part,
        num_pairs=number,
        solved={k: fraction_interval(int(v.sum()), number) for k, v in solved.items()},
        against_control=paired_difference(solved["control"], solved["patch"]),
        effect=_normalised(solved, "patch"),
        control_effect=_normalised(solved, "control"),
        cells_effect=_normalised(cells, "patch"),
        cells_control=_normalised(cells, "control"),
        margin_effect=_normalised(margin, "patch"),
        margin_control=_normalised(margin, "control"),
        time={k: median_interval(v[v > 0]).map(float) for k, v in first.items()},
        lambda1={k: median_interval(v[np.isfinite(v)]).map(float) for k, v in exponents.items()},
        distance=float(np.median(arrays["distance"][at])),
        changes={
            name: _changes(by_kind(f"{name}_right"))
            for name in MEASURES
            if f"{name}_right" in arrays
        },
        donated={k: known_mean(v) for k, v in donated.items()},
    )


def _changes(values: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {
        kind: student_interval(values[kind] - values["nothing"]) for kind in ("patch", "control")
    }


def _normalised(values: Mapping[str, np.ndarray], kind: str) -> Interval:
    """Returns the part of the way from nothing to the donor that a kind of run goes."""
    if values[kind].dtype == bool:
        change = paired_difference(values["nothing"], values[kind])
    else:
        change = student_interval(values[kind] - values["nothing"])
    whole = float(np.mean(values["donor"].astype(float)) - np.mean(values["nothing"].astype(float)))
    if not whole:
        return UNDEFINED
    low, high = sorted((change.low / whole, change.high / whole))
    return Interval(change.value / whole, low, high)


def _cell_map(arrays: Mapping[str, np.ndarray], kinds: list[str]) -> CellMap | None:
    """Returns the numbers of the map; None without one."""
    if "map_margin" not in arrays:
        return None
    change = arrays["map_margin"] - arrays["map_nothing"][:, None, None]
    is_solved = arrays["recipient_solved"][arrays["map_pair"]]
    towards = np.where(is_solved, -1, 1)[:, None, None]
    both = np.moveaxis(change * towards, 1, 0).astype(np.float64)
    # cells are patched after the first of the segments
    unpatched = arrays["solved"][arrays["map_pair"], 0, 0, kinds.index("nothing")]
    is_kept = unpatched == is_solved
    turned = arrays["map_solved"] != is_solved[:, None, None]
    any_turned = turned[is_kept].any(2).T
    turns = [fraction_interval(int(pairs.sum()), len(pairs)) for pairs in any_turned]
    largest, largest_control = (student_interval(part.max(1)) for part in both)
    mean, mean_control = (student_interval(part.mean(1)) for part in both)
    return CellMap(
        num_pairs=len(change),
        num_kept=int(is_kept.sum()),
        any_turns=turns[0],
        any_control=turns[1],
        classes=_classes(arrays, both[0], both[1], turned, is_kept & ~is_solved),
        largest=largest,
        largest_control=largest_control,
        mean=mean,
        mean_control=mean_control,
    )


def _classes(
    arrays: Mapping[str, np.ndarray],
    patched: np.ndarray,
    control: np.ndarray,
    turned: np.ndarray,
    chosen: np.ndarray,
) -> list[CellClass]:
    is_open = arrays["map_open"]
    differs = arrays["map_answers"][:, 0] != arrays["map_answers"][:, 1]
    kinds = {
        "given": ~is_open,
        "same answer": is_open & ~differs,
        "other answer": is_open & differs,
    }
    return [
        _class(name, cells[has], patched[has], control[has], turned[has])
        for name, cells in kinds.items()
        if (has := chosen & cells.any(1)).any()
    ]


def _class(
    name: str, cells: np.ndarray, patched: np.ndarray, control: np.ndarray, turned: np.ndarray
) -> CellClass:
    def mean(values: np.ndarray) -> Interval:
        return student_interval(np.where(cells, values, 0).sum(1) / cells.sum(1))

    return CellClass(
        name=name,
        num_pairs=len(cells),
        num_cells=float(cells.sum(1).mean()),
        change=mean(patched),
        control=mean(control),
        against_control=mean(patched - control),
        turns=mean(turned[:, 0]),
        control_turns=mean(turned[:, 1]),
    )
