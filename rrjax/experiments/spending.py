"""Policies at test time: what compute buys, by how it is spent and which answer is chosen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rrjax.analysis.policies import name_boards
from rrjax.analysis.policy_summary import PolicySummary, summarize_frontiers, summarize_policies
from rrjax.analysis.selection import powers_of_two
from rrjax.checks import MOST_RUNS, MOST_SEGMENTS, check_count, check_number, refuse
from rrjax.choices import AskedChunkSize, Outcome, Precision
from rrjax.contract import Dynamics, count_updates, named_fields
from rrjax.dynamics.noise import with_noise, with_update_noise
from rrjax.dynamics.starts import random_start, start_scale
from rrjax.experiments.basins import perturbed
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.judging import judge_all
from rrjax.experiments.reasoner import Puzzles, Reasoner, take
from rrjax.experiments.restarts import Disturb, RunGrid, prepare_runs
from rrjax.experiments.trajectories import Length, measure_particles, measure_runs
from rrjax.outcomes import OBEYS_RULES, VALID_PATH
from rrjax.page.policies import panels as policies_panels
from rrjax.plots.canvas import Draw
from rrjax.plots.policies import accuracy_against_evaluations
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.symmetric_copies import SymmetricCopies, symmetric_copies
from rrjax.reports import policies as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

WAYS = ("starts", "random_starts", "noise", "noise_z_H", "noise_z_L", "particles", "copies")
"""How runs of a puzzle differ from each other; `policies` explains each."""

_RUN = ("puzzle", "way", "run", "segment")
_PLAIN = ("puzzle", "plain_segment")
_NUMBERS = {
    "solved": ("whether the answer after the segment is right", "b"),
    "valid": ("whether the answer obeys the rules of the puzzle", "b"),
    "q_halt": ("logit of 'the answer is right'", "f"),
    "residual": ("norm of the change over a segment / norm of the state after it", "f"),
    "logit_change": ("mean over cells of the norm of the change of the logits", "f"),
    "lambda1": ("nats per update, from the start to the segment", "f"),
}
ARRAYS = {
    **{name: ArraySpec(_RUN, *spec) for name, spec in _NUMBERS.items()},
    **{f"plain_{name}": ArraySpec(_PLAIN, *spec) for name, spec in _NUMBERS.items()},
    "board": ArraySpec(_RUN, "number of the answer among the different ones of its way", "i"),
    "pooled_solved": ArraySpec(
        ("puzzle", "way", "number_of_runs", "depth"),
        "whether the likeliest tokens are right, by the mean probabilities of the first runs",
        "b",
    ),
    "number_of_runs": ArraySpec(("number_of_runs",), "runs that are pooled", "i"),
    "depth": ArraySpec(("depth",), "segments of each run that is pooled", "i"),
}
SEEN = ("q_halt", "residual", "logit_change", "lambda1")


def policies(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    ways: Sequence[str] = ("starts", "noise", "copies"),
    max_evaluations: int = 1344,
    num_runs: int = 8,
    sigma: float = 1.0,
    noise: float = 0.3,
    beta: float = 0.25,
    update_noise: float = 0.0,
    num_exponents: int = 0,
    seed: int = 0,
    precision: Precision = "exact",
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    progress: bool = True,
) -> Results:
    """Measures accuracy against module evaluations, for longer rollouts and for several runs.

    Every way of spending has the same budget: one long rollout, or several shorter runs. Smaller
    budgets are read from the same trajectories. The ways are

    - `starts`: the plain run, and others from z0 + σ · std(H_init) · noise;
    - `random_starts`: from truncated normal numbers of size 1 in every component (EqR);
    - `noise`, `noise_z_H`, `noise_z_L`: the plain run, and others with noise before every segment,
      on the whole state or a part of it (PTRM);
    - `particles`: noise, and after every segment the particles are drawn anew by exp(q/β);
    - `copies`: the plain run, and those of symmetric copies of the puzzle. Here the input differs.

    Args:
      model: A model, or any `Reasoner`.
      puzzles: The puzzles, N of them.
      ways: Ways to spend the budget, beside the long rollout.
      max_evaluations: Largest number of module evaluations that each way spends on a puzzle.
      num_runs: The number K of runs of a puzzle that share these.
      sigma: Size of the noise of starts, relative to the spread of the model's initial vector.
      noise: Standard deviation of the noise before segments, in the unit of the state.
      beta: The β of the particles' weights.
      update_noise: Standard deviation of the noise after every update of every run, as models are
        evaluated that were trained with it (EqR: .01).
      num_exponents: With 1, λ₁ is measured along all runs, at twice the cost; 0 means no exponent.

    The other arguments are those of `spectrum`.

    Returns:
      `solved`, `valid` (where puzzles have rules), `q_halt`, `residual`, `logit_change` and `board`
      (N, ways, K, segments), the same of the long rollout with `plain_` before the name
      (N, segments), and `pooled_solved`.

    Raises:
      ValueError: A way is unknown or needs what the model lacks, the budget is below one segment
        of each run, the puzzles do not fit the model, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.policies(
      ...     model, puzzles, ways=["starts"], num_runs=2, max_evaluations=16, progress=False
      ... )
      >>> run.solved.shape
      (2, 1, 2, 1)
    """
    check_count("num_runs", num_runs, least=2, most=MOST_RUNS)
    check_count("num_exponents", num_exponents, most=1)
    check_number("sigma", sigma, above=0)
    check_number("noise", noise, above=0)
    check_number("beta", beta, above=0)
    check_number("update_noise", update_noise, least=0)
    place = folder, chunk_size, None
    job = Job(POLICIES, model, puzzles, 1, seed, precision, *place, progress, outcome)
    updates = count_updates(job.dynamics.schedule)
    longest, depth = max_evaluations // updates, max_evaluations // updates // num_runs
    if longest > MOST_SEGMENTS:
        rule = f"be at most {MOST_SEGMENTS * updates}, {MOST_SEGMENTS} segments of {updates}"
        refuse("max_evaluations", rule, max_evaluations)
    if depth < 1:
        least = num_runs * updates
        rule = f"be at least {least}, a segment of {updates} evaluations for each of the runs"
        refuse("max_evaluations", rule, max_evaluations)
    _check_ways(ways, job, update_noise)
    job = replace(job, num_segments=longest)
    sizes = {"sigma": sigma, "noise": noise, "beta": beta, "update_noise": update_noise}
    depths = powers_of_two(depth)
    length = Length(depth, tuple(d - 1 for d in depths), job.precision, num_exponents)
    options = {
        "ways": list(ways),
        "max_evaluations": max_evaluations,
        "num_runs": num_runs,
        **sizes,
        "num_exponents": num_exponents,
    }
    plain = _plain(job, length._replace(num_segments=longest), options, update_noise)
    parts = [
        _runs(replace(job, num_segments=depth), way, length, num_runs, sizes, plain) for way in ways
    ]
    arrays = {name: np.stack([part[name] for part in parts], axis=1) for name in parts[0]}
    arrays |= {f"plain_{name}": plain[name] for name in plain if name in _NUMBERS}
    arrays["number_of_runs"] = np.array(powers_of_two(num_runs))
    arrays["depth"] = np.array(depths)
    return job.results(arrays, options, clock="segment")


def _check_ways(ways: Collection[str], job: Job, update_noise: float) -> None:
    if not ways or len(set(ways)) < len(ways) or not set(ways) <= set(WAYS):
        refuse("ways", f"be different ones of {', '.join(WAYS)}", " ".join(ways) or "none")
    disturbed = set(ways) - {"starts", "random_starts", "copies"}
    if update_noise and disturbed:
        rule = "be starts, random_starts or copies with update_noise, which is noise already"
        refuse("ways", rule, " ".join(sorted(disturbed)))
    fields = named_fields(job.dynamics.initial)
    for way in set(ways) & {"noise_z_H", "noise_z_L"}:
        if way.removeprefix("noise_") not in fields:
            refuse("ways", f"name fields of the state ({', '.join(fields)})", way)
    if "starts" in ways and float(start_scale(job.dynamics.initial)) == 0:
        refuse("ways", "leave out starts, since the initial vector has no spread", "starts")
    if "copies" in ways and not isinstance(job.puzzles, PuzzleSet):
        refuse("ways", "leave out copies, since these puzzles have no known symmetries", "copies")


def _plain(job: Job, length: Length, options: Mapping[str, Any], update_noise: float) -> Arrays:
    """Returns what is seen of the long rollout, arrays (N, segments, ...).

    Its sweep is that of the folder itself, which it claims for these options.
    """
    grid = RunGrid(np.zeros(1), np.zeros(1, int))
    disturb = _noisily(_undisturbed, job.num_segments, update_noise, 0)
    arrays = _sweep(job, length, grid, disturb, options)
    return {name: array[:, 0] for name, array in _judged(job, arrays).items()}


def _runs(
    job: Job, way: str, length: Length, num_runs: int, sizes: Mapping[str, float], plain: Arrays
) -> Arrays:
    """Returns what is seen of the runs of one way, arrays (N, K, segments), and what pools do."""
    if way == "particles":
        arrays = _particles(job, length, num_runs, sizes)
    elif way == "copies":
        arrays = _copies(job, length, num_runs, sizes["update_noise"])
    else:
        disturb, size, number = _disturbance(job, way, sizes)
        disturb = _noisily(disturb, job.num_segments, sizes["update_noise"], 1)
        grid = RunGrid(np.full(num_runs - number, size), np.arange(num_runs - number))
        arrays = _sweep(_part(job, way), length, grid, disturb, {"way": way})
        arrays = _judged(job, arrays)
    if next(iter(arrays.values())).shape[1] < num_runs:
        arrays = _with_plain(arrays, plain, length)
    arrays["pooled_solved"] = _pooled(job, arrays.pop("probabilities"))
    arrays["board"] = name_boards(arrays.pop("answers")).astype(np.int32)
    return arrays


def _disturbance(job: Job, way: str, sizes: Mapping[str, float]) -> tuple[Disturb, float, int]:
    """Returns what a run does to the dynamics, its size, and how many plain runs there are."""
    if way == "starts":
        return perturbed, sizes["sigma"], 1
    if way == "random_starts":
        return _from_random_start, 1.0, 0
    fields = None if way == "noise" else (way.removeprefix("noise_"),)
    return partial(with_noise, num_segments=job.num_segments, fields=fields), sizes["noise"], 1


def _noisily(disturb: Disturb, num_segments: int, update_noise: float, branch: int) -> Disturb:
    """Returns what a run does to the dynamics with noise after every update besides, if there is.

    Runs of other branches have other noise, with the same key.
    """
    if not update_noise:
        return disturb
    return partial(_with_update_noise, disturb, num_segments, update_noise, _UPDATES + branch)


_UPDATES = 2**31
"""First branch of a run's key of the noise of its updates; `disturb` splits the key itself."""


