"""Several runs of every puzzle, each disturbed in its own way: what `basin` and `ptrm` share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.analysis.outcome import DRIFT_WINDOW
from rrjax.cells import Config, Readout, bind
from rrjax.commands import job
from rrjax.commands.outcomes import observe
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import observe_segments, whole_norm
from rrjax.dynamics.spectrum import spectrum
from rrjax.dynamics.starts import check_fields
from rrjax.frames import Frame, norms
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import Model
from rrjax.outcomes import is_solved
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch, take_batch
from rrjax.results.axes import ArraySpec
from rrjax.store import Arrays

Disturb = Callable[[Dynamics, Array, Array], Dynamics]
"""`disturb(dynamics, key, sigma)` -> what one run runs; with σ = 0 undisturbed."""

MEANINGS = {
    "solved": ArraySpec(
        ("puzzle", "run", "segment"), "whether the answer after the segment is right"
    ),
    "answers": ArraySpec(("puzzle", "run", "cell"), "token of the last answer"),
    "q_halt": ArraySpec(
        ("puzzle", "run"), "logit of 'the answer is right', after the last segment"
    ),
    "residual": ArraySpec(
        ("puzzle", "run"),
        "norm of the change over a segment / norm of the state after it, mean of the last "
        f"{DRIFT_WINDOW} segments",
    ),
    "late_drift": ArraySpec(
        ("puzzle", "run"),
        "norm of the change of the answer's state over a segment, mean of the last "
        f"{DRIFT_WINDOW} segments",
    ),
    "exponents": ArraySpec(("puzzle", "run", "exponent"), "nats per update"),
    "repeat": ArraySpec(("run",), "which noise of the same size, from 0"),
}

# Branches off the seed where no puzzle's number can be: the frames are folded in at those.
_NOISE = 2**32 - 1


@dataclass(frozen=True)
class Options(job.Options):
    """What commands with several runs of every puzzle are told.

    Attributes:
      states: the fields of the state that are disturbed, such as z_H z_L; without it all.
      num_exponents: leading exponents measured along every run; 0 for none.
    """

    states: tuple[str, ...] = ()
    num_exponents: int = 0


class Runs(NamedTuple):
    """The runs of every puzzle.

    Attributes:
      sigma: (runs,) size of the noise.
      repeat: (runs,) which noise of that size. Equal numbers have the same noise but for its size:
        a difference between two σ is not one between two draws, and a finer grid changes no run.
    """

    sigma: np.ndarray
    repeat: np.ndarray


class Chunk(NamedTuple):
    """Some runs, along a leading axis."""

    puzzle: Batch
    key_frame: Any
    key_noise: Any
    sigma: Any


def grid(sigmas: tuple[float, ...], num_repeats: int) -> Runs:
    """One run without noise, then `num_repeats` for each σ > 0, in the order given."""
    sizes = [0.0, *(sigma for sigma in sigmas if sigma > 0 for _ in range(num_repeats))]
    repeats = [0, *(repeat for sigma in sigmas if sigma > 0 for repeat in range(num_repeats))]
    return Runs(np.array(sizes), np.array(repeats))


def measure(
    command: str,
    options: Options,
    model: Model,
    puzzles: PuzzleSet,
    runs: Runs,
    disturb: Disturb,
) -> Arrays:
    """All runs of every puzzle, computed chunk by chunk in the output folder.

    The noise of a run depends on the seed, the puzzle's place in the list and `repeat` alone, and
    the frame of its exponents on seed and puzzle, as in `rrjax spectrum`.

    Returns:
      `solved` (N, runs, segments) booleans; `answers` (N, runs, seq) tokens; float32 `q_halt`,
      `residual`, `late_drift` (N, runs); with exponents also `exponents` (N, runs, k).

    Raises:
      ValueError: for puzzles or sizes that do not fit the model, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    work = make_work(options, model, puzzles, runs, disturb)
    whole = {
        "puzzles": puzzles.digest(),
        "sigma": runs.sigma.tolist(),
        "repeat": runs.repeat.tolist(),
        "states": list(options.states),
        "num_exponents": options.num_exponents,
    }
    number = len(runs.sigma)
    chunk = job.default_chunk(model, options.num_exponents)
    found = job.sweep(command, options, model, work, len(puzzles) * number, chunk, whole)
    return {
        name: array.reshape(len(puzzles), number, *array.shape[1:]) for name, array in found.items()
    }


