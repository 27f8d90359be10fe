"""What logits are made of by stage and channel, and which cells of the input they depend on."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.logit_terms import LogitSummary, summarize_logits
from rrjax.checks import check_count
from rrjax.choices import AskedChunkSize
from rrjax.contract import Dynamics, State, named_fields, run_segment
from rrjax.experiments.answers import open_cells
from rrjax.experiments.controlled import stacked, with_control
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.mixings import sudoku_size
from rrjax.experiments.reasoner import (
    Puzzles,
    Reasoner,
    answer_field,
    bind,
    read_answer,
    take,
)
from rrjax.inside.growth import stage_names
from rrjax.inside.interventions import state_at
from rrjax.inside.logits import channel_terms, saliency, stage_terms
from rrjax.keys import make_key
from rrjax.page.logit_terms import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.logit_terms import saliency_on_peers, terms_by_stage
from rrjax.puzzles import peer_graphs
from rrjax.puzzles.batch import Batch
from rrjax.reports import logit_terms as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

CLASSES = ("right", "wrong")
"""Blank cells by whether the last answer to them is right."""

MEASURES = ("norm", "× input", "removal")
"""‖G‖, G · x and G · (x_blank − x), as in `rrjax.inside.Saliency`."""

_SHARE = ArraySpec(("run", "puzzle", "start", "measure"), "share of |saliency| on the peers")
_LOGITS = "difference of logits, mean of the cells of a class"
ARRAYS = {
    "before": ArraySpec(("run", "puzzle", "class"), f"{_LOGITS}, before the last segment"),
    "stages": ArraySpec(("run", "puzzle", "class", "stage"), f"{_LOGITS}, added by a stage"),
    "channels": ArraySpec(("run", "puzzle", "channel"), "difference of logits, mean of blanks"),
    "num_channels": ArraySpec(
        ("run", "puzzle", "basis"), "(Σ|c|)² / Σc² of a cell's channels, mean of blanks"
    ),
    "share": _SHARE,
    "expected_share": _SHARE._replace(unit="the same, expected of permuted cells"),
    "clue_effect": ArraySpec(
        ("run", "puzzle", "start", "signed", "where"), "difference of logits by one clue, mean"
    ),
}
_TARGETS = 2**32 - 6
"""A branch off the seed where no puzzle's number can be."""


class _Item(NamedTuple):
    """A puzzle, the blank cells whose saliency is taken, and whether they count."""

    puzzle: Batch
    targets: Any
    counts: Any