def _with_update_noise(
    disturb: Disturb,
    num_segments: int,
    update_noise: float,
    branch: int,
    dynamics: Dynamics,
    *,
    key: jax.Array,
    sigma: Any,
) -> Dynamics:
    dynamics = disturb(dynamics, key=key, sigma=sigma)
    own = jax.random.fold_in(key, branch)
    return with_update_noise(dynamics, num_segments, key=own, sigma=update_noise)


def _undisturbed(dynamics: Dynamics, *, key: jax.Array, sigma: Any) -> Dynamics:
    return dynamics


def _from_random_start(dynamics: Dynamics, *, key: jax.Array, sigma: Any) -> Dynamics:
    return replace(dynamics, initial=random_start(key, dynamics.initial))


def _sweep(
    job: Job, length: Length, grid: RunGrid, disturb: Disturb, facts: Mapping[str, Any]
) -> Arrays:
    """Returns what is seen of the runs of a grid, arrays (N, runs, segments, ...)."""
    shape = len(job.puzzles.inputs), len(grid.sigma)
    identity = {
        "puzzles": job.described_puzzles["sha256"],
        "runs": grid.sigma.tolist(),
        "num_exponents": length.num_exponents,
        **facts,
    }
    arrays = job.sweep(
        partial(measure_runs, job.judge, length, disturb),
        partial(prepare_runs, job.puzzles, grid, job.seed),
        shape[0] * shape[1],
        length.num_exponents,
        identity,
    )
    return {name: array.reshape(*shape, *array.shape[1:]) for name, array in arrays.items()}


