"""Probes: what a linear map reads from the states, after every segment and from every field."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from rrjax.analysis.probes import ProbeSummary, summarize_probes
from rrjax.analysis.scores import balanced_accuracy, explained_share
from rrjax.checks import check_count, check_seed, refuse
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.experiments.recording import states as record_states
from rrjax.inside.overlaps import orthonormal
from rrjax.inside.probes import (
    Regression,
    Whitening,
    control_values,
    discriminant,
    regression,
    shuffled_within,
    whitening,
)
from rrjax.jobs.progress import progress as show_progress
from rrjax.page.probes import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.probes import decided, forecasts, readings
from rrjax.puzzles.meanings import Meaning, meanings
from rrjax.reports import probes as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results, read_results
from rrjax.store import Arrays

if TYPE_CHECKING:
    from rrjax.choices import Outcome

_RIGHT = ArraySpec(
    ("class_target", "puzzle", "segment", "field", "task", "class"), "cells read right", "i"
)
_NUMBER = ArraySpec(("class_target", "puzzle", "segment", "task", "class"), "cells asked for", "i")
_ERROR = ArraySpec(
    ("number_target", "puzzle", "segment", "field", "task"), "summed squared error of the cells"
)
_SPREAD = ArraySpec(
    ("number_target", "puzzle", "segment", "task"), "summed squared distance to the mean"
)
ARRAYS = {
    "right": _RIGHT,
    "number": _NUMBER,
    "error": _ERROR,
    "spread": _SPREAD,
    "untrained_right": _RIGHT,
    "untrained_number": _NUMBER,
    "untrained_error": _ERROR,
    "untrained_spread": _SPREAD,
    "null": ArraySpec(
        ("target", "segment", "field", "permutation"), "score of labels permuted within puzzles"
    ),
    "low_rank": ArraySpec(
        ("class_target", "segment", "field", "rank"), "balanced accuracy of a probe of low rank"
    ),
    "solved_score": ArraySpec(
        ("puzzle", "segment", "field"), "score of 'solved' less that of 'failed', by the probe"
    ),
    "conflicts": ArraySpec(
        ("puzzle", "segment"), "cells to be found whose digit is repeated in a unit", "i"
    ),
    "answer_right": ArraySpec(("puzzle", "segment", "token"), "cells of the answer right", "i"),
    "answer_number": ArraySpec(("puzzle", "token"), "cells to be found, by their label", "i"),
    "answer_kept": ArraySpec(
        ("puzzle", "segment", "token"), "cells of the answer that the last answer keeps", "i"
    ),
    "kept_number": ArraySpec(("puzzle", "token"), "cells to be found, by the last answer", "i"),
    "solved_by_segment": ArraySpec(("puzzle", "segment"), "whether the answer is right", "b"),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "held_out": ArraySpec(("puzzle",), "number of the puzzle among the recorded ones", "i"),
}
_TRAINED = "trained"


def probe(
    states: Results,
    *,
    targets: Sequence[str] | None = None,
    ranks: Sequence[int] = (1, 2, 4),
    num_permutations: int = 20,
    probe_seed: int = 0,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Reads digits, candidates, conflicts and more from states by linear probes.

    Half of the puzzles, drawn at random, fit the probes, and the other half scores them. The probes
    are those of `rrjax.inside.discriminant` and `rrjax.inside.regression`, one for all cells, and
    the targets those of `rrjax.puzzles.meanings`. Things of the whole puzzle are read from the mean
    over its cells. Beside each score stand that of a control task, with a random label for each
    cell and input token (Hewitt and Liang 2019), those of labels permuted within puzzles, and that
    of the same cell with fresh weights.

    Args:
      states: What `rrjax.experiments.states` recorded.
      targets: Names of what is read; without it everything for which there are enough puzzles.
      ranks: Numbers of directions to which further probes are limited.
      num_permutations: Number of permutations of the labels.
      probe_seed: Seed of the halves, the permutations and the control tasks.
      folder: Folder for the result; None keeps it in memory.
      progress: Whether progress is shown.

    Returns:
      `right` (class targets, puzzles, segments, fields, 2, classes) and `number` count cells of
      held-out puzzles, for the task and its control; `error` and `spread` are summed squares of
      numbers. `untrained_right` and so on are those of fresh weights. `null` (targets, segments,
      fields, permutations), `low_rank` (class targets, segments, fields, ranks), `solved_score`
      (puzzles, segments, fields), `conflicts` (puzzles, segments); `held_out` says which puzzles.

    Raises:
      ValueError: A target is unknown or has one class only, there are fewer cells or puzzles than
        channels, or the puzzles are neither Sudokus nor mazes.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny")
      >>> run = rrjax.experiments.states(model, puzzles, num_segments=2, progress=False)
      >>> read = rrjax.experiments.probe(run, targets=["digit"], num_permutations=1, progress=False)
      >>> read.right.shape[2:]
      (2, 2, 2, 4)
    """
    check_count("num_permutations", num_permutations, least=1)
    check_seed("probe_seed", probe_seed)
    for rank in ranks:
        check_count("ranks", rank, least=1)
    both = recordings(states)
    first = both[_TRAINED]
    halves = split(len(first.inputs), probe_seed)
    vocab_size = _vocab_size(states, first)
    chosen, left_out = _choose(first, vocab_size, halves, targets)
    options = {"targets": targets, "ranks": list(ranks), "num_permutations": num_permutations}
    arrays: Arrays = {}
    steps = len(both) * first.solved.shape[1]
    with show_progress(f"probe of {states.record['model']['name']}", steps, progress) as bar:
        bar.start(0)
        for number, (name, recording) in enumerate(both.items()):
            plan = _Plan.of(recording, vocab_size, chosen, halves, probe_seed)
            if name == _TRAINED:
                plan = plan._replace(ranks=tuple(ranks), num_permutations=num_permutations)
            for segment, scores in enumerate(_by_segment(plan)):
                _store(arrays, "" if name == _TRAINED else f"{name}_", plan, segment, scores)
                bar.report(number * first.solved.shape[1] + segment + 1)
    arrays |= _of_answers(first, vocab_size, halves.held_out)
    probed = [m for m in _meanings(first, vocab_size) if m.name in chosen]
    classes = [m for m in probed if m.num_classes]
    return make_analysis(
        PROBE,
        states,
        arrays,
        {**options, "probe_seed": probe_seed},
        folder,
        num_train=len(halves.train),
        class_targets=[m.name for m in classes],
        number_targets=[m.name for m in probed if not m.num_classes],
        num_classes={m.name: m.num_classes for m in classes},
        ranks=list(ranks),
        left_out=left_out,
    )