def logits(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_segments: int = 16,
    num_sampled: int = 32,
    num_targets: int = 4,
    untrained: bool = True,
    seed: int = 0,
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Splits margins of logits by stage and channel, and takes their gradient by the clues.

    The margin of a blank cell is the logit of its label less the largest other one after the last
    segment. It is linear in the state, so that the stages of the last segment
    (`rrjax.inside.stage_terms`) and the channels of the last state (`rrjax.inside.channel_terms`)
    add up to it. Its gradient by the embedded input (`rrjax.inside.saliency`) is taken through the
    first segment, in which the model learns of the puzzle, and through the last one, whose state is
    held. Shares on the peers are compared with what is expected where givens and blanks each change
    their places at random.

    Args:
      model: A model whose context has the embedded puzzle `x`.
      puzzles: Sudokus with labels, N of them.
      num_segments: Number of segments of each run.
      num_sampled: Number of puzzles, from the first.
      num_targets: Number of random blank cells of each puzzle whose gradient is taken.
      untrained: Whether the same cell with fresh weights is measured too, as a control.

    The other arguments are those of `spectrum`.

    Returns:
      By run (`trained` and `untrained`): `before` (runs, N, classes) and `stages` (…, stages) the
      margin before the last segment and what its stages add, means over right and over wrong blank
      cells (NaN where there are none); `channels` (runs, N, channels) means over blank cells;
      `num_channels` (runs, N, 2) of the own and of a random basis; `share` and `expected_share`
      (runs, N, starts, measures); `clue_effect` (runs, N, starts, 2, 2) of one given on the margin
      by gradient × input and by removal, of peers and of other cells.

    Raises:
      ValueError: The puzzles are no Sudokus with labels, the model has no embedded puzzle, a number
        is out of range, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.logits(
      ...     model, puzzles, num_segments=2, untrained=False, progress=False
      ... )
      >>> run.stages.shape  # runs, puzzles, classes, stages
      (1, 2, 2, 5)
    """
    check_count("num_sampled", num_sampled, least=1)
    check_count("num_targets", num_targets, least=1)
    size = sudoku_size(puzzles)
    puzzles = puzzles[:num_sampled]  # pyright: ignore[reportIndexIssue]
    place = folder, chunk_size, shard
    asked = Job(LOGITS, model, puzzles, num_segments, seed, "exact", *place, progress)
    targets, counts = _choose_targets(puzzles, num_targets, seed)
    sweep = partial(_sweep, size=size, targets=targets, counts=counts)
    runs = with_control(asked, untrained, sweep)
    return asked.results(
        stacked(runs),
        {"num_sampled": len(puzzles.inputs), "num_targets": num_targets},
        runs=list(runs),
        classes=list(CLASSES),
        stages=list(stage_names(asked.dynamics)),
        starts=["first", "last"],
        measures=list(MEASURES),
    )


def _choose_targets(puzzles: Puzzles, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (N, number) random blank cells of each puzzle, and which of them are there."""
    blank = open_cells(take(puzzles, np.arange(len(puzzles.inputs))))
    if not blank.any():
        raise ValueError("the puzzles have no blank cell whose answer is known; their labels lack")
    rngs = [np.random.default_rng((seed, _TARGETS, i)) for i in range(len(blank))]
    order = np.stack(
        [
            np.argsort(rng.random(blank.shape[1]) - 2 * row)
            for rng, row in zip(rngs, blank, strict=True)
        ]
    )
    targets = order[:, :number]
    return targets, np.take_along_axis(blank, targets, 1)


def _sweep(job: Job, size: int, targets: np.ndarray, counts: np.ndarray) -> Arrays:
    width = named_fields(job.dynamics.initial)[answer_field(job.dynamics)].shape[-1]
    basis = jnp.linalg.qr(jax.random.normal(make_key(job.seed), (width, width)))[0]
    peers = peer_graphs(size)["all"]

    def prepare(items: np.ndarray) -> _Item:
        return _Item(take(job.puzzles, items), targets[items], counts[items])

    identity = {"puzzles": job.described_puzzles["sha256"], "targets": targets}
    shared = getattr(job.model, "params", ()), basis
    compute = partial(_measure, job, peers)
    return job.sweep(compute, prepare, len(targets), 8 * targets.shape[1], identity, shared)


def _measure(
    job: Job, peers: np.ndarray, shared: tuple[Any, Array], items: _Item
) -> dict[str, Array]:
    params, basis = shared

    def one(item: _Item) -> dict[str, Array]:
        dynamics = bind(job.model, params, item.puzzle)
        empty = item.puzzle._replace(inputs=jnp.ones_like(item.puzzle.inputs))
        embedded = bind(job.model, params, empty).context
        before = state_at(dynamics, job.num_segments - 1)
        after = run_segment(dynamics, before)
        kept = _terms(dynamics, item.puzzle, before, after, basis)
        starts = [
            _saliency(dynamics, embedded, peers, item, start)
            for start in (dynamics.initial, before)
        ]
        return kept | jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)

    return jax.vmap(one)(items)


def _margins(dynamics: Dynamics, labels: Array, rivals: Array, state: State) -> Array:
    """Returns (cells,) the logits of the labels less those of other tokens."""
    logits = read_answer(dynamics, state).logits
    chosen = jnp.take_along_axis(logits, jnp.stack([labels, rivals], 1), 1)
    return chosen[:, 0] - chosen[:, 1]