def _particles(job: Job, length: Length, number: int, sizes: Mapping[str, float]) -> Arrays:
    part = _part(job, "particles")
    identity = {
        "way": "particles",
        "puzzles": part.described_puzzles["sha256"],
        "num_particles": number,
        "noise": sizes["noise"],
        "beta": sizes["beta"],
    }
    compute = partial(measure_particles, part.judge, length, number, sizes["noise"], sizes["beta"])
    arrays = part.sweep(compute, job.with_keys, len(job.puzzles.inputs), 0, identity)
    if length.num_exponents:  # those of particles that were replaced have no meaning
        arrays["lambda1"] = np.full(arrays["q_halt"].shape, np.nan, np.float32)
    return _judged(job, arrays)


def _copies(job: Job, length: Length, number: int, update_noise: float) -> Arrays:
    """Returns the runs of symmetric copies, but for the puzzles themselves, moved back."""
    assert isinstance(job.puzzles, PuzzleSet)
    copies = symmetric_copies(job.puzzles, number, job.seed)
    grid = RunGrid(np.zeros(1), np.zeros(1, int))
    part = _part(replace(job, puzzles=copies.puzzles, outcome="auto"), "copies")
    disturb = _noisily(_undisturbed, length.num_segments, update_noise, 1)
    arrays = _sweep(part, length, grid, disturb, {"way": "copies"})
    arrays = {name: array[:, 0] for name, array in arrays.items() if name in (*SEEN, *_MOVED)}
    arrays = {name: _moved_back(copies, name, array) for name, array in arrays.items()}
    shape = len(job.puzzles.inputs), number
    by_puzzle = {name: array.reshape(*shape, *array.shape[1:]) for name, array in arrays.items()}
    return _judged(job, by_puzzle)


