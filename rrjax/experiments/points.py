"""Where trajectories go: fixed points and cycles near them, their stability, and what they say."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.points import PointSummary, summarize_points
from rrjax.checks import check_choice, check_count, check_number
from rrjax.choices import AskedChunkSize, Clock, Outcome
from rrjax.contract import Dynamics, State
from rrjax.dynamics.krylov import ritz_values
from rrjax.dynamics.precision import in_type
from rrjax.dynamics.starts import perturb, start_scale
from rrjax.experiments.experiment import Experiment, Job, check_readout, chosen_readout, fold_keys
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, take
from rrjax.frames import dimension
from rrjax.inside.points import SEPARATION, Settings, between, by_cycle, points_from, states_of
from rrjax.keys import make_key
from rrjax.page.points import panels as points_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.points import eigenvalues_by_outcome, fates_by_outcome
from rrjax.puzzles.batch import Batch
from rrjax.reports import points as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

_SEARCH = ("puzzle", "search")
_VALUES = (*_SEARCH, "eigenvalue")
ARRAYS = {
    "solved": ArraySpec(
        ("puzzle", "segment"), "whether the answer after the segment is right", "b"
    ),
    "q_halt": ArraySpec(("puzzle", "segment"), "logit of 'the answer is right'"),
    "returns": ArraySpec(
        ("puzzle", "lag"), "norm of z(end) − z(end − lag) / norm of z(end), by the clock of F"
    ),
    "step": ArraySpec(
        ("puzzle", "segment"), "norm of the change over a segment / norm of the state"
    ),
    "spread": ArraySpec(("puzzle",), "rms distance of later states from their mean / norm"),
    "period": ArraySpec(
        ("search",), "segments, or cycles (passes of the outermost repeat of a segment)", "i"
    ),
    "start_segment": ArraySpec(
        ("search",), "segment whose end is the start; 0 for a random one", "i"
    ),
    "residual": ArraySpec(_SEARCH, "norm of F^p(z) − z in float64"),
    "iterations": ArraySpec(_SEARCH, "Newton's steps", "i"),
    "moved": ArraySpec(_SEARCH, "norm of z − start"),
    "norm": ArraySpec(_SEARCH, "norm of z"),
    "distance": ArraySpec(
        (*_SEARCH, "segment"), "from the state to the nearest point of the cycle"
    ),
    "least_period": ArraySpec(
        _SEARCH, "smallest divisor of the period after which z comes back", "i"
    ),
    "cycle_return": ArraySpec(_SEARCH, "norm of the change of z in one cycle"),
    "update_drift": ArraySpec((*_SEARCH, "update"), "norm of the change of the state"),
    "kept": ArraySpec(
        _SEARCH, "distance from the cycle after num_kept segments in the trained type"
    ),
    "kept_answer": ArraySpec(_SEARCH, "whether it still gives an answer of the cycle then", "b"),
    "point_solved": ArraySpec(
        _SEARCH, "whether all points of the cycle give the right answer", "b"
    ),
    "point_q": ArraySpec(_SEARCH, "logit of 'the answer is right' at z"),
    "same_answer": ArraySpec(
        _SEARCH, "whether z gives the answer of the end of the trajectory", "b"
    ),
    "point_id": ArraySpec(_SEARCH, "number of the distinct point of the puzzle; −1 for none", "i"),
    "eigenvalue_real": ArraySpec(_VALUES, "of the Jacobian of F^p at z"),
    "eigenvalue_imag": ArraySpec(_VALUES, "of the Jacobian of F^p at z"),
    "eigenvalue_residual": ArraySpec(_VALUES, "norm of A v − μ v for a unit vector v"),
}
"""Lengths are in the unit of the state."""


def fixed_points(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_segments: int = 32,
    periods: Sequence[int] = (1, 2),
    num_starts: int = 2,
    num_random: int = 0,
    clock: Clock = "segment",
    num_eigenvalues: int = 8,
    krylov: int = 32,
    max_iterations: int = 16,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = 1,
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Searches the fixed points and cycles that runs approach, and measures their stability.

    The trained model runs in its own type. From states along its trajectory Newton's method solves
    F^p(z) = z in float64, up to a residual of at most 1e-9. F is a segment, or one cycle of it.
    With the same folder another readout segment or radius computes nothing again.

    Args:
      model: A model, or any `Reasoner` whose dynamics are not driven. Its updates keep the type of
        the state that they are given, also where 64-bit types are on.
      puzzles: The puzzles, N of them.
      num_segments: The number S of segments of each trajectory.
      periods: The periods p that are searched. Periods after the first are searched from the end of
        a trajectory only. If F is a segment, they are searched only where the end is twice as near
        to the state of p segments before as to that of one segment before.
      num_starts: Number of states, evenly spaced along the trajectory up to its end, from which
        fixed points are searched.
      num_random: Number of further searches for fixed points, from random starts: the initial state
        plus noise as large as the spread of the initial vector.
      clock: What F is: a segment, or a cycle, which is one pass of the segment's outermost repeat.
      num_eigenvalues: The number m of leading eigenvalues of each point.
      krylov: Largest number of vectors in a linear solve and in the iteration for eigenvalues.
      max_iterations: Largest number of Newton steps.
      seed: Seed of the random starts.

    The other arguments are those of `spectrum`.

    Returns:
      Of each trajectory `solved`, `q_halt` and `step` (N, S); `returns` (N, lags): how far it is
      from where it was 1, 2, … 8 steps of the clock before; `spread` (N,). Of each of K searches
      `residual`, `iterations`, `moved`, `norm`, `least_period`, `cycle_return`, `kept`,
      `kept_answer`, `point_solved`, `point_q`, `same_answer` and `point_id` (N, K); `distance`
      (N, K, S); `update_drift` (N, K, updates); `eigenvalue_real`, `eigenvalue_imag` and
      `eigenvalue_residual` (N, K, m). Of a search that did not converge only the first three are
      known, and its `point_id` is −1; nor is a point described again that the searches of a
      smaller period have reached.

    Raises:
      ValueError: The dynamics are driven, the numbers make no search, the puzzles or sizes do not
        fit the model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.fixed_points(
      ...     model, puzzles, num_segments=2, periods=[1], num_starts=1, num_eigenvalues=1,
      ...     krylov=4, max_iterations=1, progress=False
      ... )
      >>> run.residual.shape
      (2, 1)
    """
    check_choice("clock", clock, Clock)
    check_count("num_starts", num_starts, least=1, most=num_segments)
    check_count("num_random", num_random)
    check_count("num_eigenvalues", num_eigenvalues, least=1, most=krylov)
    check_count("max_iterations", max_iterations, least=1)
    if not periods or len(set(periods)) < len(periods):
        raise ValueError(f"periods must be one or more different numbers, got {list(periods)}")
    for period in periods:
        check_count("periods", period, least=1)
    place = folder, chunk_size, shard
    job = Job(FIXED_POINTS, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    if job.dynamics.drive is not None:
        raise ValueError("the dynamics must be autonomous: driven ones have no fixed points")
    dtype = job.dtype  # binds the model before float64 is there
    starts = np.linspace(0, num_segments, num_starts + 1).astype(int)[1:]
    table = _searches(sorted(periods), starts, num_random)
    settings = Settings(max_iterations=max_iterations, krylov=krylov)
    options = {
        "periods": sorted(periods),
        "num_starts": num_starts,
        "num_random": num_random,
        "clock": clock,
        "krylov": krylov,
        "max_iterations": max_iterations,
        "tolerance": settings.tolerance,
        "num_kept": settings.num_kept,
    }
    compute = partial(_measure, job, dtype, table, clock, settings)
    identity = {"puzzles": job.described_puzzles["sha256"], **options}

    def prepare(items: np.ndarray) -> tuple[Batch, Array]:
        return take(puzzles, items), fold_keys(make_key(seed), items)

    with jax.enable_x64(True):
        arrays = job.sweep(compute, prepare, len(puzzles.inputs), krylov, identity)
    arrays = _read(arrays, num_eigenvalues) | table
    return job.results(arrays, options, clock=clock)


_MOST_LAGS = 8


def _searches(periods: Sequence[int], starts: np.ndarray, num_random: int) -> Arrays:
    """Returns the period and the start of each search, equal periods side by side."""
    rows = []
    for period in periods:
        chosen = [*starts, *[0] * num_random] if period == periods[0] else [starts[-1]]
        rows += [(period, start) for start in chosen]
    period, start = np.array(rows, np.int32).T
    return {"period": period, "start_segment": start}


def _measure(
    job: Job,
    dtype: str,
    table: Arrays,
    clock: str,
    settings: Settings,
    params: Any,
    chunk: tuple[Batch, Array],
) -> dict[str, Array]:
    """Returns the arrays of a chunk, one puzzle after the other: each skips what it can."""

    def one(item: tuple[Batch, Array]) -> dict[str, Array]:
        puzzle, key = item
        dynamics = in_type(bind(job.model, params, puzzle), dtype)
        searched, passes = by_cycle(dynamics) if clock == "cycle" else (dynamics, 1)
        all_states = states_of(searched, passes * job.num_segments)
        states = jax.tree.map(lambda leaf: leaf[passes - 1 :: passes], all_states)
        facts = _trajectory_facts(job, puzzle, dynamics, states)
        facts["returns"] = _returns(all_states)
        groups, known = [], jnp.zeros((0, dimension(dynamics.initial)))
        smallest = table["period"].min()
        for is_chosen in (table["period"] == smallest, table["period"] > smallest):
            if not is_chosen.any():
                continue
            starts = _starts(dynamics, states, table["start_segment"][is_chosen], key)
            periods = table["period"][is_chosen].tolist()
            wanted = [p == smallest or _comes_back(facts["returns"], p) for p in periods]
            group = points_from(
                searched, states, starts, periods, known, jnp.array(wanted), _say, settings
            )
            known = jnp.where(group["converged"][:, None], group["point"], jnp.nan)
            groups.append(group)
        return facts | _point_facts(job, puzzle, _say(dynamics, _last(states)).tokens, groups)

    return jax.lax.map(one, chunk)


CLOSER = 0.5
"""A trajectory comes back after p segments if its end is nearer to where it was then than this part
of its distance from where it was after any fewer."""


def _comes_back(returns: Array, period: int) -> Array | bool:
    if period > len(returns):
        return True  # not known
    return returns[period - 1] < CLOSER * returns[: period - 1].min()


def _last(states: State) -> State:
    return jax.tree.map(lambda leaf: leaf[-1], states)


class _Said(NamedTuple):
    tokens: Array
    q_halt: Array


def _say(dynamics: Dynamics, state: State) -> _Said:
    answer = read_answer(dynamics, state)
    return _Said(answer.logits.argmax(-1), answer.q_halt.astype(jnp.float64))


def _starts(dynamics: Dynamics, states: State, segments: np.ndarray, key: Array) -> State:
    """Returns the starts of searches: states after segments, and random ones for segment 0."""
    chosen = segments[segments > 0] - 1
    along = jax.tree.map(lambda leaf: leaf[chosen], states)
    number = len(segments) - len(chosen)
    if not number:
        return along
    initial = dynamics.initial
    scale = start_scale(initial)
    drawn = jax.vmap(lambda one: perturb(one, initial, scale))(jax.random.split(key, number))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), along, drawn)


