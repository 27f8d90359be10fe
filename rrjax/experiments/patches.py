"""Patches between trajectories: what of a solved run frees a failure, and what breaks a success."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.patches import PatchSummary, summarize_patches
from rrjax.checks import MOST_RUNS, check_count, check_number, refuse
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, named_fields, run_segment
from rrjax.dynamics.rollout import observe_segments, whole_norm
from rrjax.dynamics.spectrum import spectrum as measure_spectrum
from rrjax.dynamics.starts import perturb, start_scale
from rrjax.experiments.experiment import Experiment, Job, fold_keys
from rrjax.experiments.reasoner import (
    Puzzles,
    Reasoner,
    bind,
    observe_tokens,
    read_answer,
    take,
)
from rrjax.frames import norms
from rrjax.inside.interventions import insert, num_cells
from rrjax.keys import make_key
from rrjax.outcomes import margin
from rrjax.page.patches import panels as patches_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.patches import margins_by_cell, patches_by_segment
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.sudoku import size_of
from rrjax.puzzles.sudoku_symmetry import random_symmetries
from rrjax.reports import patches as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

DONORS = ("start", "copy", "puzzle")
"""Where a donor comes from: the same puzzle from another start, a copy of it with its cells moved,
another puzzle."""

KINDS = ("patch", "control", "nothing", "donor")
"""What is run on: the patched state; the own state moved as far along a random direction; the own
state; the donor's own state under the donor's dynamics."""

_BY = ("pair", "segment", "part", "kind")
ARRAYS = {
    "recipient": ArraySpec(("pair",), "puzzle", "i"),
    "donor_puzzle": ArraySpec(("pair",), "puzzle", "i"),
    "donor": ArraySpec(("pair",), f"place in {', '.join(DONORS)}", "i"),
    "recipient_solved": ArraySpec(("pair",), "whether the recipient alone is solved", "b"),
    "patched_after": ArraySpec(("segment",), "segments before the patch", "i"),
    "solved": ArraySpec(_BY, "whether the last answer is right", "b"),
    "first_solved": ArraySpec(
        _BY, "segments after the patch until the answer is first right; 0: never", "i"
    ),
    "cells_right": ArraySpec(_BY, "share of the cells to be found that are right at the end"),
    "margin": ArraySpec(
        _BY, "logit of the label less the largest other, mean of the cells to be found, at the end"
    ),
    "lambda1": ArraySpec(_BY, "nats per update, from the patch on"),
    "distance": ArraySpec(("pair", "segment", "part"), "norm of what the patch changes"),
    "base_solved": ArraySpec(("puzzle", "run"), "whether a run that may donate is solved", "b"),
    "map_pair": ArraySpec(("mapped",), "pair", "i"),
    "map_margin": ArraySpec(
        ("mapped", "kind_of_map", "cell"), "margin with this cell patched, and with its control"
    ),
    "map_nothing": ArraySpec(("mapped",), "margin without a patch"),
}
_START, _COPY, _CONTROL = 2**32 - 1, 2**32 - 2, 2**32 - 3
"""Branches off the seed where no puzzle's number can be."""


class Run(NamedTuple):
    """A run from a start of its own, of a puzzle whose cells may be moved.

    Attributes:
      puzzle: The puzzle, as it is.
      cells: (seq,) The cell of the puzzle that goes to each cell of the run.
      key: Draws the start.
      sigma: The noise of the start / std(H_init).
    """

    puzzle: Batch
    cells: Any
    key: Any
    sigma: Any


class Pair(NamedTuple):
    """A run, and another one whose state is put into it; the key draws what controls need."""

    recipient: Run
    donor: Run
    key: Any