class Halves(NamedTuple):
    """Which puzzles fit probes, and which score them: numbers in ascending order."""

    train: np.ndarray
    held_out: np.ndarray


def split(num_puzzles: int, seed: int) -> Halves:
    """Returns a random half of the puzzles, and the other half."""
    drawn = np.random.default_rng((seed, 0)).permutation(num_puzzles)
    half = num_puzzles // 2
    return Halves(np.sort(drawn[:half]), np.sort(drawn[half:]))


def recorded(job: Job, folder: str | Path | None) -> tuple[Recording, int]:
    """Returns recorded states of a job's model and puzzles, and the number of token values.

    Args:
      job: The model, the puzzles, and the segments that are needed.
      folder: Where they were recorded; None records them, below the job's folder if it has one.

    Raises:
      ValueError: They are of another model, of other puzzles, or of fewer segments.
    """
    if folder is None:
        own = None if job.folder is None else Path(job.folder) / "states"
        results = record_states(
            job.model,
            job.puzzles,
            num_segments=job.num_segments,
            untrained=False,
            outcome=cast("Outcome", job.outcome),
            folder=own,
            progress=job.progress,
        )
    else:
        results = read_results(folder)
    both = recordings(results)
    for what, described in (("model", job.described_model), ("puzzles", job.described_puzzles)):
        if results.record[what]["sha256"] != described["sha256"]:
            raise ValueError(f"states: {folder} holds states of another {what}; record them again")
    if both[_TRAINED].solved.shape[1] != job.num_segments:
        refuse("states", f"be of {job.num_segments} segments", both[_TRAINED].solved.shape[1])
    first = both[_TRAINED]
    return first, _vocab_size(results, first)


