"""What margins of logits are made of, and how far their gradients follow the peers, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, known_mean


@dataclass(frozen=True)
class StageTerm:
    """What a stage of the last segment adds to the margin: means over puzzles, in logits.

    Attributes:
      name: The stage; `before` for the margin before the segment, `margin` for that after it.
      terms: By class of cells, `right` and `wrong`.
    """

    name: str
    terms: dict[str, Interval]


@dataclass(frozen=True)
class Channel:
    """The part of the margin of blank cells that one channel makes.

    Attributes:
      number: The channel.
      term: Mean over the second half of the puzzles; the channels are chosen on the first half.
    """

    number: int
    term: Interval


@dataclass(frozen=True)
class Saliency:
    """How far the gradient of a blank cell's margin follows its peers, as means over puzzles.

    Attributes:
      start: The segment whose input is moved, `first` or `last`.
      measure: What is taken of the gradient: its `norm`, `× input`, or `removal` of the clue.
      share: Share of its absolute values on the peers.
      expected: The share expected where givens and blanks each change places at random.
      excess: share − expected.
    """

    start: str
    measure: str
    share: Interval
    expected: float
    excess: Interval


@dataclass(frozen=True)
class ClueEffect:
    """The signed effect of one clue on the margin of a blank cell, as means over puzzles.

    Attributes:
      start: As in `Saliency`.
      measure: `× input` or `removal`.
      peers: Of a given peer, in logits.
      others: Of another given.
      difference: peers − others.
    """

    start: str
    measure: str
    peers: Interval
    others: Interval
    difference: Interval


@dataclass(frozen=True)
class LogitRun:
    """The numbers of one run, trained or untrained.

    Attributes:
      name: `trained` or `untrained`.
      stages: What the stages add to the margin.
      top: The channels with the largest and with the smallest terms.
      num_channels: The number of channels over which a cell's margin is spread.
      num_turned: The same in a random basis.
      saliencies: By start and measure.
      clues: By start and signed measure.
    """

    name: str
    stages: list[StageTerm]
    top: list[Channel]
    num_channels: Interval
    num_turned: Interval
    saliencies: list[Saliency]
    clues: list[ClueEffect]


@dataclass(frozen=True)
class LogitSummary:
    """Terms of logits in numbers.

    Attributes:
      num_puzzles: Number of puzzles.
      num_targets: Largest number of blank cells of a puzzle whose gradient is taken.
      num_segments: Segments of a run.
      num_channels: Channels of the answer.
      runs: The numbers of each run.
    """

    num_puzzles: int
    num_targets: int
    num_segments: int
    num_channels: int
    runs: list[LogitRun]


TOP = 5
"""The number of channels at either end that are named."""


def summarize_logits(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> LogitSummary:
    """Returns all numbers of the terms of logits.

    Args:
      arrays: What `rrjax.experiments.logits` returns.
      record: Its record, with the names of runs, classes, stages, starts and measures.
    """
    runs = [
        _run({key: array[i] for key, array in arrays.items()}, record, name)
        for i, name in enumerate(record["runs"])
    ]
    return LogitSummary(
        num_puzzles=arrays["channels"].shape[1],
        num_targets=record["options"]["num_targets"],
        num_segments=record["options"]["num_segments"],
        num_channels=arrays["channels"].shape[2],
        runs=runs,
    )


def _run(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], name: str) -> LogitRun:
    own, turned = np.moveaxis(arrays["num_channels"], -1, 0)
    starts, measures = record["starts"], record["measures"]
    saliencies = [
        _saliency(arrays, (i, j), start, measure)
        for i, start in enumerate(starts)
        for j, measure in enumerate(measures)
    ]
    clues = [
        _clue(arrays["clue_effect"][:, i, j], start, measure)
        for i, start in enumerate(starts)
        for j, measure in enumerate(measures[1:])
    ]
    stages = _stages(arrays, record)
    return LogitRun(
        name,
        stages,
        _top(arrays["channels"]),
        known_mean(own),
        known_mean(turned),
        saliencies,
        clues,
    )


def _stages(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> list[StageTerm]:
    before, stages = arrays["before"][..., None], arrays["stages"]
    total = before + stages.sum(-1, keepdims=True)
    every = np.concatenate([before, stages, total], -1)  # (N, classes, terms)
    names = ["before", *record["stages"], "margin"]
    return [
        StageTerm(
            name,
            {each: known_mean(every[:, i, place]) for i, each in enumerate(record["classes"])},
        )
        for place, name in enumerate(names)
    ]


def _top(channels: np.ndarray) -> list[Channel]:
    half = len(channels) // 2
    first, second = channels[:half], channels[half:]
    if not half:
        return []
    order = np.argsort(-np.nanmean(first, 0))
    chosen = [*order[:TOP], *order[-TOP:]] if len(order) > 2 * TOP else order
    return [Channel(int(place), known_mean(second[:, place])) for place in chosen]


def _saliency(
    arrays: Mapping[str, np.ndarray], at: tuple[int, int], start: str, measure: str
) -> Saliency:
    share, expected = (arrays[name][:, *at] for name in ("share", "expected_share"))
    mean = known_mean(expected).value
    return Saliency(start, measure, known_mean(share), mean, known_mean(share - expected))


def _clue(effect: np.ndarray, start: str, measure: str) -> ClueEffect:
    peers, others = effect.T
    return ClueEffect(
        start, measure, known_mean(peers), known_mean(others), known_mean(peers - others)
    )