def patching(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    segments: Sequence[int] = (2, 4, 8),
    num_segments: int = 16,
    num_starts: int = 4,
    sigma: float = 1.0,
    num_copies: int = 4,
    num_exponents: int = 0,
    num_mapped: int = 0,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Puts states of solved runs into failures, and of failures into solved runs, with controls.

    A donor has the other outcome than the recipient: the same puzzle from another start, a copy of
    it with rows, columns and boxes moved (its tokens are moved back, its digits keep their names),
    or another puzzle. After a number of segments the whole state or one of its fields is replaced,
    and the recipient runs on. The control moves the same fields of the recipient's state as far
    along a random direction.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, N of them.
      segments: After how many segments states are replaced.
      num_segments: Segments of the runs that tell recipients and donors, and of those that go on
        from the patched states.
      num_starts: Number of other starts of each puzzle that may donate.
      sigma: Noise of these starts, relative to the spread of the model's initial vector.
      num_copies: Number of moved copies of each Sudoku that may donate.
      num_exponents: 1 to measure λ1 from the patch on, 0 not to.
      num_mapped: Number of pairs of the first kind of donor in which every cell is also patched
        alone, after the first of the segments.

    The other arguments are those of `spectrum`.

    Returns:
      Arrays by pair, segment, part (each field of the state, and all) and kind (`patch`, `control`,
      `nothing`, `donor`): `solved`, `first_solved`, `cells_right`, `margin` and, if asked for,
      `lambda1`; `distance` (pairs, segments, parts) that patch and control move the state; of each
      pair `recipient`, `donor_puzzle`, `donor` and `recipient_solved`; `base_solved` (N, runs) of
      the runs among which donors are chosen. With `num_mapped` also `map_margin`.

    Raises:
      ValueError: The puzzles or sizes do not fit the model, the segments are not there, no pair has
        two outcomes, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("trm-sudoku6")
      >>> puzzles = model.test_puzzles()[:6]
      >>> run = rrjax.experiments.patching(
      ...     model,
      ...     puzzles,
      ...     segments=[1],
      ...     num_segments=4,
      ...     num_starts=1,
      ...     num_copies=1,
      ...     progress=False,
      ... )
      >>> run.solved.shape[1:]  # segments, parts and kinds
      (1, 3, 4)
    """
    listed = " ".join(map(str, segments)) or "none"
    if not segments or len(set(segments)) < len(segments):
        refuse("segments", "be one or more different numbers", listed)
    for segment in segments:
        check_count("segments", segment, least=0, most=num_segments)
    check_count("num_starts", num_starts, most=MOST_RUNS)
    check_count("num_copies", num_copies, most=MOST_RUNS)
    check_count("num_exponents", num_exponents, most=1)
    check_count("num_mapped", num_mapped)
    check_number("sigma", sigma, above=0)
    place = folder, chunk_size, shard
    job = Job(PATCHING, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    if job.dynamics.drive is not None:
        raise ValueError("patches between puzzles need dynamics without a drive")
    options = {
        "segments": sorted(segments),
        "num_starts": num_starts,
        "sigma": sigma,
        "num_copies": num_copies if _size(puzzles) else 0,
        "num_exponents": num_exponents,
        "num_mapped": num_mapped,
    }
    bench = _Bench(job, options)
    base = bench.base_runs()
    pairs = choose_pairs(base, bench.kinds, seed)
    if not len(pairs):
        raise ValueError(
            f"no two runs of different outcome: all of {base.size} runs are "
            f"{'solved' if base.all() else 'failed'}; take other or more puzzles"
        )
    arrays = bench.patched_runs(pairs) | bench.maps(pairs) | {"base_solved": base}
    parts = [*named_fields(job.dynamics.initial), "all"]
    facts = {"parts": parts if len(parts) > 2 else ["all"], "donors": list(DONORS)}
    return job.results(arrays, options, clock="segment", kinds=list(KINDS), **facts)


def choose_pairs(solved: np.ndarray, kinds: np.ndarray, seed: int) -> np.ndarray:
    """Returns (pairs, 4) recipients, donors' puzzles and runs, and kinds of donors.

    Each puzzle, from its own start, gets of each kind the first donor with the other outcome; of
    other puzzles, from their own starts, a random one.

    Args:
      solved: (N, runs) booleans; run 0 is from the puzzle's own start.
      kinds: (runs,) the place in `DONORS` of each run; −1 of run 0.
      seed: Draws the other puzzles.
    """
    pairs, rng = [], np.random.default_rng((seed, 1))
    for puzzle, own in enumerate(solved[:, 0].tolist()):
        for kind in (0, 1):
            others = np.flatnonzero((kinds == kind) & (solved[puzzle] != own))
            if len(others):
                pairs.append((puzzle, puzzle, others[0], kind))
        others = np.flatnonzero(solved[:, 0] != own)
        chosen = rng.integers(len(solved))  # drawn in any case: pairs do not depend on others
        if len(others):
            pairs.append((puzzle, others[chosen % len(others)], 0, 2))
    return np.array(pairs, np.int64).reshape(-1, 4)


class _Bench:
    """The three sweeps of the experiment, below one folder."""

    def __init__(self, job: Job, options: dict[str, Any]):
        self.job, self.options = job, options
        numbers = options["num_starts"], options["num_copies"]
        self.kinds = np.repeat([-1, 0, 1], [1, *numbers])
        self.moves = _moved_cells(job.puzzles, options["num_copies"], job.seed)

    def base_runs(self) -> np.ndarray:
        """Returns (N, runs) which runs are solved at the end."""
        number, runs = len(self.job.puzzles.inputs), len(self.kinds)
        names = ("num_starts", "sigma", "num_copies")
        arrays = self._sweep(
            "runs",
            partial(_last_solved, self.job),
            lambda items: self._runs(*np.divmod(items, runs)),
            number * runs,
            {name: self.options[name] for name in names},
            0,
        )
        return arrays["solved"].reshape(number, runs)

    def patched_runs(self, pairs: np.ndarray) -> Arrays:
        """Returns what becomes of every pair under every patch and its control."""
        segments, exponents = self.options["segments"], self.options["num_exponents"]
        arrays = self._sweep(
            "pairs",
            partial(_patched, self.job, tuple(segments), exponents),
            lambda items: self._pairs(pairs[items]),
            len(pairs),
            {**self.options, "num_mapped": 0, "pairs": pairs},
            8 * len(segments) * (1 + exponents),
        )
        recipient, donor, _, kind = pairs.T
        arrays |= {"recipient": recipient, "donor_puzzle": donor, "donor": kind}
        arrays["recipient_solved"] = arrays.pop("own")
        return arrays | {"patched_after": np.array(segments)}

    def maps(self, pairs: np.ndarray) -> Arrays:
        """Returns what becomes of pairs of the first kind with every cell patched alone."""
        nearest = np.flatnonzero(pairs[:, 3] == pairs[:, 3].min())
        chosen = nearest[: self.options["num_mapped"]]
        if not len(chosen):
            return {}
        segment = self.options["segments"][0]
        arrays = self._sweep(
            "maps",
            partial(_mapped, self.job, segment),
            lambda items: self._pairs(pairs[chosen[items]]),
            len(chosen),
            {**self.options, "pairs": pairs[chosen]},
            2 * num_cells(self.job.dynamics),
        )
        return {"map_pair": chosen, **arrays}

    def _sweep(
        self, name: str, compute: Any, prepare: Any, number: int, facts: dict, tangents: int
    ) -> Arrays:
        folder = None if self.job.folder is None else Path(self.job.folder) / name
        job = replace(self.job, folder=folder)
        identity = {"puzzles": job.described_puzzles["sha256"], "part": name, **facts}
        arrays = job.sweep(compute, prepare, number, tangents, identity)
        self.job.chunk = job.chunk
        return arrays

    def _runs(self, puzzle: np.ndarray, run: np.ndarray) -> Run:
        kind = self.kinds[run]
        starts = fold_keys(jax.random.fold_in(make_key(self.job.seed), _START), puzzle)
        batch = take(self.job.puzzles, puzzle)
        cells = np.broadcast_to(np.arange(batch.inputs.shape[1]), batch.inputs.shape).copy()
        for place in np.flatnonzero(kind == 1):
            cells[place] = self.moves[puzzle[place], run[place] - 1 - self.options["num_starts"]]
        sigma = np.where(kind == 0, self.options["sigma"], 0).astype(np.float32)
        return Run(batch, cells, jax.vmap(jax.random.fold_in)(starts, run), sigma)

    def _pairs(self, pairs: np.ndarray) -> Pair:
        recipient, donor, run, kind = pairs.T
        keys = fold_keys(jax.random.fold_in(make_key(self.job.seed), _CONTROL), recipient)
        keys = jax.vmap(jax.random.fold_in)(keys, kind)
        return Pair(self._runs(recipient, 0 * run), self._runs(donor, run), keys)


def _size(puzzles: Puzzles) -> int | None:
    if not isinstance(puzzles, PuzzleSet):
        return None
    return size_of(puzzles.metadata.seq_len, puzzles.metadata.vocab_size)


def _moved_cells(puzzles: Puzzles, number: int, seed: int) -> np.ndarray:
    """Returns (N, number, cells) the cells that copies move to each cell."""
    size = _size(puzzles)
    if not number or size is None:
        return np.zeros((len(puzzles.inputs), 0, 0), np.int64)
    rngs = (np.random.default_rng((seed, _COPY, i)) for i in range(len(puzzles.inputs)))
    return np.stack([random_symmetries(rng, size, number).cells for rng in rngs])


def _begin(job: Job, params: Any, run: Run) -> Dynamics:
    """Returns the dynamics of a run from its start."""
    moved = run.puzzle._replace(inputs=run.puzzle.inputs[run.cells])
    dynamics = bind(job.model, params, moved)
    scale = run.sigma * start_scale(dynamics.initial)
    return replace(dynamics, initial=perturb(run.key, dynamics.initial, scale))


def _labelled(run: Run) -> Batch:
    """Returns the puzzle as the run sees it."""
    inputs, labels = (tokens[run.cells] for tokens in (run.puzzle.inputs, run.puzzle.labels))
    return run.puzzle._replace(inputs=inputs, labels=labels)


def _last_solved(job: Job, params: Any, runs: Run) -> dict[str, Array]:
    def one(run: Run) -> dict[str, Array]:
        end = observe_segments(_begin(job, params, run), _nothing, job.num_segments)[0]
        dynamics = _begin(job, params, run)
        answer = read_answer(dynamics, end).logits.argmax(-1)
        return {"solved": job.judge.is_right(_labelled(run), answer)}

    return jax.vmap(one)(runs)


def _nothing(dynamics: Dynamics, before: State, after: State, frame: None) -> None:
    return None


def _states(dynamics: Dynamics, segments: tuple[int, ...]) -> State:
    """Returns the states after some segments, side by side."""

    def segment(state: State, _: None) -> tuple[State, State]:
        return run_segment(dynamics, state), state

    _, states = jax.lax.scan(segment, dynamics.initial, length=max(segments) + 1)
    return jax.tree.map(lambda leaf: leaf[np.array(segments)], states)


def _moved_back(run: Run, states: State) -> State:
    """Returns a donor's states with the rows of its cells where the puzzle has them."""
    back = jnp.argsort(run.cells)

    def rows(leaf: Array) -> Array:
        leading = leaf.shape[1] - len(back)
        return jnp.concatenate([leaf[:, :leading], leaf[:, leading:][:, back]], axis=1)

    return jax.tree.map(rows, states)


def _patched(
    job: Job, segments: tuple[int, ...], num_exponents: int, params: Any, pairs: Pair
) -> dict[str, Array]:
    def one(pair: Pair) -> dict[str, Array]:
        own, donor = (_begin(job, params, run) for run in pair[:2])
        before, given = _states(own, segments), _states(donor, segments)
        key_control, key_frame = jax.random.split(pair.key)
        measure = partial(_measure, job, num_exponents, key_frame)
        changed = partial(_changed, own, key_control)
        fields = list(named_fields(own.initial))
        choices = [*([[field] for field in fields] if len(fields) > 1 else []), fields]
        sources = _moved_back(pair.donor, given)
        states = [jax.vmap(partial(changed, choice))(before, sources) for choice in choices]
        patched, control, distance = zip(*states, strict=True)
        every = _stack([*patched, *control, before])  # (2 parts + 1, segments)
        on = jax.vmap(jax.vmap(partial(measure, own, _labelled(pair.recipient))))(every)
        alone = jax.vmap(partial(measure, donor, _labelled(pair.donor)))(given)
        number = len(choices)

        def by_kind(on: Array, alone: Array) -> Array:
            nothing, donor = (jnp.broadcast_to(x, on[:number].shape) for x in (on[-1], alone))
            kinds = jnp.stack([on[:number], on[number : 2 * number], nothing, donor])
            return jnp.moveaxis(kinds, (0, 1, 2), (2, 1, 0))  # (segments, parts, kinds)

        base = observe_segments(own, _nothing, job.num_segments)[0]
        answer = read_answer(own, base).logits.argmax(-1)
        solved = job.judge.is_right(pair.recipient.puzzle, answer)
        return {
            **jax.tree.map(by_kind, on, alone),
            "distance": jnp.stack(distance, axis=1),
            "own": solved,
        }

    return jax.vmap(one)(pairs)


def _changed(
    dynamics: Dynamics, key: jax.Array, fields: list[str], own: State, source: State
) -> tuple[State, State, Array]:
    """Returns the patched state, its control, and how far both are from the own state."""
    patched = insert(dynamics, own, source, state=fields)
    return patched, *_control(key, own, patched)


def _control(key: jax.Array, own: State, patched: State) -> tuple[State, Array]:
    """Returns the own state moved as far in a random direction of the components that change."""
    change = jax.tree.map(jnp.subtract, patched, own)
    noise = perturb(key, jax.tree.map(jnp.zeros_like, own), 1.0)
    noise = jax.tree.map(lambda r, c: jnp.where(c == 0, 0, r), noise, change)
    length, size = whole_norm(norms(change)), whole_norm(norms(noise))
    scale = length / jnp.where(size == 0, 1, size)
    return jax.tree.map(lambda z, r: z + scale * r, own, noise), length


def _stack(states: Sequence[State]) -> State:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _measure(
    job: Job,
    num_exponents: int,
    key: jax.Array,
    dynamics: Dynamics,
    puzzle: Batch,
    start: State,
) -> dict[str, Array]:
    """Returns what becomes of one run from a state on."""
    if num_exponents:
        run = measure_spectrum(
            dynamics, 1, job.num_segments, key=key, initial=start, observe=observe_tokens
        )
        state, tokens, exponent = run.state, run.observed, {"lambda1": run.exponents[0]}
    else:
        state, tokens = observe_segments(dynamics, observe_tokens, job.num_segments, initial=start)
        exponent = {}
    right = job.judge.is_right(puzzle, tokens)
    logits = read_answer(dynamics, state).logits
    is_open = _open_cells(puzzle)
    number = jnp.maximum(is_open.sum(), 1)
    return {
        "solved": right[-1],
        "first_solved": jnp.where(right.any(), right.argmax() + 1, 0),
        "cells_right": jnp.sum(is_open & (tokens[-1] == puzzle.labels)) / number,
        "margin": margin(logits, puzzle.labels, is_open),
        **exponent,
    }


def _open_cells(puzzle: Batch) -> Array:
    """Returns (seq,) which cells are to be found: the label is known and is no clue."""
    return (puzzle.labels != IGNORE_LABEL) & (puzzle.labels != puzzle.inputs)


def _mapped(job: Job, segment: int, params: Any, pairs: Pair) -> dict[str, Array]:
    def one(pair: Pair) -> dict[str, Array]:
        own, donor = (_begin(job, params, run) for run in pair[:2])
        before = jax.tree.map(lambda leaf: leaf[0], _states(own, (segment,)))
        given = _moved_back(pair.donor, _states(donor, (segment,)))
        given = jax.tree.map(lambda leaf: leaf[0], given)
        puzzle = _labelled(pair.recipient)

        def margin_from(start: State) -> Array:
            state = observe_segments(own, _nothing, job.num_segments, initial=start)[0]
            return margin(read_answer(own, state).logits, puzzle.labels, _open_cells(puzzle))

        def with_cell(cell: Array, key: jax.Array) -> Array:
            patched = insert(own, before, given, cell)
            return jnp.stack([margin_from(patched), margin_from(_control(key, before, patched)[0])])

        number = num_cells(own)
        keys = jax.random.split(pair.key, number)
        return {
            "map_margin": jax.vmap(with_cell)(jnp.eye(number, dtype=bool), keys).T,
            "map_nothing": margin_from(before),
        }

    return jax.vmap(one)(pairs)


def numbers(results: Results) -> PatchSummary:
    """Returns what patches and their controls change, by kind of donor, segment and part."""
    return summarize_patches(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of what patches change, and boards where single cells were patched."""
    draws: dict[str, Draw] = {"patches_by_segment": partial(patches_by_segment, numbers(results))}
    cells = results["map_margin"].shape[-1] if "map_margin" in results else 0
    if cells and math.isqrt(cells) ** 2 == cells:
        draws["margins_by_cell"] = partial(margins_by_cell, results)
    return draws


PATCHING = Experiment("patching", ARRAYS, numbers, report.tables, figures, panels=patches_panels)
