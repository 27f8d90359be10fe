"""Patches between trajectories: what of a solved run frees a failure, and what breaks a success."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.patches import PatchSummary, summarize_patches
from rrjax.checks import MOST_RUNS, check_count, check_number, refuse
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, named_fields
from rrjax.experiments.answers import open_cells
from rrjax.experiments.cell_maps import map_cells
from rrjax.experiments.continued import (
    Contest,
    described,
    end_state,
    go_on,
    random_step,
    states_after,
)
from rrjax.experiments.donors import (
    DONORS,
    Donors,
    Pair,
    Run,
    as_seen,
    begin,
    board_size,
    choose_pairs,
    moved_back,
)
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.reasoner import Puzzles, Reasoner, read_answer
from rrjax.inside.interventions import insert, num_cells
from rrjax.page.patches import panels as patches_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.patches import changes_by_segment, margins_by_cell, patches_by_segment
from rrjax.reports import patches as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

KINDS = ("patch", "control", "nothing", "donor")
"""What is run on: the patched state; the own state moved as far along a random direction; the own
state; the donor's own state under the donor's dynamics."""

ARRAYS = {
    "recipient": ArraySpec(("pair",), "puzzle", "i"),
    "donor_puzzle": ArraySpec(("pair",), "puzzle", "i"),
    "donor": ArraySpec(("pair",), f"place in {', '.join(DONORS)}", "i"),
    "recipient_solved": ArraySpec(("pair",), "whether the recipient alone is solved", "b"),
    "patched_after": ArraySpec(("segment",), "segments before the patch", "i"),
    **described("pair", "segment", "part", "kind"),
    "distance": ArraySpec(("pair", "segment", "part"), "norm of what the patch changes"),
    "base_solved": ArraySpec(("puzzle", "run"), "whether a run that may donate is solved", "b"),
    "map_pair": ArraySpec(("mapped",), "pair", "i"),
    "map_margin": ArraySpec(
        ("mapped", "kind_of_map", "cell"), "margin with this cell patched, and with its control"
    ),
    "map_nothing": ArraySpec(("mapped",), "margin without a patch"),
    "map_solved": ArraySpec(
        ("mapped", "kind_of_map", "cell"), "whether the last answer is then right", "b"
    ),
    "map_open": ArraySpec(("mapped", "cell"), "whether the cell is to be found", "b"),
    "map_answers": ArraySpec(
        ("mapped", "of_pair", "cell"), "token at the patch, of the recipient and the donor", "i"
    ),
}


def patching(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    segments: Sequence[int] = (2, 4, 8),
    num_segments: int = 16,
    num_starts: int = 4,
    sigma: float = 1.0,
    num_copies: int = 4,
    num_relabelled: int = 0,
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
    another puzzle, or a copy of it with its digits exchanged. How a state holds a digit is no
    permutation of its components, so that the state of such a copy goes in as it is, with the
    copy's digits, while the recipient's own digits are injected in every update. It is a control
    rather than a source of the answer: `hrm-sudoku6` goes back to its own digits.

    After a number of segments the whole state or one of its fields is replaced, and the recipient
    runs on. The control moves the same fields of the recipient's state as far along a random
    direction.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, N of them.
      segments: Numbers of segments after which states are replaced.
      num_segments: Number of segments of the runs that provide recipients and donors, and of the
        runs that go on from the patched states.
      num_starts: Number of other starts of each puzzle that may be donors.
      sigma: Noise of these starts, relative to the spread of the model's initial vector.
      num_copies: Number of moved copies of each Sudoku that may be donors.
      num_relabelled: Number of copies of each Sudoku with exchanged digits that may donate. With
        any it is also measured how many cells keep a donor's answer.
      num_exponents: With 1, λ₁ is measured from the patch on; 0 means no exponent.
      num_mapped: Number of pairs with a donor of the first kind in which every cell is also patched
        alone, after the first of the segments.

    The other arguments are those of `spectrum`.

    Returns:
      Arrays by pair, segment, part (each field of the state, and all) and kind (`patch`, `control`,
      `nothing`, `donor`): `solved`, `first_solved`, `cells_right`, `margin`, of Sudokus
      `rows_right`, `columns_right` and `boxes_right`, and, if asked for, `lambda1` and `donated`;
      `distance` (pairs, segments, parts) that patch and control move the state; of each pair
      `recipient`, `donor_puzzle`, `donor` and `recipient_solved`; `base_solved` (N, runs) of the
      runs among which donors are chosen. With `num_mapped` also the arrays of
      `rrjax.experiments.cell_maps.map_cells`.

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
    check_count("num_relabelled", num_relabelled, most=MOST_RUNS)
    check_count("num_exponents", num_exponents, most=1)
    check_count("num_mapped", num_mapped)
    check_number("sigma", sigma, above=0)
    place = folder, chunk_size, shard
    job = Job(PATCHING, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    if job.dynamics.drive is not None:
        raise ValueError("patches between puzzles need dynamics without a drive")
    is_sudoku = board_size(puzzles) is not None
    options = {
        "segments": sorted(segments),
        "num_starts": num_starts,
        "sigma": sigma,
        "num_copies": num_copies if is_sudoku else 0,
        "num_exponents": num_exponents,
        "num_mapped": num_mapped,
    }
    if is_sudoku and num_relabelled:
        options["num_relabelled"] = num_relabelled
    bench = _Bench(job, options)
    base = bench.base_runs()
    pairs = choose_pairs(base, bench.donors.kinds, seed)
    if not len(pairs):
        raise ValueError(
            f"no two runs of different outcome: all of {base.size} runs are "
            f"{'solved' if base.all() else 'failed'}; take other or more puzzles"
        )
    arrays = bench.patched_runs(pairs) | bench.maps(pairs) | {"base_solved": base}
    parts = [*named_fields(job.dynamics.initial), "all"]
    facts = {"parts": parts if len(parts) > 2 else ["all"], "donors": list(DONORS)}
    return job.results(arrays, options, clock="segment", kinds=list(KINDS), **facts)


class _Bench:
    """The three sweeps of the experiment, below one folder."""

    def __init__(self, job: Job, options: dict[str, Any]):
        self.job, self.options = job, options
        names = ("num_starts", "num_copies", "num_relabelled", "sigma")
        self.drawn = {name: options[name] for name in names if name in options}
        self.donors = Donors(job, **{"num_relabelled": 0, **self.drawn})

    def base_runs(self) -> np.ndarray:
        """Returns (N, runs) which runs are solved at the end."""
        number, runs = len(self.job.puzzles.inputs), len(self.donors.kinds)
        arrays = self._sweep(
            "runs",
            partial(_last_solved, self.job),
            lambda items: self.donors.runs(*np.divmod(items, runs)),
            number * runs,
            self.drawn,
            0,
        )
        return arrays["solved"].reshape(number, runs)

    def patched_runs(self, pairs: np.ndarray) -> Arrays:
        """Returns what becomes of every pair under every patch and its control."""
        segments, exponents = self.options["segments"], self.options["num_exponents"]
        arrays = self._sweep(
            "pairs",
            partial(
                _patched, self.job, tuple(segments), exponents, "num_relabelled" in self.options
            ),
            lambda items: self.donors.pairs(pairs[items]),
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
            "cells",
            partial(map_cells, self.job, segment),
            lambda items: self.donors.pairs(pairs[chosen[items]]),
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


def _last_solved(job: Job, params: Any, runs: Run) -> dict[str, Array]:
    def one(run: Run) -> dict[str, Array]:
        dynamics = begin(job, params, run)
        answer = read_answer(dynamics, end_state(dynamics, job.num_segments)).logits.argmax(-1)
        return {"solved": job.judge.is_right(as_seen(run), answer)}

    return jax.vmap(one)(runs)


def _patched(
    job: Job,
    segments: tuple[int, ...],
    num_exponents: int,
    is_contested: bool,
    params: Any,
    pairs: Pair,
) -> dict[str, Array]:
    def one(pair: Pair) -> dict[str, Array]:
        own, donor = (begin(job, params, run) for run in pair[:2])
        before, given = states_after(own, segments), states_after(donor, segments)
        key_control, key_frame = jax.random.split(pair.key)
        changed = partial(_changed, own, key_control)
        fields = list(named_fields(own.initial))
        choices = [*([[field] for field in fields] if len(fields) > 1 else []), fields]
        sources = moved_back(pair.donor, given)
        states = [jax.vmap(partial(changed, choice))(before, sources) for choice in choices]
        patched, control, distance = zip(*states, strict=True)
        every = _stack([*patched, *control, before])  # (2 parts + 1, segments)
        contest = _contest(pair) if is_contested else None

        def measure(dynamics: Dynamics, run: Run) -> Any:
            return partial(go_on, job, num_exponents, key_frame, dynamics, as_seen(run), contest)

        on = jax.vmap(jax.vmap(measure(own, pair.recipient)))(every)
        alone = jax.vmap(measure(donor, pair.donor))(given)
        number = len(choices)

        def by_kind(on: Array, alone: Array) -> Array:
            nothing, donor = (jnp.broadcast_to(x, on[:number].shape) for x in (on[-1], alone))
            kinds = jnp.stack([on[:number], on[number : 2 * number], nothing, donor])
            return jnp.moveaxis(kinds, (0, 1, 2), (2, 1, 0))  # (segments, parts, kinds)

        answer = read_answer(own, end_state(own, job.num_segments)).logits.argmax(-1)
        return {
            **jax.tree.map(by_kind, on, alone),
            "distance": jnp.stack(distance, axis=1),
            "own": job.judge.is_right(pair.recipient.puzzle, answer),
        }

    return jax.vmap(one)(pairs)


def _contest(pair: Pair) -> Contest:
    """Returns the cells to be found in which the donor's answer is another, where puzzles have it.

    Copies with moved cells have none.
    """
    own = as_seen(pair.recipient)
    donated = as_seen(pair.donor).labels[jnp.argsort(pair.donor.cells)]
    return Contest(open_cells(own) & (donated >= 0) & (donated != own.labels), donated)


def _changed(
    dynamics: Dynamics, key: jax.Array, fields: list[str], own: State, source: State
) -> tuple[State, State, Array]:
    """Returns the patched state, its control, and how far both are from the own state."""
    patched = insert(dynamics, own, source, state=fields)
    return patched, *random_step(key, own, patched)


def _stack(states: Sequence[State]) -> State:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def numbers(results: Results) -> PatchSummary:
    """Returns what patches and their controls change, by kind of donor, segment and part."""
    return summarize_patches(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of what patches change, and boards where single cells were patched."""
    summary = numbers(results)
    draws: dict[str, Draw] = {
        "patches_by_segment": partial(patches_by_segment, summary),
        "changes_by_segment": partial(changes_by_segment, summary),
    }
    cells = results["map_margin"].shape[-1] if "map_margin" in results else 0
    if cells and math.isqrt(cells) ** 2 == cells:
        draws["margins_by_cell"] = partial(margins_by_cell, results)
    return draws


PATCHING = Experiment(
    "patching",
    ARRAYS,
    numbers,
    report.tables,
    figures,
    findings=report.findings,
    panels=patches_panels,
)
