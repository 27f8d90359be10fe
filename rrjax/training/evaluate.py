"""Evaluation as upstream does it: every puzzle runs all segments, and none halts early."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool, Float

from rrjax.cells import Config, bind, unflatten
from rrjax.checks import check_count
from rrjax.contract import Dynamics, State, run_segment
from rrjax.dynamics.rollout import run_segments
from rrjax.dynamics.starts import perturb
from rrjax.jobs.memory import SATURATING_VALUES, free_memory
from rrjax.keys import make_key
from rrjax.outcomes import VALID_PATH, has_paths, is_solved, is_valid_path
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.arc import Task
from rrjax.puzzles.arc_evaluate import Ballot
from rrjax.puzzles.arc_evaluate import score as score_arc
from rrjax.puzzles.arc_read import TEST_PUZZLES, read_test_puzzles
from rrjax.puzzles.batch import IGNORE_LABEL, Batch, padded_batches
from rrjax.puzzles.folders import read_identifiers
from rrjax.training.augment import Chance, draw
from rrjax.training.logs import Row
from rrjax.training.objective import score

Place = Callable[[Any], Any]
"""Puts the arrays of a batch beside the parameters (`Placement.rows`)."""


_NONE = Chance()


class StartNoise(NamedTuple):
    """Perturbed starts: z0 + σ·N(0, 1) in every field, drawn once for each row of a set.

    The same seed gives the same draws for every σ and every model.
    """

    sigma: float
    seed: int


def evaluate(
    flat: dict[str, Any],
    config: Config,
    puzzles: PuzzleSet,
    batch_size: int,
    number: int,
    place: Place = lambda tree: tree,
    noise: StartNoise | None = None,
    ballot: Ballot | None = None,
    drawn: Chance = _NONE,
    seed: int = 0,
) -> dict[str, float]:
    """Returns metrics of the answers after `halt_max_steps` segments.

    Args:
      flat: parameters.
      config: the cell.
      puzzles: the set.
      batch_size: puzzles at a time.
      number: how many puzzles to evaluate, from the first; all if there are fewer.
      place: where the arrays of a batch go.
      noise: noise added to the initial states; None: no noise.
      ballot: collects the answers to the test split of an ARC folder; None: a new one.
      drawn: random starts and the noise of updates.
      seed: of what is drawn; each row has its own.

    Returns:
      `exact_accuracy` (fraction of puzzles solved), `accuracy` (mean fraction of labelled tokens
      that are right), `q_halt_accuracy` (fraction of puzzles of which q_halt ≥ 0 tells the
      outcome), of mazes `valid_path` (fraction of answers that join S to G, whether or not by the
      labelled path) and `count`. The test split of an ARC folder also gives `pass@K` for K in
      `PASS_KS`: the copies of a test input vote, and the right output is among the first K grids
      (mean over the tasks of which any copy is evaluated). Only the votes of this evaluation count;
      the official evaluator by default adds those of earlier weights. Rows that pad the last batch
      count nowhere.
    """
    check_count("number", number, least=1)
    totals: dict[str, float] = {}
    arc = read_arc_test(puzzles)
    ballot = Ballot() if ballot is None else ballot
    for batch, rows in padded_batches(puzzles, batch_size, number):
        sums, answers = _outcomes(config, drawn, flat, *place((batch, rows)), noise, seed)
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value)
        if arc is not None:
            # each process has only the answers to its own rows
            answers = multihost_utils.process_allgather(answers, tiled=True)
            names = [arc.names[index] for index in batch.puzzle_ids]
            ballot.add(names, batch.inputs, *map(np.asarray, answers))
    count = max(totals["count"], 1.0)
    means = {name: total if name == "count" else total / count for name, total in totals.items()}
    if arc is None:
        return means
    answered = ballot.tasks()
    ballot.check(arc.tasks)
    judged = [task for task in arc.tasks if task.name in answered]
    return means | {f"pass@{k}": value for k, value in score_arc(judged, ballot).pass_at.items()}


def evaluation_size(
    flat: dict[str, Any],
    config: Config,
    training_size: int,
    number: int,
    place: Place = lambda tree: tree,
    drawn: Chance = _NONE,
) -> int:
    """Returns how many puzzles to evaluate together.

    On a processor that is the batch size of training. An accelerator takes the largest
    2ⁿ · `training_size` that is of use to it and for which its memory suffices: an evaluation
    stores nothing for a backward pass. The metrics are the same up to round-off.

    Args:
      flat, config, place, drawn: As in `evaluate`.
      training_size: The batch size of training, which fits.
      number: How many puzzles are evaluated.
    """
    if jax.default_backend() == "cpu":
        return training_size
    useful = min(number, SATURATING_VALUES // (config.num_tokens * config.arch.hidden_size))
    size = training_size
    while 2 * size <= useful:
        size *= 2
    while size > training_size and not _fits(flat, config, size, place, drawn):
        size //= 2
    return int(multihost_utils.broadcast_one_to_all(np.int32(size)))


def _fits(flat: dict[str, Any], config: Config, size: int, place: Place, drawn: Chance) -> bool:
    """Returns whether the memory of a device suffices for the program of so many puzzles."""
    blank = np.zeros((size, config.seq_len), np.int32)
    batch, rows = place((Batch(blank, blank, blank[:, 0]), np.arange(size)))
    # the compiler keeps the program: the evaluation does not compile it again
    lowered = _outcomes.lower(config, drawn, flat, batch, rows, None, 0)
    analysis = lowered.compile().memory_analysis()
    free = free_memory(jax.local_devices()[0])
    return analysis is None or free is None or analysis.temp_size_in_bytes <= free


@functools.partial(jax.jit, static_argnums=(0, 1))
def _outcomes(
    config: Config,
    drawn: Chance,
    flat: dict[str, Array],
    batch: Batch,
    rows: Array,
    noise: StartNoise | None,
    seed: Any,
) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Returns sums over the batch, and the answer and q_halt of each row."""
    params = unflatten(flat)

    def answer(tokens: Array, puzzle_id: Array, row: Array) -> tuple[Array, Array]:
        dynamics, number = bind(params, config, tokens, puzzle_id), config.arch.halt_max_steps
        dynamics = draw(dynamics, drawn, _row_key(seed, row), number)
        start = dynamics.initial
        if noise is not None:
            key = jax.random.fold_in(make_key(noise.seed), row)
            start = perturb(key, start, noise.sigma)
        start = dynamics.start(start)
        # training computes in the precision of the device, and so does its evaluation
        state = run_segments(dynamics, start, dynamics.drive, number)
        readout = dynamics.readout(dynamics.context, state)
        return readout.logits, readout.q_halt

    logits, q_halt = jax.vmap(answer)(batch.inputs, batch.puzzle_ids, rows)
    labelled = batch.labels != IGNORE_LABEL
    counted = labelled.any(-1)
    answers = logits.argmax(-1)
    solved = is_solved(answers, batch.labels)
    right = (labelled & (answers == batch.labels)).sum(-1)
    sums = {
        "count": counted.sum(),
        "exact_accuracy": solved.sum(),
        "accuracy": (right / jnp.maximum(labelled.sum(-1), 1)).sum(),
        "q_halt_accuracy": (counted & ((q_halt >= 0) == solved)).sum(),
    }
    if has_paths(config):
        sums[VALID_PATH] = (counted & jax.vmap(is_valid_path)(batch.inputs, answers)).sum()
    return sums, (answers, q_halt)