def make_work(
    options: Options, model: Model, puzzles: PuzzleSet, runs: Runs, disturb: Disturb
) -> ChunkProgram:
    """What computes chunks of the runs of all puzzles, the runs of a puzzle one after the other."""
    compute = partial(
        measure_chunk, model.config, options.num_segments, options.num_exponents, disturb
    )
    return ChunkProgram(compute, model.params, partial(_prepare, puzzles, runs, options.seed))


def check(options: Options, model: Model, puzzles: PuzzleSet) -> None:
    """Refuse states the model does not have, and a negative number of exponents."""
    if options.num_exponents < 0:
        raise ValueError(f"num_exponents must be at least 0, got {options.num_exponents}")
    if options.states:
        check_fields(options.states, model.bind(puzzles.inputs[0]).initial, "states")


def check_sigma(name: str, sigma: float) -> None:
    """Refuse a size of noise that is negative, infinite or NaN."""
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"{name} must be a number not below 0, got {sigma:g}")


def _prepare(puzzles: PuzzleSet, runs: Runs, seed: int, items: np.ndarray) -> Chunk:
    number = len(runs.sigma)
    puzzle, run = items // number, items % number
    key = jax.random.key(seed)
    branch = jax.random.fold_in(key, _NOISE)
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    own = jax.vmap(jax.random.fold_in)(fold(branch, puzzle), runs.repeat[run])
    sigma = runs.sigma[run].astype(np.float32)
    return Chunk(take_batch(puzzles, puzzle), fold(key, puzzle), own, sigma)


def measure_chunk(
    config: Config,
    num_segments: int,
    num_exponents: int,
    disturb: Disturb,
    params: Any,
    chunk: Chunk,
) -> dict[str, Array]:
    """What is kept of the runs of a chunk; the arrays of `measure`, by run."""

    def one(run: Chunk) -> dict[str, Array]:
        quiet = bind(params, config, run.puzzle.inputs, run.puzzle.puzzle_ids)
        dynamics = disturb(quiet, run.key_noise, run.sigma)
        if num_exponents:
            return _along_tangents(dynamics, run, num_exponents, num_segments)
        return _along_run(dynamics, run.puzzle, num_segments)

    return jax.vmap(one)(chunk)


def _along_run(dynamics: Dynamics, puzzle: Batch, num_segments: int) -> dict[str, Array]:
    """What is kept of a run; on the way only numbers of each segment."""
    # as in a spectrum, so that a run is the same with and without exponents
    with exact_products():
        state, seen = observe_segments(dynamics, Partial(observe, puzzle, None), num_segments)
        readout = dynamics.readout(dynamics.context, state)
    drift = seen[f"drift_{dynamics.answer}"]
    return _kept(readout, seen["solved"], seen["residual"], drift)


def _along_tangents(
    dynamics: Dynamics, run: Chunk, num_exponents: int, num_segments: int
) -> dict[str, Array]:
    """The same with exponents; answers of all segments are held on the way, as growths are."""
    result = spectrum(
        dynamics, num_exponents, num_segments, key=run.key_frame, observe=_answer_and_size
    )
    with exact_products():
        readout = dynamics.readout(dynamics.context, result.state)
    solved = is_solved(result.observed["answers"], run.puzzle.labels)
    residual = whole_norm(result.drift) / whole_norm(result.observed["sizes"])
    drift = named_fields(result.drift)[str(dynamics.answer)]
    kept = _kept(readout, solved, residual, drift)
    return kept | {"exponents": result.exponents.astype(jnp.float32)}


def _answer_and_size(
    dynamics: Dynamics, before: State, after: State, frame: Frame
) -> dict[str, Any]:
    logits = dynamics.readout(dynamics.context, after).logits
    return {"answers": _tokens(logits), "sizes": norms(after)}


def _kept(readout: Readout, solved: Array, residual: Array, drift: Array) -> dict[str, Array]:
    numbers = {
        "q_halt": readout.q_halt,
        "residual": residual[-DRIFT_WINDOW:].mean(),
        "late_drift": drift[-DRIFT_WINDOW:].mean(),
    }
    narrow = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    return narrow | {"solved": solved, "answers": _tokens(readout.logits)}


def _tokens(logits: Array) -> Array:
    """Answers, as narrow as the vocabulary allows."""
    return logits.argmax(-1).astype(np.min_scalar_type(logits.shape[-1] - 1))
