"""Meaning meets dynamics: leading Lyapunov vectors against what probes read from the states."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.vectors import MeaningSummary, summarize_meaning
from rrjax.checks import check_count
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, count_updates, named_fields, run_segment
from rrjax.dynamics.covariant import covariant_vectors
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.dynamics.rollout import whole_norm
from rrjax.experiments.answers import margin, open_cells
from rrjax.experiments.experiment import Experiment, Job, fold_keys
from rrjax.experiments.probed_cells import Halves, recorded, split
from rrjax.experiments.readouts import Readout, read_states
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, take
from rrjax.experiments.recording import Recording
from rrjax.frames import Frame, dimension, norms, random_frame
from rrjax.inside.interventions import num_cells
from rrjax.keys import make_key
from rrjax.page.vectors import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.vectors import falls, overlaps
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.reports import vectors as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_AT = ("puzzle", "segment", "vector")
ARRAYS = {
    "overlap": ArraySpec(
        (*_AT, "target", "field", "kind"), "share of a vector on the cells, over a random one's"
    ),
    "in_field": ArraySpec((*_AT, "field"), "share of a vector's squared norm"),
    "on_cells": ArraySpec((*_AT, "class"), "share per given, right and wrong cell, over an even"),
    "along_answer": ArraySpec(
        _AT, "squared cosine with the gradient of the margin, times the dimension"
    ),
    "growth": ArraySpec(("puzzle", "segment", "exponent"), "nats per update, of covariant vectors"),
    "readable": ArraySpec(
        ("puzzle", "segment", "field", "class_target"), "share of the cells that are read right"
    ),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "held_out": ArraySpec(("puzzle",), "number of the puzzle", "i"),
}
_FORWARD_SEGMENTS, _PASSES = 2, 8
"""The horizon of forward vectors, and how often their frame goes there and back at most."""

_SHUFFLES = 8
"""Permutations of the labels whose probes are the control; their overlaps are averaged."""


def meaning(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    states: str | Path | None = None,
    num_vectors: int = 2,
    forward_after: Sequence[int] = (),
    num_segments: int = 16,
    backward_transient: int = 4,
    num_measured: int | None = None,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Holds leading covariant and forward vectors against what probes read, and against cells.

    Probes are fitted on one half of the puzzles, as by `probe`, and vectors are followed in the
    other half. The overlap of a vector with a meaning is `rrjax.inside.overlap` on the cells to be
    found, in units of what a random direction has on average. It is measured for the directions
    that a probe reads and for those in which states differ between classes (the first times the
    covariance), with probes of labels permuted within puzzles and with random vectors as controls.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, of which half fit the probes.
      states: Folder of recorded states of the same model and puzzles (rrjax inside states); None
        records them, in FOLDER-states where there is a folder.
      num_vectors: Number of covariant vectors.
      forward_after: After how many segments the leading forward vector, which grows most over the
        next two segments, is measured too.
      num_segments: Number of segments of each run.
      backward_transient: Segments that runs go on, from which covariant vectors are followed back.
      num_measured: Puzzles of the other half that are measured, from the first; None: all.
      seed: Draws the halves, frames and controls.

    The other arguments are those of `spectrum`.

    Returns:
      `overlap` (puzzles, segments, vectors, targets, fields, kinds), the kinds being what is read,
      the code, and both of permuted labels; `in_field`, `on_cells` and `along_answer` of each
      vector; `growth` (puzzles, segments, covariant vectors) in nats per update; `readable`
      (puzzles, segments, fields, class targets); `solved` and `held_out`.

    Raises:
      ValueError: States are those of another run, there are too few puzzles, or a segment is not
        run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny")
      >>> run = rrjax.experiments.meaning(
      ...     model, puzzles, num_vectors=1, num_segments=2, num_measured=1, progress=False
      ... )
      >>> run.growth.shape, run.record["vectors"]
      ((1, 2, 1), ['covariant 1', 'random'])
    """
    place = folder, chunk_size, shard
    job = Job(MEANING, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    check_count("num_vectors", num_vectors, least=1)
    check_count("backward_transient", backward_transient)
    check_count("num_measured", num_measured, least=1)
    for segment in forward_after:
        check_count("forward_after", segment, least=1, most=num_segments)
    recording, vocab_size = recorded(job, states)
    halves = split(len(recording.inputs), seed)
    halves = Halves(halves.train, halves.held_out[:num_measured])
    probes = _fit(recording, vocab_size, halves, seed)
    sizes = _Sizes(num_vectors, tuple(sorted(forward_after)), num_segments, backward_transient)
    key = make_key(seed)

    def prepare(items: np.ndarray) -> tuple[Batch, jax.Array]:
        which = halves.held_out[items]
        return take(puzzles, which), fold_keys(key, which)

    options = {
        "num_vectors": num_vectors,
        "forward_after": sorted(forward_after),
        "backward_transient": backward_transient,
        "num_measured": num_measured,
    }
    arrays = job.sweep(
        partial(_measure, job, sizes),
        prepare,
        len(halves.held_out),
        num_vectors,
        {"puzzles": job.described_puzzles["sha256"], **options},
        (getattr(model, "params", ()), probes.bases),
    )
    names = [f"covariant {i + 1}" for i in range(num_vectors)]
    return job.results(
        {
            **arrays,
            "readable": probes.readable,
            "solved": recording.solved[halves.held_out, -1],
            "held_out": halves.held_out,
        },
        options,
        vectors=[*names, *(["forward"] if forward_after else []), "random"],
        targets=probes.targets,
        class_targets=probes.class_targets,
        fields=list(named_fields(job.dynamics.initial)),
        num_train=len(halves.train),
        clock="segment",
    )


class _Probes(NamedTuple):
    """Probes of every segment and field.

    Attributes:
      bases: By field (segments, targets, 2 + 2 shuffles, channels, rank) orthonormal directions
        times √(channels/rank), padded with zeros.
      readable: (puzzles, segments, fields, class targets)
    """

    bases: dict[str, np.ndarray]
    readable: np.ndarray
    targets: list[str]
    class_targets: list[str]


def _fit(recording: Recording, vocab_size: int, halves: Halves, seed: int) -> _Probes:
    bases: dict[str, list[np.ndarray]] = {name: [] for name in recording.fields}
    readable = []
    readouts: list[Readout] = []
    for by_field in read_states(recording, vocab_size, halves, seed, _SHUFFLES):
        for name, readouts in zip(recording.fields, by_field, strict=True):
            bases[name].append(_stack([readout.bases for readout in readouts]))
        readable.append([[r.readable for r in rs if r.readable is not None] for rs in by_field])
    return _Probes(
        {name: np.stack(each).astype(np.float32) for name, each in _padded(bases).items()},
        np.array(readable, np.float32).transpose(3, 0, 1, 2),
        [readout.name for readout in readouts],
        [readout.name for readout in readouts if readout.readable is not None],
    )


def _padded(bases: Mapping[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    rank = max(each.shape[-1] for every in bases.values() for each in every)
    return {name: [_pad(each, rank) for each in every] for name, every in bases.items()}


def _stack(bases: Sequence[np.ndarray]) -> np.ndarray:
    rank = max(each.shape[-1] for each in bases)
    return np.stack([_pad(each, rank) for each in bases])


def _pad(basis: np.ndarray, rank: int) -> np.ndarray:
    """Returns orthonormal directions with zeros behind them, scaled by √(channels/rank)."""
    return np.pad(basis, [(0, 0)] * (basis.ndim - 1) + [(0, rank - basis.shape[-1])])


class _Sizes(NamedTuple):
    num_vectors: int
    forward_after: tuple[int, ...]
    num_segments: int
    backward_transient: int


def _measure(
    job: Job, sizes: _Sizes, shared: tuple[Any, dict[str, Array]], chunk: tuple[Batch, jax.Array]
) -> dict[str, Array]:
    params, bases = shared

    def one(puzzle: Batch, key: jax.Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        run = covariant_vectors(
            dynamics,
            sizes.num_vectors,
            sizes.num_segments + sizes.backward_transient,
            key=key,
            forward_transient=0,
            backward_transient=sizes.backward_transient,
        )
        keys = jax.random.split(jax.random.fold_in(key, 1), sizes.num_segments)
        frames = [run.vectors]
        if sizes.forward_after:
            frames.append(_forward(dynamics, run.states, sizes, key))
        frames.append(jax.vmap(lambda key: random_frame(key, dynamics.initial, 1))(keys))
        vectors = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *frames)
        measured = jax.vmap(partial(_look, dynamics, puzzle))(run.states, vectors, bases)
        updates = count_updates(dynamics.schedule)
        growth = run.log_growth.reshape(sizes.num_segments, updates, -1).mean(axis=1)
        return {**measured, "growth": growth}

    return jax.vmap(one)(*chunk)


def _forward(dynamics: Dynamics, states: State, sizes: _Sizes, key: jax.Array) -> Frame:
    """Returns the leading forward vector after each segment, NaN where it is not asked for."""
    places = np.array(sizes.forward_after) - 1

    def at(state: State) -> Frame:
        return forward_vectors(
            dynamics, 1, _FORWARD_SEGMENTS, key=key, initial=state, max_passes=_PASSES
        ).frame

    frames = jax.lax.map(at, jax.tree.map(lambda leaf: leaf[places], states))
    return jax.tree.map(
        lambda leaf: (
            jnp.full((sizes.num_segments, *leaf.shape[1:]), jnp.nan, leaf.dtype)
            .at[places]
            .set(leaf)
        ),
        frames,
    )


def _look(
    dynamics: Dynamics, puzzle: Batch, state: State, vectors: Frame, bases: dict[str, Array]
) -> dict[str, Array]:
    """Returns where vectors (vectors, tokens, channels) at a state lie."""
    answer = read_answer(dynamics, state).logits.argmax(-1)
    known = puzzle.labels != IGNORE_LABEL
    is_open = open_cells(puzzle)
    wrong = is_open & (answer != puzzle.labels)
    classes = jnp.stack([known & ~is_open, is_open & ~wrong, wrong])
    cells = {
        name: leaf[:, leaf.shape[1] - num_cells(dynamics) :]
        for name, leaf in named_fields(vectors).items()
    }
    overlap = [_overlap(cells[name], bases[name], is_open) for name in cells]
    squares = jnp.stack(
        [jnp.sum(jnp.square(leaf), (1, 2)) for leaf in named_fields(vectors).values()], axis=-1
    )
    by_cell = [jnp.sum(jnp.square(leaf), -1) for leaf in cells.values()]
    on_each = jnp.stack(by_cell).sum(0)  # (vectors, cells)
    even = jnp.sum(on_each, -1, keepdims=True) / on_each.shape[-1]
    per_class = on_each @ classes.T / classes.sum(-1)  # NaN for a class without a cell

    def answered(state: State) -> Array:
        return margin(
            read_answer(dynamics, run_segment(dynamics, state)).logits, puzzle.labels, is_open
        )

    gradient = jax.grad(answered)(state)
    products = jax.tree.map(
        lambda rows, leaf: jnp.tensordot(rows, leaf, axes=leaf.ndim), vectors, gradient
    )
    cosine = sum(jax.tree.leaves(products)) / whole_norm(norms(gradient))
    return {
        "overlap": jnp.stack(overlap, axis=2),
        "in_field": squares / squares.sum(-1, keepdims=True),
        "on_cells": per_class / even,
        "along_answer": jnp.square(cosine) * dimension(state),
    }


def _overlap(vectors: Array, bases: Array, is_open: Array) -> Array:
    """Returns (vectors, targets, kinds) the overlaps, in units of a random direction's."""
    chosen = jnp.where(is_open[:, None], vectors, 0)
    inside = jnp.einsum("vcd,tbdr->vtbcr", chosen, bases)
    shares = (
        jnp.sum(jnp.square(inside), (-2, -1)) / jnp.sum(jnp.square(chosen), (1, 2))[:, None, None]
    )
    half = shares.shape[-1] // 2
    shuffled = [shares[..., part].mean(-1) for part in (slice(1, half), slice(half + 1, None))]
    return jnp.stack([shares[..., 0], shares[..., half], *shuffled], axis=-1)


def numbers(results: Results) -> MeaningSummary:
    """Returns overlaps and places of vectors by outcome, and what falls of growth go with."""
    return summarize_meaning(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figures of overlaps by segment, and of what is read around a fall of growth."""
    summary = numbers(results)
    return {"overlaps": partial(overlaps, summary), "falls": partial(falls, summary)}


MEANING = Experiment(
    "meaning", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