def meaning_named(recording: Recording, vocab_size: int, name: str) -> Meaning:
    """Returns one of the things that states may say; refuses an unknown name."""
    every = {m.name: m for m in _meanings(recording, vocab_size)}
    if name not in every:
        refuse("target", f"be among {', '.join(every)}", name)
    return every[name]


def _vocab_size(results: Results, recording: Recording) -> int:
    return results.record["puzzles"].get("vocab_size") or int(recording.labels.max()) + 1


class Cells(NamedTuple):
    """The cells of one half of the puzzles that a meaning asks for, one after another.

    Attributes:
      states: (n, channels) whitened.
      values: (n,)
      control: (n,) the values of the control task; None without one.
      puzzles: (n,) place of each cell's puzzle in the half.
      num_puzzles: Puzzles of the half.
    """

    states: np.ndarray
    values: np.ndarray
    control: np.ndarray | None
    puzzles: np.ndarray
    num_puzzles: int


class _Plan(NamedTuple):
    recording: Recording
    meanings: list[Meaning]
    controls: list[np.ndarray | None]
    halves: Halves
    seed: int
    ranks: tuple[int, ...] = ()
    num_permutations: int = 0

    @staticmethod
    def of(
        recording: Recording, vocab_size: int, names: Sequence[str], halves: Halves, seed: int
    ) -> "_Plan":
        chosen = [m for m in _meanings(recording, vocab_size) if m.name in names]
        types = _types(recording.inputs, vocab_size)
        controls = [
            None if m.of_puzzle else _control(np.random.default_rng((seed, 1, i)), m, types)
            for i, m in enumerate(chosen)
        ]
        return _Plan(recording, chosen, controls, halves, seed)

    @property
    def num_classes(self) -> int:
        """The number of classes of the meaning that has most."""
        return max((m.num_classes for m in self.meanings), default=0)


def _meanings(recording: Recording, vocab_size: int) -> list[Meaning]:
    inputs, labels, answers = (
        np.asarray(tokens, np.int64)
        for tokens in (recording.inputs, recording.labels, recording.answers)
    )
    return meanings(inputs, labels, answers, vocab_size)


def _types(inputs: np.ndarray, vocab_size: int) -> np.ndarray:
    """Returns (N, cells) the type of each cell: which cell it is, and its input token."""
    return np.arange(inputs.shape[1]) * vocab_size + inputs


def _control(rng: np.random.Generator, meaning: Meaning, types: np.ndarray) -> np.ndarray:
    """Returns (N, cells) the values of the control task, one for each type."""
    counts = np.broadcast_to(meaning.counts, meaning.values.shape)
    if not counts.any():
        return np.zeros_like(types)
    values = control_values(rng, meaning.values[counts], types.ravel())
    return values.reshape(types.shape)


def _choose(
    recording: Recording, vocab_size: int, halves: Halves, asked: Sequence[str] | None
) -> tuple[list[str], dict[str, str]]:
    """Returns the names of the targets, and why others are left out."""
    every = {m.name: m for m in _meanings(recording, vocab_size)}
    for name in asked or ():
        if name not in every:
            refuse("targets", f"be among {', '.join(every)}", name)
    reasons = {}
    for name in asked or every:
        reason = _reason(every[name], recording, halves)
        if reason and asked:
            raise ValueError(f"targets: {name} cannot be probed: {reason}")
        if reason:
            reasons[name] = reason
    return [name for name in asked or every if name not in reasons], reasons


