"""Erasing what probes read from a running model, against random directions and random steps."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.arrays import first_right
from rrjax.analysis.erasing import KINDS, ErasingSummary, summarize_erasing
from rrjax.analysis.scores import balanced_accuracy
from rrjax.checks import check_count, refuse
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, named_fields, run_segment
from rrjax.experiments.answers import margin, open_cells
from rrjax.experiments.experiment import Experiment, Job, fold_keys
from rrjax.experiments.probed_cells import Halves, meaning_named, recorded, split
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, take
from rrjax.experiments.recording import Recording
from rrjax.inside.erasing import Eraser, leace, random_eraser
from rrjax.inside.interventions import num_cells
from rrjax.inside.probes import discriminant, whitening
from rrjax.keys import make_key
from rrjax.page.erasing import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.erasing import erasures
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.meanings import Meaning
from rrjax.reports import erasing as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_BY = ("puzzle", "time", "part", "kind")
_SHARE = "share of the cells to be found that are right"
ARRAYS = {
    "right": ArraySpec((*_BY, "segment"), f"{_SHARE} after each segment"),
    "at_once": ArraySpec(_BY, f"{_SHARE}, read from the changed state"),
    "margin": ArraySpec(
        _BY,
        "logit of the label less the largest other, mean of the cells to be found, a segment after",
    ),
    "solved": ArraySpec(_BY, "whether the last answer is right", "b"),
    "first_solved": ArraySpec(
        _BY, "segment, from 1, after which the answer is first right; 0: never", "i"
    ),
    "distance": ArraySpec(_BY, "distance that a cell's state is moved by, as a share of its norm"),
    "own_right": ArraySpec(("puzzle", "segment"), f"{_SHARE}, where nothing is erased"),
    "own_margin": ArraySpec(("puzzle", "segment"), "margin where nothing is erased"),
    "own_solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "own_first_solved": ArraySpec(("puzzle",), "segment, from 1; 0: never", "i"),
    "probed": ArraySpec(
        ("time", "field", "state"), "accuracy of a probe: untouched, after LEACE, after random"
    ),
    "held_out": ArraySpec(("puzzle",), "number of the puzzle", "i"),
}
_POOLED = 4
"""Segments whose states an eraser for all later segments is fitted on."""

_MOST_DRAWS = 100
"""Each has a matrix (channels, channels) for every time and field."""


def erase(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    states: str | Path | None = None,
    target: str = "digit",
    segments: Sequence[int] = (2, 8),
    num_segments: int = 16,
    num_measured: int | None = None,
    num_draws: int = 8,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Erases a probe's directions from the running model, against as many random directions.

    `rrjax.inside.leace` is fitted on one half of the puzzles, on the states of the cells to be
    found, and applied to these cells of the other half: once after each of `segments`, and after
    every segment from the first of them on. There are two controls: as many random directions of
    the whitened states, and a step of the same length in a random direction of the cell's state.
    Fields of the state are changed one at a time, and all together.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, of which half fit the erasers.
      states: Folder of recorded states of the same model and puzzles (rrjax inside states). Without
        it they are recorded, in FOLDER-states where there is a folder.
      target: What is erased: a target of `rrjax.experiments.probe` that has classes and belongs to
        cells.
      segments: Numbers of segments after which it is erased.
      num_segments: Number of segments of each run.
      num_measured: Number of puzzles of the other half that are run, from the first; without it
        all.
      num_draws: Number of random subspaces, at most 100, which puzzles take in turn.
      seed: Draws the halves and the controls.

    The other arguments are those of `spectrum`.

    Returns:
      With axes (puzzles, times, parts, kinds), kinds LEACE, random and moved: `right` by segment,
      `at_once`, `margin`, `solved`, `first_solved` and `distance`. `own_right` and so on are those
      of undisturbed runs. `probed` (times, fields, 3) is the accuracy of probes on erased states.

    Raises:
      ValueError: The target is unknown or of whole puzzles, states are those of another run, there
        are too few puzzles, or a segment is not run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny")
      >>> run = rrjax.experiments.erase(
      ...     model, puzzles, segments=[1], num_segments=2, num_measured=1, progress=False
      ... )
      >>> run.solved.shape  # puzzles; once and from then on; z_H, z_L and both; kinds
      (1, 2, 3, 3)
    """
    place = folder, chunk_size, shard
    job = Job(ERASE, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    for segment in segments:
        check_count("segments", segment, least=1, most=num_segments - 1)
    check_count("num_draws", num_draws, least=1, most=_MOST_DRAWS)
    check_count("num_measured", num_measured, least=1)
    recording, vocab_size = recorded(job, states)
    meaning = meaning_named(recording, vocab_size, target)
    if not meaning.num_classes or meaning.of_puzzle:
        refuse("target", "have classes and belong to a cell", target)
    halves = split(len(recording.inputs), seed)
    measured = halves.held_out[:num_measured]
    fitted = _fit(recording, meaning, halves, sorted(segments), num_draws, seed)
    options = {
        "target": target,
        "segments": sorted(segments),
        "num_measured": num_measured,
        "num_draws": num_draws,
    }
    key = make_key(seed)

    def prepare(items: np.ndarray) -> tuple[Batch, jax.Array, np.ndarray]:
        which = measured[items]
        return take(puzzles, which), fold_keys(key, which), which % num_draws

    parts = _parts(job.dynamics)
    arrays = job.sweep(
        partial(_measure, job, fitted.flags, parts),
        prepare,
        len(measured),
        fitted.flags.shape[0] * len(parts) * len(KINDS),
        {"puzzles": job.described_puzzles["sha256"], **options},
        (getattr(model, "params", ()), fitted.erasers),
    )
    names = list(named_fields(job.dynamics.initial))
    return job.results(
        {**arrays, "probed": fitted.probed, "held_out": measured},
        options,
        num_train=len(halves.train),
        times=fitted.times,
        first_segments=fitted.starts,
        parts=[*names, "all"] if len(parts) > 1 else names,
        fields=names,
        rank=fitted.rank,
        chance=1 / meaning.num_classes,
    )


class _Fitted(NamedTuple):
    """What is erased when.

    Attributes:
      times: Words for each time: a segment, or the first of all after it.
      starts: Segments before the first erasure of each time.
      flags: (times, segments) after which segments.
      erasers: By field `Eraser`s with leading axes (times, draws, kinds).
      probed: (times, fields, 3)
      rank: Directions.
    """

    times: list[str]
    starts: list[int]
    flags: np.ndarray
    erasers: dict[str, Eraser]
    probed: np.ndarray
    rank: int


def _fit(
    recording: Recording,
    meaning: Meaning,
    halves: Halves,
    segments: list[int],
    num_draws: int,
    seed: int,
) -> _Fitted:
    total = recording.solved.shape[1]
    later = np.arange(segments[0], total)
    places = np.linspace(0, len(later) - 1, min(_POOLED, len(later))).round().astype(int)
    fitted_on = [*([s] for s in segments), later[places].tolist()]
    flags = np.zeros((len(fitted_on), total), bool)
    for row, segment in enumerate(segments):
        flags[row, segment] = True
    flags[-1, segments[0] :] = True
    erasers, probed = {}, np.zeros((len(fitted_on), len(recording.fields), 3))
    rng = np.random.default_rng((seed, 3))
    rank = 0
    for place, (name, rows) in enumerate(recording.fields.items()):
        by_time = []
        for time, after in enumerate(fitted_on):
            train, test = (_cells(rows, meaning, half, after) for half in halves)
            erasing = leace(*train)
            rank = erasing.out.shape[1]
            draws = [random_eraser(train[0], rank, rng) for _ in range(num_draws)]
            kinds = [_stack([erasing, draw, erasing]) for draw in draws]
            by_time.append(_stack(kinds))
            probed[time, place] = [
                _accuracy(train, test, meaning.num_classes, change)
                for change in (None, erasing, draws[0])
            ]
        erasers[name] = _stack(by_time)
    times = [*map(str, segments), f"{segments[0]} on"]
    return _Fitted(times, [*segments, segments[0]], flags, erasers, probed, rank)


def _cells(
    rows: np.ndarray, meaning: Meaning, half: np.ndarray, after: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the states of the cells that are asked for after some segments, and their classes."""
    states, classes = [], []
    for segment in after:
        at = min(segment - 1, meaning.values.shape[1] - 1)
        values = meaning.values[half, at]
        counts = np.broadcast_to(meaning.counts[half, 0], values.shape)
        states.append(np.asarray(rows[half, segment - 1])[counts])
        classes.append(values[counts])
    return np.concatenate(states), np.concatenate(classes)


def _accuracy(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    num_classes: int,
    change: Eraser | None,
) -> float:
    """Returns the balanced accuracy of a probe that is fitted and scored on changed states."""
    fit, held_out = (states if change is None else change(states) for states, _ in (train, test))
    whiten = whitening(fit)
    probe = discriminant(whiten(fit), train[1], num_classes)
    right = probe.predict(whiten(held_out)) == test[1]
    counted = [np.bincount(test[1], w, num_classes)[None] for w in (right, None)]
    return balanced_accuracy(*counted).value


def _stack(erasers: Sequence[Eraser]) -> Eraser:
    return Eraser(*(np.stack(parts).astype(np.float32) for parts in zip(*erasers, strict=True)))


def _parts(dynamics: Dynamics) -> np.ndarray:
    """Returns (parts, fields) which fields are changed: each alone, and all."""
    number = len(named_fields(dynamics.initial))
    alone = np.eye(number, dtype=bool)
    return np.concatenate([alone, np.ones((1, number), bool)]) if number > 1 else alone


def _measure(
    job: Job, flags: np.ndarray, parts: np.ndarray, shared: tuple[Any, Any], chunk: Any
) -> dict[str, Array]:
    params, erasers = shared

    def one(puzzle: Batch, key: jax.Array, draw: Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        is_open = open_cells(puzzle)
        chosen = jax.tree.map(lambda leaf: leaf[:, draw], erasers)  # (times, kinds, …)
        measure = partial(_run, job, dynamics, puzzle, is_open)
        is_moved = jnp.array([kind == "moved" for kind in KINDS])

        def by_kind(flag: Array, mask: Array, eraser: Any, moved: Array) -> dict[str, Array]:
            return measure(flag, mask, eraser, moved, key)

        kinds = jax.vmap(by_kind, in_axes=(None, None, 0, 0))
        of_parts = jax.vmap(kinds, in_axes=(None, 0, None, None))
        times = jax.vmap(of_parts, in_axes=(0, None, 0, None))
        made = times(jnp.asarray(flags), jnp.asarray(parts), chosen, is_moved)
        own = measure(
            jnp.zeros(flags.shape[1], bool),
            jnp.asarray(parts[-1]),
            jax.tree.map(lambda leaf: leaf[0, 0], chosen),
            jnp.array(False),
            key,
        )
        names = {"right": "right", "margins": "margin", "solved": "solved"}
        kept = {f"own_{new}": own[old] for old, new in names.items()}
        first = jnp.argmax(jnp.asarray(flags), axis=1)
        margins = jnp.take_along_axis(
            made.pop("margins"), first[:, None, None, None], axis=-1
        ).squeeze(-1)
        return {**made, **kept, "margin": margins, "own_first_solved": own["first_solved"]}

    return jax.vmap(one)(*chunk)


def _run(
    job: Job,
    dynamics: Dynamics,
    puzzle: Batch,
    is_open: Array,
    flags: Array,
    mask: Array,
    erasers: dict[str, Eraser],
    is_moved: Array,
    key: jax.Array,
) -> dict[str, Array]:
    """Returns what becomes of a run whose state is changed after some segments."""
    rows = jnp.concatenate(
        [jnp.zeros(len(jax.tree.leaves(dynamics.initial)[0]) - num_cells(dynamics), bool), is_open]
    )

    def share(tokens: Array) -> Array:
        return jnp.sum(is_open & (tokens == puzzle.labels)) / jnp.maximum(is_open.sum(), 1)

    def segment(state: State, step: tuple[Array, jax.Array]) -> tuple[State, dict[str, Array]]:
        flag, own_key = step
        changed, distance = _change(state, rows, mask, erasers, is_moved, own_key)
        state = jax.tree.map(partial(jnp.where, flag), changed, state)
        now = read_answer(dynamics, state).logits.argmax(-1)
        after = run_segment(dynamics, state)
        logits = read_answer(dynamics, after).logits
        return after, {
            "at_once": share(now),
            "distance": distance,
            "tokens": logits.argmax(-1),
            "margins": margin(logits, puzzle.labels, is_open),
        }

    steps = flags, jax.random.split(key, len(flags))
    _, seen = jax.lax.scan(segment, dynamics.initial, steps)
    right = job.judge.is_right(puzzle, seen["tokens"])
    first = jnp.argmax(flags)
    return {
        "right": jax.vmap(share)(seen["tokens"]),
        "margins": seen["margins"],
        "at_once": seen["at_once"][first],
        "distance": seen["distance"][first],
        "solved": right[-1],
        "first_solved": first_right(right),
    }


def _change(
    state: State,
    rows: Array,
    mask: Array,
    erasers: dict[str, Eraser],
    is_moved: Array,
    key: jax.Array,
) -> tuple[State, Array]:
    """Returns the changed state, and how far its rows are moved, as a mean share of their norm."""
    leaves, treedef = jax.tree.flatten(state)
    names = list(named_fields(state))
    keys = jax.random.split(key, len(leaves))
    changed, shares = [], []
    for place, (name, leaf) in enumerate(zip(names, leaves, strict=True)):
        step = erasers[name](leaf) - leaf
        length = jnp.linalg.norm(step, axis=-1, keepdims=True)
        noise = jax.random.normal(keys[place], leaf.shape, leaf.dtype)
        noise *= length / jnp.linalg.norm(noise, axis=-1, keepdims=True)
        step = jnp.where(is_moved, noise, step)
        is_changed = rows[:, None] & mask[place]
        changed.append(leaf + jnp.where(is_changed, step, 0))
        norm = jnp.linalg.norm(leaf, axis=-1)
        total = jnp.where(rows, length[:, 0] / jnp.where(norm == 0, 1, norm), 0).sum()
        shares.append(total / jnp.maximum(rows.sum(), 1))
    distance = jnp.sum(jnp.where(mask, jnp.stack(shares), 0)) / jnp.maximum(mask.sum(), 1)
    return treedef.unflatten(changed), distance


def numbers(results: Results) -> ErasingSummary:
    """Returns what erasing does to answers, by time, field and kind."""
    return summarize_erasing(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of the cells that are right after each segment, by kind of change."""
    return {"erasures": partial(erasures, results)}


ERASE = Experiment(
    "erase", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