_MOVED = ("answers", "probabilities")


def _moved_back(copies: SymmetricCopies, name: str, array: np.ndarray) -> np.ndarray:
    if name == "answers":
        return copies.map_back(array)
    return copies.map_probabilities_back(array) if name == "probabilities" else array


def _part(job: Job, way: str) -> Job:
    """Returns the job of one way, which has a folder of its own below that of the whole."""
    folder = None if job.folder is None else Path(job.folder) / way
    return replace(job, experiment=replace(POLICIES, name=f"policies, {way}"), folder=folder)


def _judged(job: Job, arrays: Arrays) -> Arrays:
    """Returns the arrays (N, K, segments, ...) with what is right, and valid where it is known."""
    kept = {name: arrays[name] for name in (*SEEN, *_MOVED) if name in arrays}
    rules = _rules(job)
    kept["solved"] = _judge_answers(job, kept["answers"])
    if rules is not None:
        kept["valid"] = _judge_answers(rules, kept["answers"])
    return kept


def _rules(job: Job) -> Job | None:
    """Returns a job in which answers count that obey the rules; None for puzzles without rules."""
    for outcome in (OBEYS_RULES, VALID_PATH):
        try:
            return replace(job, outcome=outcome)
        except ValueError:
            continue
    return None


def _judge_answers(job: Job, answers: np.ndarray) -> np.ndarray:
    """Returns which of the answers (N, ..., seq) are right."""
    flat = answers.reshape(len(answers), -1, answers.shape[-1])
    right = judge_all(job.judge, take(job.puzzles, np.arange(len(answers))), flat)
    return right.reshape(answers.shape[:-1])


def _with_plain(arrays: Arrays, plain: Arrays, length: Length) -> Arrays:
    """Returns the arrays with the plain run in front, as far as the runs go."""
    first = {name: plain[name][:, : length.num_segments] for name in arrays}
    first["probabilities"] = plain["probabilities"]  # of the same segments
    return {name: np.concatenate([first[name][:, None], arrays[name]], 1) for name in arrays}


def _pooled(job: Job, probabilities: np.ndarray) -> np.ndarray:
    """Returns (N, numbers of runs, depths) whether the likeliest tokens of the mean are right."""
    numbers = powers_of_two(probabilities.shape[1])
    sums = np.cumsum(probabilities.astype(np.float32), axis=1)[:, np.array(numbers) - 1]
    return _judge_answers(job, sums.argmax(axis=-1))


def check(
    options: Mapping[str, Any], num_tuning: int | None = None, luby_unit: int | None = None
) -> None:
    """Refuses more tuning puzzles than there are, and a start of Luby's sequence that is empty."""
    check_count("num_tuning", num_tuning, most=options["num_puzzles"])
    check_count("luby_unit", luby_unit, least=1)


def numbers(
    results: Results, num_tuning: int | None = None, luby_unit: int | None = None
) -> PolicySummary:
    """Returns accuracy against evaluations of every way and rule, and the law of escapes.

    Args:
      results: The runs.
      num_tuning: Number of puzzles, from the first, on which the thresholds of restarts are chosen;
        these are measured on the others. Without it a quarter of the puzzles.
      luby_unit: Segments of the shortest start of restarts by Luby's sequence, which are 1, 1, 2,
        1, 1, 2, 4, … of them. Without it the tuning puzzles choose it, too.

    Raises:
      ValueError: Luby's unit is longer than the runs, or the model has no q, which it needs.
    """
    _check_luby_unit(results, luby_unit)
    options, updates = results.record["options"], results.record["updates_per_segment"]
    number = options["num_puzzles"] // 4 if num_tuning is None else num_tuning
    return summarize_policies(results, options["ways"], updates, number, luby_unit)


def _check_luby_unit(results: Results, luby_unit: int | None) -> None:
    if luby_unit is None:
        return
    if np.isnan(results["q_halt"]).all():
        refuse("luby_unit", "be left out, since the model has no q to end restarts by", luby_unit)
    longest = results["q_halt"].shape[-1]
    if luby_unit > longest:
        refuse("luby_unit", f"be at most {longest}, the segments of each run", luby_unit)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of accuracy against evaluations."""
    options, updates = results.record["options"], results.record["updates_per_segment"]
    summary = summarize_frontiers(results, options["ways"], updates, 0)
    return {"policies": partial(accuracy_against_evaluations, summary)}


POLICIES = Experiment(
    "policies", ARRAYS, numbers, report.tables, figures, check, panels=policies_panels
)