def _reason(meaning: Meaning, recording: Recording, halves: Halves) -> str:
    """Returns why a meaning cannot be probed; nothing where it can be."""
    counts = np.broadcast_to(meaning.counts, meaning.values.shape)
    train = meaning.values[halves.train][counts[halves.train]]
    if len(np.unique(train)) < 2:
        return "it has one value only in the puzzles that fit the probes"
    channels = max(rows.shape[-1] for rows in recording.fields.values())
    number = len(halves.train) if meaning.of_puzzle else int(counts[halves.train, 0].sum())
    if number <= channels:
        what = "puzzles" if meaning.of_puzzle else "cells"
        return f"{number} {what} fit the probes, and more than {channels} channels are needed"
    return ""


class _Scores(NamedTuple):
    """What one probe makes of the held-out half: of classes counts, of numbers squares."""

    got: np.ndarray  # (puzzles, classes) right, or (puzzles,) squared error
    of: np.ndarray  # (puzzles, classes) cells, or (puzzles,) squared distance to the mean


@dataclass
class _State:
    """Everything that is read from one field after one segment."""

    plan: _Plan
    states: np.ndarray  # (N, cells, channels)
    segment: int

    def __post_init__(self):
        self.pooled = self.states.mean(1, keepdims=True)
        self.whitened: dict[bytes, tuple[Whitening, np.ndarray, np.ndarray]] = {}

    def cells(self, place: int) -> tuple[Whitening, Cells, Cells]:
        """Returns the cells of both halves that a meaning asks for, and how they were whitened."""
        meaning, control = self.plan.meanings[place], self.plan.controls[place]
        at = min(self.segment, meaning.values.shape[1] - 1)
        values = meaning.values[:, at]
        counts = np.broadcast_to(meaning.counts[:, 0], values.shape)
        key = counts.tobytes()
        states = self.pooled if meaning.of_puzzle else self.states
        if key not in self.whitened:
            halves = [states[half][counts[half]] for half in self.plan.halves]
            whiten: Whitening = whitening(halves[0])
            self.whitened[key] = whiten, whiten(halves[0]), whiten(halves[1])
        both = [
            Cells(
                whitened,
                values[half][counts[half]],
                None if control is None else control[half][counts[half]],
                np.nonzero(counts[half])[0],
                len(half),
            )
            for whitened, half in zip(self.whitened[key][1:], self.plan.halves, strict=True)
        ]
        return self.whitened[key][0], both[0], both[1]


def _by_segment(plan: _Plan) -> Iterator[list[list[dict[str, Any]]]]:
    """Yields for each segment, by field and meaning, what all probes make of the held-out half."""
    for segment in range(plan.recording.solved.shape[1]):
        fields = plan.recording.fields.values()
        states = [_State(plan, np.asarray(rows[:, segment]), segment) for rows in fields]
        number = range(len(plan.meanings))
        yield [[_probe_one(plan, state, place) for place in number] for state in states]


def _probe_one(plan: _Plan, state: _State, place: int) -> dict[str, Any]:
    meaning = plan.meanings[place]
    _, train, test = state.cells(place)
    made: dict[str, Any] = {"task": _score(meaning, train, test)}
    if train.control is not None:
        made["control"] = _score(meaning, _controlled(train), _controlled(test))
    if meaning.num_classes > 2:
        made["ranks"] = [
            _value(meaning, _score(meaning, train, test, rank))
            if rank < meaning.num_classes - 1
            else np.nan
            for rank in plan.ranks
        ]
    rng = np.random.default_rng((plan.seed, 2, place))
    made["null"] = [
        _value(meaning, _score(meaning, _shuffled(rng, train), _shuffled(rng, test)))
        for _ in range(plan.num_permutations)
    ]
    if meaning.name == "solved":
        made["margin"] = _margin(train, test)
    return made


def _controlled(cells: Cells) -> Cells:
    assert cells.control is not None
    return cells._replace(values=cells.control)


