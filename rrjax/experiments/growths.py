"""Growth by part: which sub-layer, field, update and cell stretches the leading vectors."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.analysis.arrays import first_right
from rrjax.analysis.growths import GrowthSummary, summarize_growth
from rrjax.checks import MOST_SEGMENTS, check_count
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, count_updates, named_fields, run_segment, updates
from rrjax.dynamics.local import local_growth
from rrjax.dynamics.participation import participation
from rrjax.dynamics.rollout import observe_segments, whole_norm
from rrjax.experiments.answers import loss
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.judging import WORDS
from rrjax.experiments.reasoner import (
    Puzzles,
    Reasoner,
    answer_field,
    bind,
    observe_tokens,
    take,
)
from rrjax.frames import Frame, dimension, norms, random_frame
from rrjax.inside.growth import growth_by_part, stage_names
from rrjax.page.growths import panels as growths_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.growths import stages_by_outcome
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.reports import growths as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_PART = "nats per update, as a share of the exponent"
_SHARE = "share of a vector's squared norm"
_COSINE = "squared cosine with the gradient of the loss"
ARRAYS = {
    "exponents": ArraySpec(("puzzle", "exponent"), "nats per update"),
    "by_stage": ArraySpec(("puzzle", "place", "stage", "exponent"), _PART),
    "alignment": ArraySpec(("puzzle", "stage", "exponent"), f"{_PART}, of residual sums"),
    "size": ArraySpec(("puzzle", "stage", "exponent"), f"{_PART}, of residual sums"),
    "by_row_": ArraySpec(("puzzle", "exponent", "token"), _PART),
    "share_": ArraySpec(("puzzle", "segment", "exponent"), f"{_SHARE} in a field"),
    "along_loss": ArraySpec(("puzzle", "segment", "exponent"), _COSINE),
    "random_along_loss": ArraySpec(("puzzle", "segment"), f"{_COSINE}, of a random vector"),
    "natural": ArraySpec(("puzzle", "segment"), "factor per segment, of the last step"),
    "singular_value": ArraySpec(("puzzle",), "factor per segment, at the end"),
    "v1_": ArraySpec(("puzzle",), f"{_SHARE} in a field, of the right singular vector"),
    "u1_": ArraySpec(("puzzle",), f"{_SHARE} in a field, of the left singular vector"),
    "finite": ArraySpec(("puzzle",), "whether no number of the run was NaN or infinite", "b"),
    "solved": ArraySpec(("puzzle",), "whether the answer after the run is right", "b"),
    "first_solved": ArraySpec(
        ("puzzle",), "segment, from 1, after which the answer is first right; 0: never", "i"
    ),
    "answers": ArraySpec(("puzzle", "cell"), "token", "i"),
    "inputs": ArraySpec(("puzzle", "cell"), "token", "i"),
    "labels": ArraySpec(("puzzle", "cell"), f"token; {IGNORE_LABEL}: not known", "i"),
}


def growth(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_vectors: int = 8,
    num_segments: int = 16,
    num_followed: int = 0,
    num_lanczos: int = 20,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Splits exponents into contributions of sub-layers, fields, updates and cells, by outcome.

    The parts are those of `rrjax.inside.growth_by_part`. It also measures how much of the leading
    vectors lies in each field of the state and along the gradient of the loss, how a segment
    stretches the trajectory's own last step, and where its largest singular vector lies.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.
      num_vectors: The number k of leading vectors.
      num_segments: Number of segments of each run.
      num_followed: Number of segments that each run goes on without tangents, to distinguish late
        solvers from runs that never solve.
      num_lanczos: Lanczos steps for the largest singular value of the segment after the last one
        (Krishna et al. take 10 steps of power iteration). With 0 it is not measured, nor is the
        growth of the trajectory's own steps, which takes more than half of the time.

    The other arguments are those of `spectrum`.

    Returns:
      `exponents` (N, k) in nats per update. `by_stage` (N, updates of a segment, stages, k) adds up
      to them over updates and stages, as `by_row_z_H` and so on (N, k, tokens) do over fields and
      tokens; `alignment` and `size` (N, stages, k) are the two parts of residual sums. The stages
      are named in the record. `share_z_H` and so on (N, segments, k) and `along_loss` of the
      vectors after each segment, `random_along_loss` (N, segments) of a random one; unless
      `num_lanczos` is 0, `natural` (N, segments), and `singular_value`, `v1_z_H`, `u1_z_H` and so
      on (N,) after the last segment; `solved`, `first_solved` and `finite` (N,);
      `answers`, `inputs` and `labels` (N, seq).

    Raises:
      ValueError: The puzzles or sizes do not fit the model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.growth(
      ...     model, puzzles, num_vectors=1, num_segments=1, progress=False
      ... )
      >>> (
      ...     run.exponents.shape,
      ...     bool(np.allclose(run.by_stage.sum((1, 2)), run.exponents, atol=1e-4)),
      ... )
      ((2, 1), True)
    """
    check_count("num_vectors", num_vectors, least=1)
    check_count("num_followed", num_followed, most=MOST_SEGMENTS)
    check_count("num_lanczos", num_lanczos, most=MOST_SEGMENTS)
    place = folder, chunk_size, shard
    job = Job(GROWTH, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    if job.dynamics.drive is not None:
        raise ValueError("growth by part needs dynamics without a drive")
    compute = partial(_measure, job, num_vectors, num_followed, num_lanczos)
    options = {"num_vectors": num_vectors, "num_followed": num_followed}
    if num_lanczos != 20:  # runs of 20 steps began without the name
        options["num_lanczos"] = num_lanczos
    number = len(puzzles.inputs)
    identity = {"puzzles": job.described_puzzles["sha256"], **options}
    arrays = job.sweep(compute, job.with_keys, number, num_vectors, identity)
    arrays = job.judge.with_solved(arrays, "by_segment")
    right = arrays.pop("by_segment")
    for name in WORDS:
        arrays.pop(name, None)
    batch = take(puzzles, np.arange(number))
    arrays |= {
        "solved": right[:, num_segments - 1],
        "first_solved": first_right(right),
        "inputs": batch.inputs,
        "labels": batch.labels,
    }
    facts = {
        "stages": list(stage_names(job.dynamics)),
        "updates": [update.name for update in updates(job.dynamics.schedule)],
        "dimension": dimension(job.dynamics.initial),
        "answer_dimension": named_fields(job.dynamics.initial)[answer_field(job.dynamics)].size,
    }
    return job.results(arrays, options, clock="update", unit="nats per update", **facts)


def _measure(
    job: Job,
    num_vectors: int,
    num_followed: int,
    num_lanczos: int,
    params: Any,
    chunk: tuple[Batch, jax.Array],
) -> dict[str, Array]:
    def one(puzzle: Batch, key: jax.Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        look = _observe_steps if num_lanczos else _observe
        observe = Partial(look, puzzle.labels, jax.random.fold_in(key, 1))
        sizes = num_vectors, job.num_segments
        result = growth_by_part(dynamics, *sizes, key=key, observe=observe)
        total = job.num_segments * count_updates(dynamics.schedule)
        rows = {f"by_row_{k}": v.sum(0) / total for k, v in named_fields(result.rows).items()}
        observed = dict(result.observed)
        tokens = observed.pop("tokens")
        if num_followed:
            after = replace(dynamics, initial=result.state)
            tokens = jnp.concatenate(
                [tokens, observe_segments(after, observe_tokens, num_followed)[1]]
            )
        worst = {}
        if num_lanczos:
            worst = _singular(dynamics, result.state, jax.random.fold_in(key, 2), num_lanczos)
        return {
            **job.judge(puzzle, job.judge.path_length(puzzle), tokens),
            **observed,
            **rows,
            **worst,
            "exponents": result.exponents,
            "by_stage": result.stages.sum(0) / total,
            "alignment": result.alignment.sum((0, 1)) / total,
            "size": result.size.sum((0, 1)) / total,
            "finite": result.finite,
            "answers": tokens[job.num_segments - 1],
        }

    return jax.vmap(one)(*chunk)


def _observe(
    labels: Array, key: jax.Array, dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, Array]:
    gradient = jax.grad(partial(loss, dynamics, labels))(after)
    other = random_frame(key, after, 1)
    shares = {
        f"share_{name}": _total(rows) for name, rows in named_fields(participation(frame)).items()
    }
    return {
        **shares,
        "along_loss": _squared_cosine(frame, gradient),
        "random_along_loss": _squared_cosine(other, gradient)[0],
        "tokens": observe_tokens(dynamics, before, after, frame),
    }


def _observe_steps(
    labels: Array, key: jax.Array, dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, Array]:
    """Returns what `_observe` returns, and how the next segment stretches the last step."""
    step = jax.tree.map(jnp.subtract, after, before)
    _, image = jax.jvp(partial(run_segment, dynamics), (after,), (step,))
    natural = whole_norm(norms(image)) / whole_norm(norms(step))
    return {**_observe(labels, key, dynamics, before, after, frame), "natural": natural}


def _squared_cosine(frame: Frame, vector: State) -> Array:
    """Returns (k,) squared cosines of unit vectors with another one."""
    products = jax.tree.map(
        lambda rows, leaf: jnp.tensordot(rows, leaf, axes=jnp.ndim(leaf)), frame, vector
    )
    total = sum(jax.tree.leaves(products))
    return jnp.square(total / whole_norm(norms(vector)))


def _singular(
    dynamics: Dynamics, state: State, key: jax.Array, max_iterations: int
) -> dict[str, Array]:
    """Returns σ of the next segment, and the shares of its two singular vectors in each field."""
    growth = local_growth(dynamics, state, key=key, max_iterations=max_iterations)
    largest = growth.singular_value
    _, image = jax.jvp(partial(run_segment, dynamics), (state,), (largest.vector,))
    kept = {"singular_value": largest.value}
    for name, vector in (("v1", largest.vector), ("u1", image)):
        shares = participation(jax.tree.map(lambda leaf: leaf[None], vector))
        kept |= {f"{name}_{field}": _total(rows)[0] for field, rows in named_fields(shares).items()}
    return kept


def _total(rows: Array) -> Array:
    return rows.sum(1)


def numbers(results: Results) -> GrowthSummary:
    """Returns the contributions by outcome, where the vectors lie, and the growth of steps."""
    return summarize_growth(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of the contributions of the stages by outcome."""
    return {"stages_by_outcome": partial(stages_by_outcome, numbers(results))}


GROWTH = Experiment(
    "growth",
    ARRAYS,
    numbers,
    report.tables,
    figures,
    findings=report.findings,
    panels=growths_panels,
)
