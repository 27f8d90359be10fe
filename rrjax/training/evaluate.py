"""Evaluation as upstream does it: every puzzle runs all segments, none halts early."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array

from rrjax.cells import Config, bind, unflatten
from rrjax.contract import State
from rrjax.dynamics.rollout import run_segments
from rrjax.dynamics.starts import perturb
from rrjax.outcomes import VALID_PATH, has_paths, is_solved, is_valid_path
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch, padded_batches
from rrjax.training.votes import Votes, votes_on

Place = Callable[[Any], Any]


class Noise(NamedTuple):
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
    noise: Noise | None = None,
    place: Place = lambda tree: tree,
    votes: Votes | None = None,
) -> dict[str, float]:
    """Metrics of the answers after `halt_max_steps` segments, on the first `number` puzzles.

    Args:
      flat: parameters.
      config: the cell.
      puzzles: the set.
      batch_size: puzzles at a time.
      number: puzzles evaluated; more than there are: all.
      noise: what is added to the initial states; None: nothing.
      place: puts the arrays of a batch beside the parameters (`Placement.rows`).
      votes: gets the answers to an ARC folder's test split; None: `votes_on(puzzles)`.

    Returns:
      `exact_accuracy` (fraction of puzzles solved), `accuracy` (mean fraction of labelled tokens
      that are right), `q_halt_accuracy` (fraction of puzzles of which q_halt ≥ 0 tells the
      outcome), of mazes `valid_path` (fraction of answers that join S to G, whether or not by the
      labelled path) and `count`; of the test split of an ARC folder also `pass@K` for K in
      `PASS_KS`: the copies of a test input vote, and the right output is among the first K grids
      (mean over the tasks of which any copy is evaluated). Rows that pad the last batch count
      nowhere.

    Raises:
      ValueError: if `number` is less than 1, or an ARC folder's tasks or names are not those of
        its test split.
    """
    if number < 1:
        raise ValueError(f"number must be at least 1, got {number}")
    totals: dict[str, float] = {}
    votes = votes_on(puzzles) if votes is None else votes
    for batch, rows in padded_batches(puzzles, batch_size, number):
        sums, said = _outcomes(config, flat, *place((batch, rows)), noise)
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + float(value)
        if votes is not None:
            # of all processes, whose rows each has a part of
            said = multihost_utils.process_allgather(said, tiled=True)
            votes.add(*map(np.asarray, (batch.puzzle_ids, batch.inputs, *said)))
    count = max(totals["count"], 1.0)
    means = {name: total if name == "count" else total / count for name, total in totals.items()}
    return means if votes is None else means | votes.metrics()


@functools.partial(jax.jit, static_argnums=0)
def _outcomes(
    config: Config, flat: dict[str, Array], batch: Batch, rows: Array, noise: Noise | None
) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Sums over the batch, and of each row the answer and q_halt."""
    params = unflatten(flat)

    def answer(tokens: Array, puzzle_id: Array, row: Array) -> tuple[Array, Array]:
        dynamics = bind(params, config, tokens, puzzle_id)
        start = None if noise is None else _perturbed(dynamics.initial, noise, row)
        # training computes in the precision of the device, and so does its evaluation
        state = run_segments(
            dynamics, dynamics.start(start), dynamics.drive, config.arch.halt_max_steps
        )
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


def _perturbed(start: State, noise: Noise, row: Array) -> State:
    return perturb(jax.random.fold_in(jax.random.key(noise.seed), row), start, noise.sigma)
