"""Several runs of every puzzle, each disturbed in its own way: what `basin` and `ptrm` share."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.analysis.outcome import DRIFT_WINDOW
from rrjax.checks import check_count
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import observe_and_take, whole_norm
from rrjax.dynamics.spectrum import spectrum
from rrjax.dynamics.starts import check_fields
from rrjax.experiments import paths, reasoner
from rrjax.experiments.experiment import Job, fold_keys
from rrjax.experiments.judging import Judge, outcome_arrays
from rrjax.experiments.reasoner import Answer, Puzzles, read_answer
from rrjax.experiments.rollouts import observe_segment
from rrjax.frames import Frame, norms
from rrjax.keys import make_key
from rrjax.puzzles.batch import Batch
from rrjax.results.axes import ArraySpec
from rrjax.store import Arrays

Disturb = Callable[..., Dynamics]
"""`disturb(dynamics, key=…, sigma=…)` returns what one run runs; with σ = 0 it is undisturbed."""

_RUN = ("puzzle", "run")
_LATE = f"mean of the last {DRIFT_WINDOW} segments"
ARRAYS = {
    "solved": ArraySpec((*_RUN, "segment"), "whether the answer after the segment is right", "b"),
    "answers": ArraySpec((*_RUN, "cell"), "token of the last answer", "i"),
    "q_halt": ArraySpec(_RUN, "logit of 'the answer is right', after the last segment"),
    "residual": ArraySpec(
        _RUN, f"norm of the change over a segment / norm of the state after it, {_LATE}"
    ),
    "late_drift": ArraySpec(
        _RUN, f"norm of the change of the answer's state over a segment, {_LATE}"
    ),
    "exponents": ArraySpec((*_RUN, "exponent"), "nats per update"),
    "repeat": ArraySpec(("run",), "which noise of the same size, from 0", "i"),
    "q_halt_by_segment": ArraySpec((*_RUN, "segment"), "logit of 'the answer is right'"),
    "residual_by_segment": ArraySpec(
        (*_RUN, "segment"), "norm of the change over a segment / norm of the state after it"
    ),
    "drift_": ArraySpec((*_RUN, "segment"), "norm of the change of a state over a segment"),
    **outcome_arrays(*_RUN, "segment"),
    **paths.path_arrays(*_RUN),
}

# Branches off the seed where no puzzle's number can be: the frames are folded in at those.
_NOISE = 2**32 - 1


class RunGrid(NamedTuple):
    """The runs of every puzzle.

    Attributes:
      sigma: (runs,) The size of the noise.
      repeat: (runs,) Which noise of that size. Equal numbers have the same noise up to its size, so
        that two σ differ by their size alone, and a finer grid changes no run.
    """

    sigma: np.ndarray
    repeat: np.ndarray


class Chunk(NamedTuple):
    """Some runs, along a leading axis."""

    puzzle: Batch
    key_frame: Any
    key_noise: Any
    sigma: Any


class Measurement(NamedTuple):
    """What is measured of a run.

    Attributes:
      num_segments: Number of segments.
      num_exponents: Number of leading exponents; 0 for none.
      precision: How matrix products are computed.
      snapshots: The segments after which the path of the run is kept; none keeps no path.
    """

    num_segments: int
    num_exponents: int
    precision: str
    snapshots: tuple[int, ...] = ()


def run_grid(sigmas: Collection[float], num_repeats: int) -> RunGrid:
    """Returns one run without noise, then `num_repeats` for each σ > 0, in the order given."""
    sizes = [0.0, *(sigma for sigma in sigmas if sigma > 0 for _ in range(num_repeats))]
    repeats = [0, *(repeat for sigma in sigmas if sigma > 0 for repeat in range(num_repeats))]
    return RunGrid(np.array(sizes), np.array(repeats))


def measure(
    job: Job, grid: RunGrid, disturb: Disturb, states: Collection[str], num_exponents: int
) -> Arrays:
    """Returns all runs of every puzzle, computed chunk by chunk.

    The noise of a run depends on the seed, the puzzle's place in the list and `repeat` alone, and
    the frame of its exponents on seed and puzzle, as in a spectrum.
    """
    check_count("num_exponents", num_exponents)
    if states:
        check_fields(states, job.dynamics.initial, "states")
    shape = len(job.puzzles.inputs), len(grid.sigma)
    kept = paths.snapshots_of_runs(job.num_segments, shape[0] * shape[1])
    length = Measurement(job.num_segments, num_exponents, job.precision, tuple(kept.tolist()))
    compute = partial(measure_chunk, job.judge, length, disturb)
    shared = getattr(job.model, "params", ()), paths.matrix_of(job.dynamics)
    identity = {
        "puzzles": job.described_puzzles["sha256"],
        "sigma": grid.sigma.tolist(),
        "repeat": grid.repeat.tolist(),
        "states": list(states),
        "num_exponents": num_exponents,
        **(paths.IDENTITY if len(kept) else {}),
    }
    prepare = partial(prepare_runs, job.puzzles, grid, job.seed)
    arrays = job.sweep(compute, prepare, shape[0] * shape[1], num_exponents, identity, shared)
    by_puzzle = {name: array.reshape(*shape, *array.shape[1:]) for name, array in arrays.items()}
    by_puzzle = job.judge.with_solved(by_puzzle) | grid._asdict()
    by_puzzle |= paths.puzzle_arrays(job.puzzles)
    return paths.with_projection(by_puzzle, job, kept) if len(kept) else by_puzzle


def prepare_runs(puzzles: Puzzles, grid: RunGrid, seed: int, items: np.ndarray) -> Chunk:
    """Returns some runs, of which those of one puzzle follow each other."""
    puzzle, run = np.divmod(items, len(grid.sigma))
    key = make_key(seed)
    branches = fold_keys(jax.random.fold_in(key, _NOISE), puzzle)
    key_noise = jax.vmap(jax.random.fold_in)(branches, grid.repeat[run])
    sigma = grid.sigma[run].astype(np.float32)
    return Chunk(reasoner.take(puzzles, puzzle), fold_keys(key, puzzle), key_noise, sigma)


def measure_chunk(
    judge: Judge,
    measurement: Measurement,
    disturb: Disturb,
    shared: tuple[Any, Array | None],
    chunk: Chunk,
) -> dict[str, Array]:
    """Returns what is kept of the runs of a chunk: the arrays of `measure`, by run.

    `shared` are the parameters, and the matrix of `rrjax.experiments.paths`, which is needed where
    there are snapshots.
    """
    params, matrix = shared

    def one(run: Chunk) -> dict[str, Array]:
        dynamics = reasoner.bind(judge.model, params, run.puzzle)
        dynamics = disturb(dynamics, key=run.key_noise, sigma=run.sigma)
        along = _along_tangents if measurement.num_exponents else _along_run
        return along(judge, measurement, matrix, dynamics, run)

    return jax.vmap(one)(chunk)


def _along_run(
    judge: Judge, measurement: Measurement, matrix: Array | None, dynamics: Dynamics, run: Chunk
) -> dict[str, Array]:
    """Returns what is kept of a run; on the way only numbers of each segment are held."""
    facts = run.puzzle, judge.path_length(run.puzzle), None
    state, segments, taken = observe_and_take(
        dynamics,
        Partial(partial(observe_segment, judge), *facts),
        Partial(paths.take_snapshot, matrix) if measurement.snapshots else _take_nothing,
        measurement.snapshots or (measurement.num_segments,),
        precision=measurement.precision,
    )
    with exact_products():
        answer = read_answer(dynamics, state)
    drift = f"drift_{reasoner.answer_field(dynamics)}"
    right = {name: segments[name] for name in judge.names}
    kept = _kept(answer, right, segments["residual"], segments[drift])
    if not measurement.snapshots:
        return kept
    path = {
        "q_halt_by_segment": segments["q_halt"],
        "residual_by_segment": segments["residual"],
        drift: segments[drift],
    }
    return kept | path | taken


def _along_tangents(
    judge: Judge, measurement: Measurement, matrix: Array | None, dynamics: Dynamics, run: Chunk
) -> dict[str, Array]:
    """Returns the same with exponents; the answers of all segments are held on the way."""
    result = spectrum(
        dynamics,
        measurement.num_exponents,
        measurement.num_segments,
        key=run.key_frame,
        precision=measurement.precision,
        observe=Partial(_observe_answer_and_size, matrix if measurement.snapshots else None),
    )
    with exact_products():
        answer = read_answer(dynamics, result.state)
    observed, drift = result.observed, named_fields(result.drift)
    field = reasoner.answer_field(dynamics)
    right = judge(run.puzzle, judge.path_length(run.puzzle), observed["answers_by_segment"])
    residual = whole_norm(drift) / whole_norm(observed["sizes"])
    kept = _kept(answer, right, residual, drift[field])
    kept["exponents"] = result.exponents.astype(jnp.float32)
    if not measurement.snapshots:
        return kept
    # computed apart, so that the mean of the residual is the same with and without a path
    drift, sizes = jax.lax.optimization_barrier((drift, observed["sizes"]))
    path = {
        "q_halt_by_segment": observed["q_halt"].astype(jnp.float32),
        "residual_by_segment": (whole_norm(drift) / whole_norm(sizes)).astype(jnp.float32),
        f"drift_{field}": drift[field].astype(jnp.float32),
    }
    places = np.array(measurement.snapshots) - 1
    return kept | path | {name: observed[name][places] for name in paths.TAKEN}


def _take_nothing(dynamics: Dynamics, state: State) -> dict[str, Array]:
    return {}


def _observe_answer_and_size(
    matrix: Array | None, dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, Any]:
    answer = read_answer(dynamics, after)
    numbers = {"q_halt": answer.q_halt, "sizes": norms(after)}
    if matrix is None:
        return numbers | {"answers_by_segment": _tokens(answer)}
    return numbers | paths.take_snapshot(matrix, dynamics, after)


def _kept(
    answer: Answer, right: dict[str, Array], residual: Array, drift: Array
) -> dict[str, Array]:
    numbers = {
        "q_halt": answer.q_halt,
        "residual": residual[-DRIFT_WINDOW:].mean(),
        "late_drift": drift[-DRIFT_WINDOW:].mean(),
    }
    narrow = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    return narrow | right | {"answers": _tokens(answer)}


def _tokens(answer: Answer) -> Array:
    return answer.logits.argmax(-1).astype(reasoner.token_type(answer))
