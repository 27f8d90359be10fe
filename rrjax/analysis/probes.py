"""Probes in numbers: what can be read from which state after which segment, and against what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval
from rrjax.analysis.scores import Score, balanced_accuracy, explained_share, permutation_p
from rrjax.analysis.separation import auc_interval

TASK, CONTROL = 0, 1
"""Places on the axis of tasks: the labels, and Hewitt and Liang's random ones."""

GROUPS = ("all", "solved", "failed")


@dataclass(frozen=True)
class Reading:
    """How well one thing is read from one field of the state, over all segments.

    Scores are accuracies balanced between classes, or shares of the spread that are explained.

    Attributes:
      target: What is read.
      field: The field of the state.
      chance: The score of a guess: 1/K for K classes, 0 for a number.
      scores: By group of held-out puzzles (`GROUPS`) an interval over them for each segment.
      selectivity: Score less that of the control task; NaN for things of the whole puzzle.
      control: The score of the control task.
      permuted: (segments,) mean score of labels permuted within puzzles.
      p: (segments,) probability of so high a score if labels were exchangeable within a puzzle.
      untrained: The score from states of fresh weights; None without them.
      low_rank: By rank (segments,) the score of a probe that sees so few directions.
    """

    target: str
    field: str
    chance: float
    scores: dict[str, list[Interval]]
    selectivity: list[Interval]
    control: list[Interval]
    permuted: list[float]
    p: list[float]
    untrained: list[Interval] | None
    low_rank: dict[int, list[float]]


@dataclass(frozen=True)
class Forecast:
    """How well solved and failed puzzles are told apart after each segment: rank AUCs.

    Attributes:
      source: A field of the state that a probe reads, or `conflicts`: the cells of the answer that
        repeat a digit, fewer being better; of mazes, none.
      all: An interval for each segment, over all held-out puzzles.
      open: The same over those whose answer is not yet right.
      num_open: How many of these there are, solved in the end and failed.
    """

    source: str
    all: list[Interval]
    open: list[Interval]
    num_open: list[tuple[int, int]]


@dataclass(frozen=True)
class ProbeSummary:
    """Probes in numbers.

    Attributes:
      num_train: Puzzles that the probes were fitted on.
      num_held_out: Puzzles that they are scored on.
      num_solved: Of these, solved at the end.
      num_segments: Segments.
      num_permutations: Permutations of the labels.
      answer: Balanced accuracy of the model's own answer on the same cells, by group and segment.
      kept: The same with the last answer in the place of the label: how much is decided.
      readings: One for each target and field.
      forecasts: One for each field, and for conflicts.
      left_out: Targets that are not probed, and why.
    """

    num_train: int
    num_held_out: int
    num_solved: int
    num_segments: int
    num_permutations: int
    answer: dict[str, list[Interval]]
    kept: dict[str, list[Interval]]
    readings: list[Reading]
    forecasts: list[Forecast]
    left_out: dict[str, str]

    def reading(self, target: str, field: str) -> Reading | None:
        """Returns the reading of a target from a field."""
        return next((r for r in self.readings if (r.target, r.field) == (target, field)), None)