@dataclass(frozen=True)
class ArcTest:
    """The tasks of the test split of an ARC folder, and the names of its puzzle identifiers."""

    names: list[str]
    tasks: Sequence[Task]


def read_arc_test(puzzles: PuzzleSet) -> ArcTest | None:
    """Returns the tasks behind the test split of an ARC folder; None for other sets.

    Raises:
      ValueError: for a folder without the names of its identifiers, or with others.
    """
    split = puzzles.folder
    if split is None or split.name != "test" or not (split.parent / TEST_PUZZLES).is_file():
        return None
    names = read_identifiers(split.parent)
    if len(names) != puzzles.metadata.num_puzzle_identifiers:
        raise ValueError(
            f"{split.parent}: expected {puzzles.metadata.num_puzzle_identifiers} names in "
            f"identifiers.json, as many as test/dataset.json says, found {len(names)}"
        )
    return ArcTest(names, read_test_puzzles(split.parent))


class SegmentStatistics(NamedTuple):
    """Rows of numbers, one for each segment.

    Attributes:
      metrics: `segment` (from 1), `loss` (cross-entropy of a puzzle), `accuracy` (of its labelled
        tokens) and `exact_accuracy`.
      latents: `segment`, and of each field of the state its `l2_norm` ‖z‖₂, `cosine_prev` (of z
        and z one segment before, in segment 1 the start) and `batch_variance` (of an element over
        the puzzles evaluated together, mean over elements).
    """

    metrics: list[Row]
    latents: list[Row]


