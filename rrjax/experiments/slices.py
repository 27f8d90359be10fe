"""A plane of initial states of one puzzle: when runs settle, and on which answer."""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.analysis.basins import MOVING, answer_classes
from rrjax.analysis.slices import SliceSummary, summarize_slice
from rrjax.checks import check_choice, check_count, check_number, refuse
from rrjax.choices import AskedChunkSize, Directions, Outcome, Precision
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.dynamics.horizons import fast_lyapunov_indicator
from rrjax.dynamics.slices import on_plane, settling_time
from rrjax.dynamics.spectrum import spectrum
from rrjax.dynamics.starts import start_scale
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.judging import judge_on_host, outcome_arrays
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, token_type
from rrjax.frames import Frame, dimension, random_frame
from rrjax.keys import fixed_generator, make_key
from rrjax.plots.canvas import Draw
from rrjax.plots.slices import answer_map, settling_map
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.reports import slices as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays, digest_arrays

_LARGEST_GRID = 4096
_MOST_DIRECTION_SEGMENTS = 1000
"""Each of a hundred passes goes forwards and back through so many segments."""

UNIT = "std(H_init) · √dim"
_POINT = ("a", "b")
ARRAYS = {
    "a": ArraySpec(("a",), UNIT),
    "b": ArraySpec(("b",), UNIT),
    "answer_index": ArraySpec(_POINT, "row of distinct_answers; -1: still moving", "i"),
    "answer_at": ArraySpec(
        _POINT, "first segment, from 1, from which on the answer is the last one", "i"
    ),
    "residual_at": ArraySpec(
        _POINT, "first segment, from 1, from which on the residual stays below the threshold", "i"
    ),
    "residual": ArraySpec(
        _POINT, "norm of the change over the last segment / norm of the state after it"
    ),
    "finite": ArraySpec(_POINT, "whether the last residual is a finite number", "b"),
    "solved": ArraySpec(_POINT, "whether the last answer is right", "b"),
    **outcome_arrays(*_POINT),
    "exponents": ArraySpec((*_POINT, "exponent"), "nats per update"),
    "fli": ArraySpec(_POINT, "nats"),
    "distinct_answers": ArraySpec(("answer", "cell"), "token", "i"),
    "answer_solved": ArraySpec(("answer",), "whether the answer is right", "b"),
    "direction_": ArraySpec(("direction", "token", "width"), "share of a unit vector"),
}


class Plane(NamedTuple):
    """Where the starts lie.

    Attributes:
      coordinates: (G,) Places on both axes, in `UNIT`.
      scale: That unit, in the state's own.
      directions: u and v, a state with a leading axis 2.
      facts: How the directions came about.
    """

    coordinates: np.ndarray
    scale: float
    directions: Frame
    facts: dict[str, Any]