def summarize_probes(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> ProbeSummary:
    """Returns the numbers of the arrays and the record of `rrjax.experiments.probe`."""
    solved = arrays["solved"]
    groups: dict[str, np.ndarray] = dict(
        zip(GROUPS, (np.ones_like(solved), solved, ~solved), strict=True)
    )
    targets = [*record["class_targets"], *record["number_targets"]]
    segments = range(arrays["solved_by_segment"].shape[1])
    readings = [
        _reading(arrays, record, target, place, groups)
        for target in targets
        for place in range(len(record["fields"]))
    ]

    def of_answers(right: str, number: str) -> dict[str, list[Interval]]:
        return {
            name: [
                balanced_accuracy(
                    arrays[right][group, s], arrays[number][group]
                ).fraction_interval()
                for s in segments
            ]
            for name, group in groups.items()
        }

    return ProbeSummary(
        num_train=record["num_train"],
        num_held_out=len(solved),
        num_solved=int(solved.sum()),
        num_segments=len(segments),
        num_permutations=arrays["null"].shape[-1],
        answer=of_answers("answer_right", "answer_number"),
        kept=of_answers("answer_kept", "kept_number"),
        readings=readings,
        forecasts=_forecasts(arrays, record),
        left_out=record["left_out"],
    )


def score_of(
    arrays: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    target: str,
    field: int,
    segment: int,
    task: int = TASK,
    before: str = "",
    group: Any = slice(None),
) -> Score:
    """Returns the score of one probe on some held-out puzzles.

    Args:
      arrays, record: Of `rrjax.experiments.probe`.
      target: Its name.
      field: Which field of the state.
      segment: After which segment, counted from 0.
      task: `TASK` or `CONTROL`.
      before: `untrained_` for the model with fresh weights.
      group: (puzzles,) booleans.
    """
    if target in record["class_targets"]:
        place = record["class_targets"].index(target)
        right = arrays[f"{before}right"][place][group, segment, field, task]
        return balanced_accuracy(right, arrays[f"{before}number"][place][group, segment, task])
    place = record["number_targets"].index(target)
    error = arrays[f"{before}error"][place][group, segment, field, task]
    return explained_share(error, arrays[f"{before}spread"][place][group, segment, task])


def _reading(
    arrays: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    target: str,
    field: int,
    groups: Mapping[str, np.ndarray],
) -> Reading:
    is_class = target in record["class_targets"]
    segments = range(arrays["solved_by_segment"].shape[1])

    def interval(score: Score) -> Interval:
        return score.fraction_interval() if is_class else score.interval()

    def over(**options: Any) -> list[Score]:
        return [score_of(arrays, record, target, field, s, **options) for s in segments]

    task, control = over(), over(task=CONTROL)
    place = [*record["class_targets"], *record["number_targets"]].index(target)
    null = arrays["null"][place, :, field]
    untrained = "untrained_number" in arrays
    low_rank = {}
    if is_class:
        scores = arrays["low_rank"][record["class_targets"].index(target), :, field]
        ranks = zip(record["ranks"], scores.T, strict=True)
        low_rank = {rank: column.tolist() for rank, column in ranks if np.isfinite(column).any()}
    with np.errstate(invalid="ignore"):
        permuted = null.mean(axis=-1).tolist()
    return Reading(
        target=target,
        field=record["fields"][field],
        chance=1 / record["num_classes"][target] if is_class else 0.0,
        scores={
            name: [interval(score) for score in over(group=group)] for name, group in groups.items()
        },
        selectivity=[(a - b).interval() for a, b in zip(task, control, strict=True)],
        control=[interval(score) for score in control],
        permuted=permuted,
        p=[
            permutation_p(score.value, values) if np.isfinite(score.value) else np.nan
            for score, values in zip(task, null, strict=True)
        ],
        untrained=[interval(score) for score in over(before="untrained_")] if untrained else None,
        low_rank=low_rank,
    )


def _forecasts(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> list[Forecast]:
    sources = {}
    if np.isfinite(arrays["solved_score"]).any():
        sources = {
            name: arrays["solved_score"][:, :, place] for place, name in enumerate(record["fields"])
        }
    if "conflicts" in arrays:
        sources["conflicts"] = -arrays["conflicts"].astype(float)
    solved, right = arrays["solved"], arrays["solved_by_segment"]
    return [_forecast(name, scores, solved, right) for name, scores in sources.items()]


def _forecast(name: str, scores: np.ndarray, solved: np.ndarray, right: np.ndarray) -> Forecast:
    segments = range(right.shape[1])
    unsolved = [~right[:, s] & np.isfinite(scores[:, s]) for s in segments]
    return Forecast(
        source=name,
        all=[auc_interval(scores[:, s], solved) for s in segments],
        open=[auc_interval(scores[u, s], solved[u]) for s, u in enumerate(unsolved)],
        num_open=[(int(solved[u].sum()), int((~solved[u]).sum())) for u in unsolved],
    )
