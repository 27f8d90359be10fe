"""Probes of recorded states: what one makes of held-out cells, and the directions that it reads."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rrjax.analysis.scores import balanced_accuracy, explained_share
from rrjax.experiments.probed_cells import (
    Cells,
    Halves,
    Plan,
    StateCells,
    meanings_of,
    shuffled,
    why_not_probed,
)
from rrjax.experiments.recording import Recording
from rrjax.inside.overlaps import orthonormal
from rrjax.inside.probes import Regression, discriminant, regression
from rrjax.puzzles.meanings import Meaning


class Scores(NamedTuple):
    """What one probe makes of the held-out half: of classes counts, of numbers squares."""

    got: np.ndarray  # (puzzles, classes) right, or (puzzles,) squared error
    of: np.ndarray  # (puzzles, classes) cells, or (puzzles,) squared distance to the mean


def score(meaning: Meaning, train: Cells, test: Cells, rank: int | None = None) -> Scores:
    """Returns what a probe that is fitted on one half makes of the other; zeros without a probe."""
    shape = test.num_puzzles, meaning.num_classes
    if len(np.unique(train.values)) < 2 or not len(test.values):
        zeros = np.zeros(shape if meaning.num_classes else shape[:1])
        return Scores(zeros, zeros)
    if meaning.num_classes:
        fitted = discriminant(train.states, train.values, meaning.num_classes, rank)
        right = fitted.predict(test.states) == test.values
        bins = test.puzzles * meaning.num_classes + test.values
        counted = [np.bincount(bins, weights, np.prod(shape)) for weights in (right, None)]
        return Scores(*(each.reshape(shape) for each in counted))
    line: Regression = regression(train.states, train.values)
    squares = [np.square(test.values - g) for g in (line.predict(test.states), line.offset)]
    return Scores(*(np.bincount(test.puzzles, each, test.num_puzzles) for each in squares))


def value_of(meaning: Meaning, scores: Scores) -> float:
    """Returns the balanced accuracy of classes, or R² of numbers."""
    measure = balanced_accuracy if meaning.num_classes else explained_share
    return measure(*scores).value


class Readout(NamedTuple):
    """A probe of the cells to be found, as directions of a cell's state.

    Attributes:
      name: What it reads.
      bases: (2 + 2 shuffles, channels, rank) directions: those that it reads, those of probes of
        permuted labels, the code (covariance times these), and that of permuted labels. They are
        orthonormal times √(channels/rank), so that the mean of a random direction's is 1.
      readable: (puzzles,) share of each held-out puzzle's cells that are read right; None for a
        number.
    """

    name: str
    bases: np.ndarray
    readable: np.ndarray | None


def read_states(
    recording: Recording, vocab_size: int, halves: Halves, seed: int, num_shuffles: int
) -> Iterator[list[list[Readout]]]:
    """Yields for each segment, by field, the probes of all that cells to be found may say.

    Args:
      recording: States, of which one half fits the probes.
      vocab_size: Number of token values.
      halves: The halves.
      seed: Draws the permutations.
      num_shuffles: Number of permutations.
    """
    every = meanings_of(recording, vocab_size)
    names = [m.name for m in every if not m.of_puzzle and m.name != "given"]
    for name in names:
        reason = why_not_probed(next(m for m in every if m.name == name), recording, halves)
        if reason:
            raise ValueError(f"{name} cannot be probed: {reason}")
    plan = Plan.of(recording, vocab_size, names, halves, seed)
    for segment in range(recording.solved.shape[1]):
        states = [
            StateCells(plan, np.asarray(rows[:, segment]), segment)
            for rows in recording.fields.values()
        ]
        yield [
            [_readout(plan, state, place, num_shuffles) for place in range(len(plan.meanings))]
            for state in states
        ]


def _readout(plan: Plan, state: StateCells, place: int, num_shuffles: int) -> Readout:
    meaning = plan.meanings[place]
    whiten, train, test = state.cells(place)
    rng = np.random.default_rng((plan.seed, 4, place))
    drawn = [train, *(shuffled(rng, train) for _ in range(num_shuffles))]
    directions = [_directions(meaning, cells) for cells in drawn]
    spread = np.linalg.inv(whiten.root)  # T^½: from directions that are read to the code
    bases = [
        orthonormal(matrix @ each) * np.sqrt(len(matrix) / each.shape[1])
        for matrix in (whiten.root, spread)
        for each in directions
    ]
    readable = None
    if meaning.num_classes:
        scores = score(meaning, train, test)
        number = scores.of.sum(axis=1).astype(float)
        readable = np.divide(scores.got.sum(axis=1), number, out=0 * number, where=number > 0)
    return Readout(meaning.name, np.stack(bases), readable)


def _directions(meaning: Meaning, cells: Cells) -> np.ndarray:
    """Returns directions of whitened states that a probe reads; NaN where classes are missing."""
    rank = max(1, meaning.num_classes - 1)
    unknown = np.full((cells.states.shape[1], rank), np.nan)
    if len(np.unique(cells.values)) < 2:
        return unknown
    if not meaning.num_classes:
        return regression(cells.states, cells.values).weights[:, None]
    directions = discriminant(cells.states, cells.values, meaning.num_classes).directions
    return directions if directions.shape[1] == rank else unknown