def _rivals(dynamics: Dynamics, labels: Array, state: State) -> Array:
    """Returns (cells,) the tokens with the largest logit beside the labels."""
    logits = read_answer(dynamics, state).logits
    is_label = jnp.arange(logits.shape[-1]) == labels[:, None]
    return jnp.where(is_label, -jnp.inf, logits).argmax(-1)


def _terms(
    dynamics: Dynamics, puzzle: Batch, before: State, after: State, basis: Array
) -> dict[str, Array]:
    labels = jnp.maximum(puzzle.labels, 0)
    read = partial(_margins, dynamics, labels, _rivals(dynamics, labels, after))
    terms = stage_terms(dynamics, before, read)
    blank = open_cells(puzzle)
    right = read(after) > 0
    classes = jnp.stack([blank & right, blank & ~right])  # (classes, cells)
    own, turned = (channel_terms(dynamics, after, read, b) for b in (None, basis))
    effective = [jnp.abs(c).sum(1) ** 2 / jnp.sum(jnp.square(c), 1) for c in (own, turned)]
    return {
        "before": _mean(classes, terms.before),
        "stages": jax.vmap(lambda values: _mean(classes, values), out_axes=1)(terms.stages),
        "channels": _mean(blank[None], own.T[:, None])[:, 0],
        "num_channels": _mean(blank[None], jnp.stack(effective)[:, None])[:, 0],
    }


def _mean(chosen: Array, values: Array) -> Array:
    """Returns the means of (…, cells) over the chosen cells (groups, cells); NaN for none."""
    return jnp.sum(jnp.where(chosen, values, 0), -1) / chosen.sum(-1)


def _saliency(
    dynamics: Dynamics, empty: Any, peers: np.ndarray, item: _Item, start: State
) -> dict[str, Array]:
    labels = jnp.maximum(item.puzzle.labels, 0)
    rivals = _rivals(dynamics, labels, run_segment(dynamics, start))

    def read(dynamics: Dynamics, state: State) -> Array:
        return _margins(dynamics, labels, rivals, state)

    maps = saliency(dynamics, start, read, item.targets, empty["x"])
    values = jnp.stack([maps.norm, maps.times_input, maps.removal])  # (measures, targets, cells)
    near = jnp.asarray(peers)[item.targets]  # (targets, cells)
    other = jnp.arange(len(peers)) != item.targets[:, None]
    given = item.puzzle.inputs > 1
    share, expected = peer_shares(jnp.abs(values), near, other, given)
    counts = item.counts
    clue = jnp.stack([near & given, ~near & other & given])[:, None]  # (where, 1, targets, cells)
    effect = jnp.sum(jnp.where(clue, values[1:], 0), -1) / clue.sum(-1)  # (where, signed, targets)
    return {
        "share": _mean(counts, share),
        "expected_share": _mean(counts, expected),
        "clue_effect": _mean(counts, effect).T,
    }


def peer_shares(size: Array, near: Array, other: Array, given: Array) -> tuple[Array, Array]:
    """Returns (measures, targets) shares on the peers, and those expected of permuted cells.

    Givens change places with givens and blanks with blanks, the cell itself left out.
    """
    total = jnp.sum(jnp.where(other, size, 0), -1)
    expected = jnp.zeros_like(total)
    for kind in (given, ~given):
        members = kind & other
        fraction = (near & members).sum(-1) / jnp.maximum(members.sum(-1), 1)
        expected += fraction * jnp.sum(jnp.where(members, size, 0), -1)
    return jnp.sum(jnp.where(near, size, 0), -1) / total, expected / total


def numbers(results: Results) -> LogitSummary:
    """Returns the terms of margins by stage and channel, and the shares on the peers."""
    return summarize_logits(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figures of the stages, and of the saliency on the peers."""
    summary = numbers(results)
    return {
        "terms_by_stage": partial(terms_by_stage, summary),
        "saliency_on_peers": partial(saliency_on_peers, summary),
    }


LOGITS = Experiment(
    "logits", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
