"""Kicks along chosen directions: is any of them better than a random one of equal length?"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.kicks import KickSummary, summarize_kicks
from rrjax.checks import MOST_SEGMENTS, check_count, check_number, refuse
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.covariant import covariant_vectors
from rrjax.dynamics.rollout import whole_norm
from rrjax.experiments.answers import entropy, loss
from rrjax.experiments.continued import described, end_state, go_on
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer
from rrjax.frames import norms, random_frame
from rrjax.inside.interventions import kick
from rrjax.page.kicks import panels as kick_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.kicks import solved_by_size
from rrjax.puzzles.batch import Batch
from rrjax.reports import kicks as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

ARRAYS = {
    "solved_alone": ArraySpec(("puzzle",), "whether the run alone is solved at the end", "b"),
    "size": ArraySpec(("size",), "length of the kick / norm of the state"),
    **described("puzzle", "direction", "size"),
}


def kicking(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    segment: int = 8,
    sizes: Sequence[float] = (0.1, 0.3, 1.0),
    num_segments: int = 16,
    num_vectors: int = 1,
    along: Sequence[Path] = (),
    num_exponents: int = 0,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Kicks states along covariant vectors, gradients and given directions, beside random ones.

    After some segments the state is moved once, z + size ‖z‖ d / ‖d‖, and runs on. The directions d
    are the covariant vectors there; `loss`, against the gradient of the cross-entropy, which needs
    the labels and is what a perfect probe would give; `entropy`, against the gradient of the
    answer's mean entropy, which a policy could take; the directions of files; and a random one.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.
      segment: Number of segments before the kick.
      sizes: Lengths of the kicks, as shares of the norm of the state; below 0 they go the other
        way.
      num_segments: Number of segments of the runs that tell failures, and of the runs that go on
        after a kick.
      num_vectors: The number k of covariant vectors that are kicked along.
      along: Files of directions, such as those of a probe. Each is an .npz with an array for each
        field of the state that it moves: (tokens, width), or (width,) for every token.
      num_exponents: With 1, λ₁ is measured from the kick on; 0 means no exponent.

    The other arguments are those of `spectrum`.

    Returns:
      Arrays (N, directions, sizes): `solved`, `first_solved`, `cells_right`, `margin` and, if asked
      for, `lambda1`; `solved_alone` (N,); `size`. The directions are named in the record: `v1` to
      `vk`, `loss`, `entropy`, the names of the files, `random`, and `nothing` for a run without a
      kick.

    Raises:
      OSError: A file of a direction cannot be read.
      ValueError: The puzzles, sizes or directions do not fit the model, or the folder holds another
        run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.kicking(
      ...     model, puzzles, segment=1, sizes=[0.1], num_segments=1, progress=False
      ... )
      >>> run.record["directions"], run.solved.shape
      (['v1', 'loss', 'entropy', 'random', 'nothing'], (2, 5, 1))
    """
    check_count("segment", segment, least=1, most=MOST_SEGMENTS)
    check_count("num_vectors", num_vectors, least=1)
    check_count("num_exponents", num_exponents, most=1)
    if not sizes or 0 in sizes or len(set(sizes)) < len(sizes):
        refuse("sizes", "be one or more different numbers other than 0", [*sizes])
    for size in sizes:
        check_number("sizes", abs(size), above=0)
    place = folder, chunk_size, shard
    job = Job(KICKING, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    if job.dynamics.drive is not None:
        raise ValueError("kicks need dynamics without a drive")
    given = {Path(file).stem: read_direction(file, job.dynamics) for file in along}
    directions = [f"v{i + 1}" for i in range(num_vectors)]
    directions += ["loss", "entropy", *given, "random", "nothing"]
    if len(set(directions)) < len(directions):
        refuse("along", "be files of different names, none of them a direction's", [*given])
    options = {
        "segment": segment,
        "sizes": [*map(float, sizes)],
        "num_vectors": num_vectors,
        "num_exponents": num_exponents,
    }
    compute = partial(_kicked, job, options, [*given.values()])
    values = [np.asarray(leaf).tolist() for one in given.values() for leaf in jax.tree.leaves(one)]
    identity = {"puzzles": job.described_puzzles["sha256"], **options, "along": values}
    tangents = (len(directions) - 1) * len(sizes) * (1 + num_exponents)
    arrays = job.sweep(compute, job.with_keys, len(puzzles.inputs), tangents, identity)
    arrays["size"] = np.array(sizes, float)
    return job.results(arrays, options, clock="segment", directions=directions)


def read_direction(file: Path, dynamics: Dynamics) -> State:
    """Returns the direction in a file; fields without an array are not moved.

    Args:
      file: An .npz with arrays (tokens, width) or (width,) by the names of fields.
      dynamics: Whose states the direction is for.

    Raises:
      OSError: The file cannot be read.
      ValueError: It has no array, one of no field, of another shape, or one that is not finite.
    """
    fields = named_fields(dynamics.initial)
    with np.load(file) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    if not given or not set(given) <= set(fields):
        refuse(f"along: {file}", f"hold arrays of fields ({', '.join(fields)})", [*given])
    leaves = []
    for name, leaf in fields.items():
        array = given.get(name, np.zeros(leaf.shape[-1:]))
        if array.shape not in (leaf.shape, leaf.shape[-1:]):
            refuse(f"along: {name} of {file}", f"have the shape {leaf.shape}", array.shape)
        if not np.isfinite(array).all():
            raise ValueError(f"along: {name} of {file} must be finite")
        leaves.append(jnp.broadcast_to(jnp.asarray(array, leaf.dtype), leaf.shape))
    return jax.tree.unflatten(jax.tree.structure(dynamics.initial), leaves)


def _kicked(
    job: Job,
    options: Mapping[str, Any],
    given: list[State],
    params: Any,
    chunk: tuple[Batch, jax.Array],
) -> dict[str, Array]:
    def one(puzzle: Batch, key: jax.Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        key_frame, key_random, key_exponent = jax.random.split(key, 3)
        state, vectors = _vectors(dynamics, options, job.num_segments, key_frame)
        lower = [
            jax.tree.map(jnp.negative, jax.grad(function)(state))
            for function in (partial(loss, dynamics, puzzle.labels), partial(entropy, dynamics))
        ]
        random = jax.tree.map(lambda leaf: leaf[0], random_frame(key_random, state, 1))
        others = jax.tree.map(lambda *leaves: jnp.stack(leaves), *lower, *given, random)
        lines = jax.tree.map(lambda *two: jnp.concatenate(two), vectors, others)
        lengths = jnp.array(options["sizes"]) * whole_norm(norms(state))

        def after(dynamics: Dynamics) -> dict[str, Array]:
            exponents = options["num_exponents"]
            return go_on(job, exponents, key_exponent, dynamics, puzzle, None, state)

        def moved(line: State, length: Array) -> dict[str, Array]:
            return after(kick(dynamics, line, length, 0, num_segments=job.num_segments))

        kicks = jax.vmap(jax.vmap(moved, (None, 0)), (0, None))(lines, lengths)
        nothing = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (1, len(lengths), *x.shape)), after(dynamics)
        )
        by_direction = jax.tree.map(lambda *both: jnp.concatenate(both), kicks, nothing)
        answer = read_answer(dynamics, end_state(dynamics, job.num_segments)).logits.argmax(-1)
        return {**by_direction, "solved_alone": job.judge.is_right(puzzle, answer)}

    return jax.vmap(one)(*chunk)


def _vectors(
    dynamics: Dynamics, options: Mapping[str, Any], transient: int, key: jax.Array
) -> tuple[State, State]:
    """Returns the state at the kick and the covariant vectors there, side by side.

    The first is the leading vector of the forward run; others need a run beyond the kick, too.
    """
    segment, number = options["segment"], options["num_vectors"]
    beyond = transient if number > 1 else 0
    run = covariant_vectors(
        dynamics,
        number,
        segment + beyond,
        key=key,
        forward_transient=segment - 1,
        backward_transient=beyond,
    )
    return jax.tree.map(lambda leaf: leaf[0], (run.states, run.vectors))


def numbers(results: Results) -> KickSummary:
    """Returns what kicks change in failures and in solved runs, beside random ones."""
    return summarize_kicks(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of the failures that kicks free, by their length."""
    return {"solved_by_size": partial(solved_by_size, numbers(results))}


KICKING = Experiment(
    "kicking", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=kick_panels
)
