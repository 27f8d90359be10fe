"""Probes: what a linear map reads from the states, after every segment and from every field."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.analysis.probes import ProbeSummary, summarize_probes
from rrjax.checks import check_count, check_seed, refuse
from rrjax.experiments.controlled import TRAINED
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.probed_cells import (
    Cells,
    Halves,
    Plan,
    StateCells,
    meanings_of,
    shuffled,
    split,
    vocab_size_of,
    why_not_probed,
)
from rrjax.experiments.readouts import score, value_of
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.inside.probes import discriminant
from rrjax.jobs.progress import progress as show_progress
from rrjax.page.probes import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.probes import decided, forecasts, readings
from rrjax.reports import probes as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

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
    first = both[TRAINED]
    halves = split(len(first.inputs), probe_seed)
    vocab_size = vocab_size_of(states, first)
    chosen, left_out = _choose(first, vocab_size, halves, targets)
    options = {"targets": targets, "ranks": list(ranks), "num_permutations": num_permutations}
    arrays: Arrays = {}
    steps = len(both) * first.solved.shape[1]
    with show_progress(f"probe of {states.record['model']['name']}", steps, progress) as bar:
        bar.start(0)
        for number, (name, recording) in enumerate(both.items()):
            plan = Plan.of(recording, vocab_size, chosen, halves, probe_seed)
            if name == TRAINED:
                plan = plan._replace(ranks=tuple(ranks), num_permutations=num_permutations)
            for segment, scores in enumerate(_by_segment(plan)):
                _store(arrays, "" if name == TRAINED else f"{name}_", plan, segment, scores)
                bar.report(number * first.solved.shape[1] + segment + 1)
    arrays |= _of_answers(first, vocab_size, halves.held_out)
    probed = [m for m in meanings_of(first, vocab_size) if m.name in chosen]
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


def _choose(
    recording: Recording, vocab_size: int, halves: Halves, asked: Sequence[str] | None
) -> tuple[list[str], dict[str, str]]:
    """Returns the names of the targets, and why others are left out."""
    every = {m.name: m for m in meanings_of(recording, vocab_size)}
    for name in asked or ():
        if name not in every:
            refuse("targets", f"be among {', '.join(every)}", name)
    reasons = {}
    for name in asked or every:
        reason = why_not_probed(every[name], recording, halves)
        if reason and asked:
            raise ValueError(f"targets: {name} cannot be probed: {reason}")
        if reason:
            reasons[name] = reason
    return [name for name in asked or every if name not in reasons], reasons


def _by_segment(plan: Plan) -> Iterator[list[list[dict[str, Any]]]]:
    """Yields for each segment, by field and meaning, what all probes make of the held-out half."""
    for segment in range(plan.recording.solved.shape[1]):
        fields = plan.recording.fields.values()
        states = [StateCells(plan, np.asarray(rows[:, segment]), segment) for rows in fields]
        number = range(len(plan.meanings))
        yield [[_probe_one(plan, state, place) for place in number] for state in states]


def _probe_one(plan: Plan, state: StateCells, place: int) -> dict[str, Any]:
    meaning = plan.meanings[place]
    _, train, test = state.cells(place)
    made: dict[str, Any] = {"task": score(meaning, train, test)}
    if train.control is not None:
        made["control"] = score(meaning, _controlled(train), _controlled(test))
    if meaning.num_classes > 2:
        made["ranks"] = [
            value_of(meaning, score(meaning, train, test, rank))
            if rank < meaning.num_classes - 1
            else np.nan
            for rank in plan.ranks
        ]
    rng = np.random.default_rng((plan.seed, 2, place))
    made["null"] = [
        value_of(meaning, score(meaning, shuffled(rng, train), shuffled(rng, test)))
        for _ in range(plan.num_permutations)
    ]
    if meaning.name == "solved":
        made["margin"] = _margin(train, test)
    return made


def _controlled(cells: Cells) -> Cells:
    assert cells.control is not None
    return cells._replace(values=cells.control)


def _margin(train: Cells, test: Cells) -> np.ndarray:
    """Returns (puzzles,) by how much the probe prefers the second class; NaN without a probe."""
    margin = np.full(test.num_puzzles, np.nan)
    if len(np.unique(train.values)) == 2:
        fitted = discriminant(train.states, train.values, 2)
        scores = test.states @ fitted.weights + fitted.offsets
        margin[test.puzzles] = scores[:, 1] - scores[:, 0]
    return margin


def _store(
    arrays: Arrays, before: str, plan: Plan, segment: int, scores: list[list[dict[str, Any]]]
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


def _empty(before: str, plan: Plan) -> Arrays:
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
    conflicts = [m for m in meanings_of(recording, vocab_size) if m.name.endswith("conflict")]
    if conflicts:
        repeated = np.any([m.values[held_out] for m in conflicts], axis=0) & blank[:, None]
        made["conflicts"] = repeated.sum(axis=-1)
    return made


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


PROBE = Experiment(
    "probe", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