def segment_statistics(
    flat: dict[str, Any],
    config: Config,
    puzzles: PuzzleSet,
    batch_size: int,
    number: int,
    place: Place = lambda tree: tree,
    drawn: Chance = _NONE,
    seed: int = 0,
) -> SegmentStatistics:
    """Returns means over the first `number` puzzles after each of `halt_max_steps` segments.

    The arguments are those of `evaluate`.
    """
    parts = [
        jax.device_get(_sums_by_segment(config, drawn, flat, *place((batch, rows)), seed))
        for batch, rows in padded_batches(puzzles, batch_size, number)
    ]
    metrics, latents = jax.tree.map(lambda *leaves: np.sum(leaves, 0), *parts)
    count = np.maximum(metrics.pop("count"), 1)
    kept = {name: metrics[name] for name in _METRICS}
    named = {f"{leaf}_{name}": part[name] for leaf, part in latents.items() for name in _STATISTICS}
    return SegmentStatistics(_rows(kept, count), _rows(named, count))


# the order of columns; compiled functions give dictionaries in order of their names
_METRICS = ("loss", "accuracy", "exact_accuracy")
_STATISTICS = ("l2_norm", "cosine_prev", "batch_variance")


def _rows(sums: dict[str, np.ndarray], count: np.ndarray) -> list[Row]:
    means = {name: (total / count).tolist() for name, total in sums.items()}
    return [
        {"segment": index + 1, **{name: values[index] for name, values in means.items()}}
        for index in range(len(count))
    ]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sums_by_segment(
    config: Config, drawn: Chance, flat: dict[str, Array], batch: Batch, rows: Array, seed: Any
) -> tuple[Any, Any]:
    """Returns sums over the puzzles of a batch, each with a leading axis of segments."""
    params, number = unflatten(flat), config.arch.halt_max_steps
    counted = (batch.labels != IGNORE_LABEL).any(-1)
    all_halted = jnp.ones(counted.shape, bool)
    puzzles = batch.inputs, batch.puzzle_ids, rows

    def bound(tokens: Array, puzzle_id: Array, row: Array) -> Dynamics:
        dynamics = bind(params, config, tokens, puzzle_id)
        return draw(dynamics, drawn, _row_key(seed, row), number)

    def start(*puzzle: Array) -> State:
        return bound(*puzzle).initial

    def advance(state: State, index: Array, *puzzle: Array) -> tuple[State, Any]:
        dynamics = bound(*puzzle)
        drive = jax.tree.map(lambda leaf: leaf[index], dynamics.drive)
        state = run_segment(dynamics, state, drive)
        return state, dynamics.readout(dynamics.context, state)

    def segment(state: State, index: Array) -> tuple[State, Any]:
        new, readout = jax.vmap(advance, (0, None, 0, 0, 0))(state, index, *puzzles)
        zeros, kind = jnp.zeros(counted.shape, jnp.int32), config.arch.loss_type
        scores = score(readout, batch.labels, all_halted, zeros, None, kind).metrics
        metrics = {name: scores[name] for name in ("count", "accuracy", "exact_accuracy")}
        return new, (metrics | {"loss": scores["lm_loss"]}, _latents(state, new, counted))

    return jax.lax.scan(segment, jax.vmap(start)(*puzzles), jnp.arange(number))[1]


_DRAWN = 2**32 - 1
"""Branch of a row's key; `StartNoise` splits the key itself."""


def _row_key(seed: Any, row: Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(make_key(seed), row), _DRAWN)


def _latents(before: State, after: State, counted: Bool[Array, " batch"]) -> dict[str, Any]:
    named = jax.tree_util.tree_leaves_with_path(after)
    statistics = {}
    for (path, new), old in zip(named, jax.tree.leaves(before), strict=True):
        name = jax.tree_util.keystr(path, simple=True, separator="_")
        wide = jnp.promote_types(new.dtype, jnp.float32)
        old, new = (leaf.reshape(len(counted), -1).astype(wide) for leaf in (old, new))
        statistics[name] = _statistics(old, new, counted)
    return statistics


def _statistics(
    old: Float[Array, "batch size"], new: Float[Array, "batch size"], counted: Bool[Array, " batch"]
) -> dict[str, Array]:
    """Returns sums over the counted rows; the variance is times their number, for later means."""
    norms = jnp.linalg.norm(new, axis=-1)
    product = norms * jnp.linalg.norm(old, axis=-1)
    cosine = jnp.where(product > 0, (new * old).sum(-1) / jnp.where(product > 0, product, 1), 0)
    weights = counted.astype(new.dtype)
    number = jnp.maximum(weights.sum(), 1)
    mean = weights @ new / number
    variance = (weights[:, None] * (new - mean) ** 2).sum() / new.shape[1]
    return {"l2_norm": weights @ norms, "cosine_prev": weights @ cosine, "batch_variance": variance}