def _rows(states: State) -> Array:
    """Returns the components of states (k, …) in float64, (k, n)."""
    return jnp.concatenate(
        [leaf.reshape(len(leaf), -1).astype(jnp.float64) for leaf in jax.tree.leaves(states)], 1
    )


def _returns(states: State) -> Array:
    """Returns how far the last of some states is from those before it, relative to its norm."""
    lags = min(_MOST_LAGS, len(jax.tree.leaves(states)[0]) - 1)
    flat = _rows(jax.tree.map(lambda leaf: leaf[-1 - lags :], states))
    back = jnp.linalg.norm(flat[-1] - flat[-2::-1], axis=1)
    return back / jnp.linalg.norm(flat[-1])


def _trajectory_facts(
    job: Job, puzzle: Batch, dynamics: Dynamics, states: State
) -> dict[str, Array]:
    """Returns the outcomes of a trajectory, how fast it moves and how widely."""
    answers = jax.lax.map(partial(_say, dynamics), states)
    flat = _rows(states)
    first = jnp.concatenate(
        [leaf.ravel().astype(jnp.float64) for leaf in jax.tree.leaves(dynamics.initial)]
    )
    norms = jnp.linalg.norm(flat, axis=1)
    steps = jnp.linalg.norm(jnp.diff(flat, axis=0, prepend=first[None]), axis=1)
    later = flat[job.num_segments // 2 :]
    off = jnp.linalg.norm(later - later.mean(0), axis=1)
    return {
        "solved": job.judge.is_right(puzzle, answers.tokens),
        "q_halt": answers.q_halt,
        "step": steps / norms,
        "spread": jnp.sqrt(jnp.mean(off**2)) / norms[-1],
    }


def _point_facts(
    job: Job, puzzle: Batch, answer: Array, groups: list[dict[str, Any]]
) -> dict[str, Array]:
    """Returns the arrays of all searches of a puzzle, without the points themselves."""
    images = [rows for group in groups for rows in group.pop("images")]
    points = jnp.concatenate([group.pop("point") for group in groups])
    for group in groups:
        (tokens, q_halt), after = group.pop("said"), group.pop("said_after").tokens
        group["point_solved"] = job.judge.is_right(puzzle, tokens).all(1)
        group["point_q"] = q_halt[:, 0]
        group["kept_answer"] = (tokens == after[:, None]).all(-1).any(1)
        group["same_answer"] = (tokens[:, 0] == answer).all(-1)
    joined = {name: jnp.concatenate([group[name] for group in groups]) for name in groups[0]}
    return joined | {"between": between(points, images)}


def _read(arrays: Arrays, num_eigenvalues: int) -> Arrays:
    """Returns the arrays of a sweep with eigenvalues and distinct points in place of matrices."""
    arrays = dict(arrays)
    small, apart = arrays.pop("hessenberg"), arrays.pop("between")
    converged = arrays.pop("converged")
    number = min(num_eigenvalues, small.shape[-1])
    pairs = [ritz_values(H, number) for H in small.reshape(-1, *small.shape[-2:])]
    values, residuals = (
        np.stack(each).reshape(*small.shape[:2], -1) for each in zip(*pairs, strict=True)
    )
    for name in ("point_solved", "same_answer", "kept_answer"):
        arrays[name] &= np.isfinite(arrays["norm"])
    return {
        **arrays,
        "point_id": np.stack([_label(*each) for each in zip(apart, converged, strict=True)]),
        "eigenvalue_real": np.real(values),
        "eigenvalue_imag": np.imag(values),
        "eigenvalue_residual": residuals,
    }


def _label(apart: np.ndarray, converged: np.ndarray) -> np.ndarray:
    """Returns the number of each search's point, from 0 in the order of the searches."""
    labels, first = np.full(len(apart), -1, np.int32), []
    for index in np.flatnonzero(converged):
        known = [place for place, other in enumerate(first) if apart[index, other] <= SEPARATION]
        if not known:
            first.append(index)
        labels[index] = known[0] if known else len(first) - 1
    return labels


def check(
    options: Mapping[str, Any], readout_segment: int | None = None, radius: float = 1.0
) -> None:
    """Refuses a readout after a segment that is not run, and a radius that is none."""
    check_readout(options, readout_segment)
    check_number("radius", radius, above=0)


def numbers(
    results: Results, readout_segment: int | None = None, radius: float = 1.0
) -> PointSummary:
    """Returns what becomes of failures and successes, and the certificates of the points.

    Args:
      results: The searches.
      readout_segment: Segment whose failures are followed, counted from 1. Without it this is the
        16th, at which models are trained to answer, or the last if there are fewer.
      radius: A trajectory that does not settle counts as near a saddle if it comes closer to an
        unstable point than this many times its own spread, or than a hundredth of its norm.
    """
    return summarize_points(results, chosen_readout(results, readout_segment), radius)


def figures(
    results: Results, readout_segment: int | None = None, radius: float = 1.0
) -> Mapping[str, Draw]:
    """Returns the figures of the searches.

    Args:
      results: The searches.
      readout_segment: As in `numbers`.
      radius: As in `numbers`.
    """
    summary = numbers(results, readout_segment, radius)
    return {
        "fates": partial(fates_by_outcome, summary),
        "eigenvalues": partial(eigenvalues_by_outcome, results, summary),
    }


FIXED_POINTS = Experiment(
    "fixed_points",
    ARRAYS,
    numbers,
    report.tables,
    figures,
    check,
    findings=report.findings,
    panels=points_panels,
)
