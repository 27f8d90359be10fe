"""`rrjax slice`: a plane of initial states of one puzzle: when runs settle, and on which answer."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.analysis.basins import MOVING, answer_classes
from rrjax.analysis.slices import summarize_slice
from rrjax.cells import Config, bind
from rrjax.checks import check_positive
from rrjax.commands import job
from rrjax.contract import State, named_fields
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.dynamics.horizons import fast_lyapunov_indicator
from rrjax.dynamics.slices import on_plane, settling_time
from rrjax.dynamics.spectrum import spectrum
from rrjax.dynamics.starts import start_scale
from rrjax.frames import Frame, dimension, random_frame
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import Model, check_tokens
from rrjax.plots.slices import answer_map, settling_map
from rrjax.puzzles import read
from rrjax.puzzles.batch import IGNORE_LABEL, Batch, take_batch
from rrjax.reports.slices import tables
from rrjax.reports.terminal import draw_results, print_table
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.store import Arrays, digest_arrays, write_result

UNIT = "std(H_init) · √dim"
_POINT = ("a", "b")
_MEANINGS = {
    "a": ArraySpec(("a",), UNIT),
    "b": ArraySpec(("b",), UNIT),
    "answer_index": ArraySpec(_POINT, "row of distinct_answers; -1: still moving"),
    "answer_at": ArraySpec(
        _POINT, "first segment, from 1, from which on the answer is the last one"
    ),
    "residual_at": ArraySpec(
        _POINT, "first segment, from 1, from which on the residual stays below the threshold"
    ),
    "residual": ArraySpec(
        _POINT, "norm of the change over the last segment / norm of the state after it"
    ),
    "finite": ArraySpec(_POINT, "whether the last residual is a finite number"),
    "solved": ArraySpec(_POINT, "whether the last answer is right"),
    "exponents": ArraySpec((*_POINT, "exponent"), "nats per update"),
    "fli": ArraySpec(_POINT, "nats"),
    "distinct_answers": ArraySpec(("answer", "cell"), "token"),
    "answer_solved": ArraySpec(("answer",), "whether the answer is right"),
    "direction_": ArraySpec(("direction", "token", "width"), "share of a unit vector"),
}


@dataclass(frozen=True)
class Options(job.RunOptions):
    """Initial states z0 + a·u + b·v of one puzzle: settling, final answers, and their basins.

    a and b are multiples of std(H_init)·√dim, the length of a noise that σ = 1 gives all numbers
    of the state. A killed run continues when the same command is given again; with other boxes or
    another rest nothing is run again.

    Attributes:
      puzzle: which, counted from 0.
      grid: starts along each axis; an odd number has z0 among them.
      extent: a and b go from −extent to extent.
      directions: of u and v: random, or the two forward Lyapunov vectors at z0, along which the
        first segments stretch most.
      direction_segments: how many first segments those are; random directions have none.
      num_segments: segments each start runs.
      rest_segments: an answer that is the same over so many last steps is settled.
      residual: below this relative residual a state is at rest.
      num_exponents: k leading Lyapunov exponents and the fast Lyapunov indicator of each start, at
        1 + k times the cost.
      box_size: starts along the edge of the boxes of the basin entropy.
    """

    puzzle: int = 0
    grid: int = 64
    extent: float = 1.0
    directions: Literal["random", "lyapunov"] = "random"
    direction_segments: int = 4
    num_segments: int = 32
    rest_segments: int = 4
    residual: float = 0.01
    num_exponents: int = 0
    box_size: int = 5


class Plane(NamedTuple):
    """Where the starts lie.

    Attributes:
      coordinates: (G,) of both axes, in `UNIT`.
      scale: that unit, in the state's own.
      directions: u and v, a state with a leading axis 2.
      facts: how the directions came about.
    """

    coordinates: np.ndarray
    scale: float
    directions: Frame
    facts: dict[str, Any]


def main(arguments: list[str]) -> None:
    """Parse, run, print the tables, write results and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax slice")
    _check(options)
    model = job.start(options)
    puzzle = choose_puzzle(options, model)
    folder = job.output_folder("slice", options, model)
    plane = make_plane(options, model, puzzle)
    results = describe_points(options, puzzle, plane, measure(options, model, puzzle, plane))
    summary = summarize_slice(
        results,
        options.num_segments,
        options.rest_segments,
        options.residual,
        options.box_size,
        options.seed,
    )
    facts = {
        "clock": "segment",
        "scale": plane.scale,
        "directions": plane.facts,
        **describe_arrays(results, _MEANINGS),
        "summary": asdict(summary),
    }
    write_result(folder / "results.npz", results, job.record(options, model, **facts))
    title = f"Puzzle {options.puzzle}, {options.grid} × {options.grid} starts"
    for table in tables(summary, title):
        print_table(table)
    if not plane.facts.get("converged", True):
        print("the Lyapunov directions have not converged: their plane is not unique")
    _draw(folder, results, options)