def slice(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    grid: int = 64,
    extent: float = 1.0,
    directions: Directions = "random",
    direction_segments: int = 4,
    num_segments: int = 32,
    rest_segments: int | None = None,
    residual: float = 0.01,
    num_exponents: int = 0,
    seed: int = 0,
    precision: Precision = "exact",
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Runs one puzzle from a plane of starts z0 + a·u + b·v, and maps settling times and answers.

    The unit of a and b is std(H_init)·√dim, the length of the noise that σ = 1 gives to the whole
    state. With the same folder other boxes or another rest compute nothing again.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: One puzzle, such as `puzzles[5]`.
      grid: The number G of starts along each axis. An odd number has z0 among them.
      extent: Largest a and b; both go from −extent to extent.
      directions: The directions u and v: random ones, or the two forward Lyapunov vectors at z0,
        along which the first segments stretch most.
      direction_segments: Number of those first segments. Random directions do not need it.
      rest_segments: An answer that stays the same over so many last segments is settled. Without it
        this is 4, or as many as the run has.
      residual: A state is at rest below this relative residual.
      num_exponents: The number k of leading Lyapunov exponents of each start, which then also has
        the fast Lyapunov indicator. The cost is 1 + k times as large; 0 means none.

    The other arguments are those of `spectrum`.

    Returns:
      Arrays (G, G): `answer_index`, `answer_at`, `residual_at`, `residual` and `finite`, with a
      known answer `solved`, with exponents `exponents` (G, G, k) and `fli` in nats; the places `a`
      and `b` (G,), the `distinct_answers` (answers, seq) with `answer_solved` (answers,), and
      `direction_z_H` and so on (2, tokens, width).

    Raises:
      ValueError: The numbers make no plane, there is not one puzzle, the sizes do not fit the
        model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.slice(model, puzzles[0], grid=3, num_segments=2, progress=False)
      >>> run.answer_index.shape
      (3, 3)
    """
    check_count("grid", grid, least=2, most=_LARGEST_GRID)
    check_number("extent", extent, above=0)
    check_number("residual", residual, above=0)
    check_choice("directions", directions, Directions)
    check_count("direction_segments", direction_segments, least=1, most=_MOST_DIRECTION_SEGMENTS)
    check_count("num_segments", num_segments, least=2)
    check_count("rest_segments", rest_segments, least=1)
    if rest_segments is None:
        rest_segments = min(4, num_segments - 1)
    if not rest_segments < num_segments:
        rule = f"be fewer than the {num_segments} segments of the run"
        refuse("rest_segments", rule, rest_segments)
    check_count("num_exponents", num_exponents)
    if len(puzzles.inputs) != 1:
        raise ValueError(f"a slice needs one puzzle, such as puzzles[5]; got {len(puzzles.inputs)}")
    place = folder, chunk_size, shard
    job = Job(SLICE, model, puzzles, num_segments, seed, precision, *place, progress, outcome)
    with fixed_generator():
        key_plane, key_frame = jax.random.split(make_key(seed))
        plane = _make_plane(job.dynamics, key_plane, grid, extent, directions, direction_segments)
    if not plane.facts.get("converged", True):
        message = "the Lyapunov directions have not converged: their plane is not unique"
        warnings.warn(message, stacklevel=2)
    puzzle, places = job.first_puzzle, plane.scale * plane.coordinates

    def prepare(items: np.ndarray) -> jax.Array:
        return jnp.asarray(places[np.stack(np.divmod(items, grid), axis=-1)])

    compute = partial(_measure, job, residual, num_exponents)
    shared = (getattr(model, "params", ()), puzzle, plane.directions, key_frame)
    options = {
        "grid": grid,
        "extent": extent,
        "directions": directions,
        "residual": residual,
        "num_exponents": num_exponents,
    }
    identity = options | {
        "tokens": digest_arrays(puzzle.inputs, puzzle.puzzle_ids),
        "direction_segments": plane.facts.get("segments"),
    }
    points = job.sweep(compute, prepare, grid**2, num_exponents, identity, shared)
    right = _judge_answers(job, points["answers"])
    arrays = _describe_points(points, right, plane, num_segments - rest_segments)
    rest = {"direction_segments": direction_segments, "rest_segments": rest_segments}
    facts = {"clock": "segment", "scale": plane.scale, "directions": plane.facts}
    return job.results(arrays, options | rest, **facts)


def _make_plane(
    dynamics: Dynamics,
    key: jax.Array,
    grid: int,
    extent: float,
    kind: Directions,
    num_segments: int,
) -> Plane:
    coordinates = np.linspace(-extent, extent, grid)
    scale = float(start_scale(dynamics.initial)) * dimension(dynamics.initial) ** 0.5
    if kind == "random":
        directions = random_frame(key, dynamics.initial, 2)
        return Plane(coordinates, scale, directions, {"kind": "random orthonormal"})
    vectors = forward_vectors(dynamics, 2, num_segments, key=key)
    facts = {
        "kind": "forward Lyapunov vectors",
        "segments": num_segments,
        "log_growth_nats": np.asarray(vectors.log_growth, float).tolist(),
        "residual": float(vectors.residual),
        "converged": bool(vectors.converged),
    }
    return Plane(coordinates, scale, vectors.frame, facts)


def _measure(
    job: Job,
    threshold: float,
    num_exponents: int,
    shared: tuple[Any, Batch, Frame, jax.Array],
    chunk: jax.Array,
) -> dict[str, jax.Array]:
    """Returns the arrays of one chunk of starts (n, 2), which are in the unit of the state."""
    params, puzzle, directions, key = shared
    dynamics, precision = bind(job.model, params, puzzle), job.precision
    narrow = token_type(read_answer(dynamics, dynamics.initial))

    def one(coordinates: jax.Array) -> dict[str, jax.Array]:
        start = on_plane(dynamics.initial, directions, coordinates)
        settling = settling_time(
            dynamics, job.num_segments, threshold=threshold, initial=start, precision=precision
        )
        kept = {
            "answer_at": settling.answer_at,
            "residual_at": settling.residual_at,
            "residual": settling.residual.astype(jnp.float32),
            "answers": settling.answer.astype(narrow),
        }
        return kept | (exponents(start) if num_exponents else {})

    def exponents(start: State) -> dict[str, jax.Array]:
        # one frame for all starts, so that neighbours differ by their trajectories alone
        result = spectrum(
            dynamics, num_exponents, job.num_segments, key=key, initial=start, precision=precision
        )
        fli = fast_lyapunov_indicator(result.log_growth)[-1]
        return {"exponents": result.exponents, "fli": fli}

    return jax.vmap(one)(chunk)


def _judge_answers(job: Job, answers: np.ndarray) -> Arrays:
    """Returns by name which answers (G², seq) are right; nothing where that cannot be known."""
    if not job.judge.stored and (job.first_puzzle.labels == IGNORE_LABEL).all():
        return {}
    return job.judge.with_solved(judge_on_host(job.judge, job.first_puzzle, answers))


def _describe_points(points: Arrays, right: Arrays, plane: Plane, last_change: int) -> Arrays:
    """Returns the arrays of the result: points (G², ...) on the grid, and answers by their index.

    `right` says which answers are right. An answer is settled if it does not change after the
    segment `last_change`.
    """
    answers, finite = points["answers"], np.isfinite(points["residual"])
    index, distinct = answer_classes(answers, finite & (points["answer_at"] <= last_change))
    by_point = {name: array for name, array in points.items() if name != "answers"}
    by_point |= {"answer_index": index.astype(np.int32), "finite": finite}
    by_point |= {name: finite & array for name, array in right.items()}
    size = len(plane.coordinates)
    arrays = {name: array.reshape(size, size, *array.shape[1:]) for name, array in by_point.items()}
    arrays |= {"a": plane.coordinates, "b": plane.coordinates, "distinct_answers": distinct}
    if "solved" in by_point:
        firsts = [(index == row).argmax() for row in range(len(distinct))]
        arrays["answer_solved"] = by_point["solved"][firsts]
    directions = named_fields(plane.directions)
    return arrays | {f"direction_{name}": np.asarray(leaf) for name, leaf in directions.items()}


def check(options: Mapping[str, Any], box_size: int | None = None) -> None:
    """Refuses boxes that do not fit the grid."""
    grid = options["grid"]
    if box_size is not None and not 2 <= box_size <= grid:
        refuse("box_size", f"lie in 2..{grid}, the starts along an axis", box_size)


def numbers(results: Results, box_size: int | None = None) -> SliceSummary:
    """Returns who settles where, and how mixed the basins are.

    Args:
      results: The slice.
      box_size: Number of starts along the edge of a box of the basin entropy. Without it this is 5,
        or the whole grid if that is smaller.
    """
    options = results.record["options"]
    return summarize_slice(
        results,
        options["num_segments"],
        options["rest_segments"],
        options["residual"],
        box_size or min(5, options["grid"]),
    )


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the maps of the slice: when runs settle, and on which answer."""
    random = results.record["directions"]["kind"].startswith("random")
    kind = "random direction" if random else "Lyapunov vector"
    labels = [f"{name} along {kind} {i + 1}, in units of {UNIT}" for i, name in enumerate("ab")]
    places, index = results["a"], results["answer_index"]
    moving = index == MOVING
    return {
        "settling": partial(settling_map, places, results["answer_at"], moving, labels),
        "answers": partial(answer_map, places, index, results.get("solved"), labels),
    }


SLICE = Experiment("slice", ARRAYS, numbers, report.tables, figures, check)