def _shuffled(rng: np.random.Generator, cells: Cells) -> Cells:
    """Returns the cells with their values permuted within puzzles; puzzles' own among puzzles."""
    groups = 0 * cells.puzzles if cells.control is None else cells.puzzles
    return cells._replace(values=shuffled_within(rng, cells.values, groups))


def _score(meaning: Meaning, train: Cells, test: Cells, rank: int | None = None) -> _Scores:
    """Returns what a probe that is fitted on one half makes of the other; zeros without a probe."""
    shape = test.num_puzzles, meaning.num_classes
    if len(np.unique(train.values)) < 2 or not len(test.values):
        zeros = np.zeros(shape if meaning.num_classes else shape[:1])
        return _Scores(zeros, zeros)
    if meaning.num_classes:
        fitted = discriminant(train.states, train.values, meaning.num_classes, rank)
        right = fitted.predict(test.states) == test.values
        bins = test.puzzles * meaning.num_classes + test.values
        counted = [np.bincount(bins, weights, np.prod(shape)) for weights in (right, None)]
        return _Scores(*(each.reshape(shape) for each in counted))
    line: Regression = regression(train.states, train.values)
    squares = [np.square(test.values - g) for g in (line.predict(test.states), line.offset)]
    return _Scores(*(np.bincount(test.puzzles, each, test.num_puzzles) for each in squares))


def _value(meaning: Meaning, scores: _Scores) -> float:
    measure = balanced_accuracy if meaning.num_classes else explained_share
    return measure(*scores).value


def _margin(train: Cells, test: Cells) -> np.ndarray:
    """Returns (puzzles,) by how much the probe prefers the second class; NaN without a probe."""
    margin = np.full(test.num_puzzles, np.nan)
    if len(np.unique(train.values)) == 2:
        fitted = discriminant(train.states, train.values, 2)
        scores = test.states @ fitted.weights + fitted.offsets
        margin[test.puzzles] = scores[:, 1] - scores[:, 0]
    return margin


def _store(
    arrays: Arrays, before: str, plan: _Plan, segment: int, scores: list[list[dict[str, Any]]]
) -> None:
    """Puts what was made of one segment into its place in the arrays."""
    if f"{before}right" not in arrays:
        arrays |= _empty(before, plan)
    classes = [i for i, m in enumerate(plan.meanings) if m.num_classes]
    numbers = [i for i, m in enumerate(plan.meanings) if not m.num_classes]
    for field, by_meaning in enumerate(scores):
        for target, place in enumerate(classes):
            made, K = by_meaning[place], plan.meanings[place].num_classes
            for task, name in enumerate(("task", "control")):
                if name in made:
                    arrays[f"{before}right"][target, :, segment, field, task, :K] = made[name].got
                    arrays[f"{before}number"][target, :, segment, task, :K] = made[name].of
            if "ranks" in made and not before:
                arrays["low_rank"][target, segment, field] = made["ranks"]
            if "margin" in made and not before:
                arrays["solved_score"][:, segment, field] = made["margin"]
        for target, place in enumerate(numbers):
            made = by_meaning[place]
            for task, name in enumerate(("task", "control")):
                if name in made:
                    arrays[f"{before}error"][target, :, segment, field, task] = made[name].got
                    arrays[f"{before}spread"][target, :, segment, task] = made[name].of
        if not before:
            for target, place in enumerate([*classes, *numbers]):
                arrays["null"][target, segment, field] = by_meaning[place]["null"]