def choose_puzzle(options: Options, model: Model) -> Batch:
    """The puzzle that is asked for, checked against the model.

    Raises:
      ValueError: for files that cannot be read, an index without a puzzle, or one that does not
        fit.
    """
    found = read(options.puzzles) if options.puzzles else model.test_puzzles()
    if not 0 <= options.puzzle < len(found):
        raise ValueError(
            f"puzzle must lie in 0..{len(found) - 1}, the puzzles of {found.source}; got "
            f"{options.puzzle}"
        )
    one = take_batch(found, np.array([options.puzzle]))
    check_tokens(model.config, one.inputs, one.puzzle_ids, (1,))
    return Batch(*(array[0] for array in one))


def make_plane(options: Options, model: Model, puzzle: Batch) -> Plane:
    """The coordinates and directions that are asked for."""
    dynamics = model.bind(puzzle.inputs, int(puzzle.puzzle_ids))
    coordinates = np.linspace(-options.extent, options.extent, options.grid)
    scale = float(start_scale(dynamics.initial)) * dimension(dynamics.initial) ** 0.5
    key, _ = _keys(options)
    if options.directions == "random":
        directions = random_frame(key, dynamics.initial, 2)
        return Plane(coordinates, scale, directions, {"kind": "random orthonormal"})
    found = forward_vectors(dynamics, 2, options.direction_segments, key=key)
    facts = {
        "kind": "forward Lyapunov vectors",
        "segments": options.direction_segments,
        "log_growth_nats": np.asarray(found.log_growth, float).tolist(),
        "residual": float(found.residual),
        "converged": bool(found.converged),
    }
    return Plane(coordinates, scale, found.frame, facts)


def measure(options: Options, model: Model, puzzle: Batch, plane: Plane) -> Arrays:
    """What becomes of every start, computed chunk by chunk in the output folder.

    Returns:
      Arrays (G², ...), the second coordinate fastest: `answer_at`, `residual_at`, `residual`,
      `answers` and, with exponents, `exponents` (G², k) and `fli`.

    Raises:
      ValueError: for sizes that do not fit the model, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    moves = plane.scale * plane.coordinates

    def prepare(items: np.ndarray) -> jax.Array:
        return jnp.asarray(moves[np.stack(np.divmod(items, options.grid), axis=-1)])

    fixed = (model.config, options.num_segments, options.residual, options.num_exponents)
    shared = (model.params, puzzle.inputs, puzzle.puzzle_ids, plane.directions, _keys(options)[1])
    work = ChunkProgram(partial(_measure, *fixed), shared, prepare)
    names = ("puzzle", "grid", "extent", "directions", "residual", "num_exponents")
    identity = {name: getattr(options, name) for name in names} | {
        "tokens": digest_arrays(puzzle.inputs, puzzle.puzzle_ids),
        "direction_segments": plane.facts.get("segments"),
    }
    chunk = job.default_chunk(model, options.num_exponents)
    return job.sweep("slice", options, model, work, options.grid**2, chunk, identity)


def _measure(
    config: Config,
    num_segments: int,
    threshold: float,
    num_exponents: int,
    shared: tuple[Any, Any, Any, Frame, jax.Array],
    chunk: jax.Array,
) -> dict[str, jax.Array]:
    """One chunk of starts (n, 2), in the unit of the state."""
    params, tokens, puzzle_id, directions, key = shared
    dynamics = bind(params, config, tokens, puzzle_id)
    narrow = np.min_scalar_type(config.vocab_size - 1)

    def one(coordinates: jax.Array) -> dict[str, jax.Array]:
        start = on_plane(dynamics.initial, directions, coordinates)
        found = settling_time(dynamics, num_segments, threshold=threshold, initial=start)
        seen = {
            "answer_at": found.answer_at,
            "residual_at": found.residual_at,
            "residual": found.residual.astype(jnp.float32),
            "answers": found.answer.astype(narrow),
        }
        return seen | (exponents(start) if num_exponents else {})

    def exponents(start: State) -> dict[str, jax.Array]:
        # one frame for all starts, so that neighbours differ by their trajectories alone
        result = spectrum(dynamics, num_exponents, num_segments, key=key, initial=start)
        fli = fast_lyapunov_indicator(result.log_growth)[-1]
        return {"exponents": result.exponents, "fli": fli}

    return jax.vmap(one)(chunk)


def describe_points(options: Options, puzzle: Batch, plane: Plane, found: Arrays) -> Arrays:
    """The arrays of the result: points on the grid, and answers by their index."""
    answers, finite = found["answers"], np.isfinite(found["residual"])
    settled = finite & (found["answer_at"] <= options.num_segments - options.rest_segments)
    index, distinct = answer_classes(answers, settled)
    by_point = {name: array for name, array in found.items() if name != "answers"}
    by_point |= {"answer_index": index.astype(np.int32), "finite": finite}
    known = puzzle.labels != IGNORE_LABEL
    if known.any():
        by_point["solved"] = finite & (answers == puzzle.labels)[:, known].all(axis=1)
    shape = (options.grid, options.grid)
    results = {name: array.reshape(*shape, *array.shape[1:]) for name, array in by_point.items()}
    results |= {"a": plane.coordinates, "b": plane.coordinates, "distinct_answers": distinct}
    if known.any():
        results["answer_solved"] = (distinct == puzzle.labels)[:, known].all(axis=1)
    directions = named_fields(plane.directions)
    return results | {f"direction_{name}": np.asarray(leaf) for name, leaf in directions.items()}


def _keys(options: Options) -> tuple[jax.Array, jax.Array]:
    """Of the directions, and of the frame of the exponents."""
    key_directions, key_frame = jax.random.split(jax.random.key(options.seed))
    return key_directions, key_frame


def _check(options: Options) -> None:
    check_positive(options, ("num_segments", "direction_segments", "rest_segments"))
    if options.grid < 2:
        raise ValueError(f"grid must be at least 2, got {options.grid}")
    for name in ("extent", "residual"):
        number = getattr(options, name)
        if not (np.isfinite(number) and number > 0):
            raise ValueError(f"{name} must be a positive number, got {number}")
    if options.num_exponents < 0:
        raise ValueError(f"num_exponents must be at least 0, got {options.num_exponents}")
    if not options.rest_segments < options.num_segments:
        raise ValueError(
            f"rest_segments must be fewer than the {options.num_segments} segments of the run; got "
            f"{options.rest_segments}"
        )
    if not 2 <= options.box_size <= options.grid:
        raise ValueError(
            f"box_size must lie in 2..{options.grid}, the starts along an axis; got "
            f"{options.box_size}"
        )


def _draw(folder: Path, results: Arrays, options: Options) -> None:
    kind = "random direction" if options.directions == "random" else "Lyapunov vector"
    labels = [f"{name} along {kind} {i + 1}, in units of {UNIT}" for i, name in enumerate("ab")]
    places, index, solved = results["a"], results["answer_index"], results.get("solved")
    settled_at, moving = results["answer_at"], index == MOVING
    draw_results(
        folder,
        {
            "settling": partial(settling_map, places, settled_at, moving, labels),
            "answers": partial(answer_map, places, index, solved, labels),
        },
    )