def _empty(before: str, plan: _Plan) -> Arrays:
    num_classes = sum(bool(m.num_classes) for m in plan.meanings)
    num_numbers = len(plan.meanings) - num_classes
    puzzles, segments = len(plan.halves.held_out), plan.recording.solved.shape[1]
    fields, K = len(plan.recording.fields), plan.num_classes
    made: Arrays = {
        f"{before}right": np.zeros((num_classes, puzzles, segments, fields, 2, K), np.int16),
        f"{before}number": np.zeros((num_classes, puzzles, segments, 2, K), np.int16),
        f"{before}error": np.zeros((num_numbers, puzzles, segments, fields, 2)),
        f"{before}spread": np.zeros((num_numbers, puzzles, segments, 2)),
    }
    if before:
        return made
    every = num_classes + num_numbers
    return made | {
        "null": np.zeros((every, segments, fields, plan.num_permutations)),
        "low_rank": np.full((num_classes, segments, fields, len(plan.ranks)), np.nan),
        "solved_score": np.full((puzzles, segments, fields), np.nan),
    }


def _of_answers(recording: Recording, vocab_size: int, held_out: np.ndarray) -> Arrays:
    """Returns what the held-out puzzles' answers are, against which probes are held."""
    answers, labels, blank = (
        tokens[held_out] for tokens in (recording.answers, recording.labels, recording.blank)
    )
    made: Arrays = {
        "solved_by_segment": recording.solved[held_out],
        "solved": recording.solved[held_out, -1],
        "held_out": held_out,
    }
    for tokens, names in (
        (labels, ("answer_right", "answer_number")),
        (answers[:, -1], ("answer_kept", "kept_number")),
    ):
        is_class = np.where(blank, tokens, -1)[..., None] == np.arange(vocab_size)
        equal = (answers == tokens[:, None]).astype(np.int16)
        made[names[0]] = np.einsum("nsc,nck->nsk", equal, is_class.astype(np.int16))
        made[names[1]] = is_class.sum(axis=1, dtype=np.int16)
    conflicts = [m for m in _meanings(recording, vocab_size) if m.name.endswith("conflict")]
    if conflicts:
        repeated = np.any([m.values[held_out] for m in conflicts], axis=0) & blank[:, None]
        made["conflicts"] = repeated.sum(axis=-1)
    return made


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
    every = _meanings(recording, vocab_size)
    names = [m.name for m in every if not m.of_puzzle and m.name != "given"]
    for name in names:
        reason = _reason(next(m for m in every if m.name == name), recording, halves)
        if reason:
            raise ValueError(f"{name} cannot be probed: {reason}")
    plan = _Plan.of(recording, vocab_size, names, halves, seed)
    for segment in range(recording.solved.shape[1]):
        states = [
            _State(plan, np.asarray(rows[:, segment]), segment)
            for rows in recording.fields.values()
        ]
        yield [
            [_readout(plan, state, place, num_shuffles) for place in range(len(plan.meanings))]
            for state in states
        ]


def _readout(plan: _Plan, state: _State, place: int, num_shuffles: int) -> Readout:
    meaning = plan.meanings[place]
    whiten, train, test = state.cells(place)
    rng = np.random.default_rng((plan.seed, 4, place))
    drawn = [train, *(_shuffled(rng, train) for _ in range(num_shuffles))]
    found = [_directions(meaning, cells) for cells in drawn]
    spread = np.linalg.inv(whiten.root)  # T^½: from directions that are read to the code
    bases = [
        orthonormal(matrix @ directions) * np.sqrt(len(matrix) / directions.shape[1])
        for matrix in (whiten.root, spread)
        for directions in found
    ]
    readable = None
    if meaning.num_classes:
        scores = _score(meaning, train, test)
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


def numbers(results: Results) -> ProbeSummary:
    """Returns scores of probes by target, field, segment and outcome, and what they forecast."""
    return summarize_probes(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figures of what is read by segment, and of what tells solved from failed."""
    summary = numbers(results)
    draws: dict[str, Draw] = {"readings": partial(readings, summary)}
    if {"digit", "last answer", "on path"} & {r.target for r in summary.readings}:
        draws["decided"] = partial(decided, summary)
    if summary.forecasts:
        draws["forecasts"] = partial(forecasts, summary)
    return draws


PROBE = Experiment("probe", ARRAYS, numbers, report.tables, figures, panels=panels)
