"""Maps of single cells: what each cell of a donor's state changes when it is put in alone."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rrjax.contract import State
from rrjax.experiments.answers import margin, open_cells
from rrjax.experiments.continued import end_state, random_step, states_after
from rrjax.experiments.donors import Pair, as_seen, begin, moved_back
from rrjax.experiments.experiment import Job
from rrjax.experiments.reasoner import read_answer
from rrjax.inside.interventions import insert, num_cells


def map_cells(job: Job, segment: int, params: Any, pairs: Pair) -> dict[str, Array]:
    """Returns what becomes of pairs in which one cell is patched, for every cell.

    Returns:
      `map_margin` and `map_solved` (pairs, 2, cells) with the donor's cell and with a random step
      of that cell, as long; `map_nothing` (pairs,) the margin without a patch; `map_answers`
      (pairs, 2, cells) the answers that recipient and donor give at the patch; `map_open`
      (pairs, cells) which cells are to be found.
    """

    def one(pair: Pair) -> dict[str, Array]:
        own, donor = (begin(job, params, run) for run in pair[:2])
        before, given = (states_after(run, [segment]) for run in (own, donor))
        given = moved_back(pair.donor, given)
        before, given = jax.tree.map(lambda leaf: leaf[0], (before, given))
        puzzle = as_seen(pair.recipient)

        def run_on(start: State) -> tuple[Array, Array]:
            state = end_state(own, job.num_segments, start)
            logits = read_answer(own, state).logits
            right = job.judge.is_right(puzzle, logits.argmax(-1))
            return margin(logits, puzzle.labels, open_cells(puzzle)), right

        def with_cell(cell: Array, key: jax.Array) -> tuple[Array, Array]:
            patched = insert(own, before, given, cell)
            ends = run_on(patched), run_on(random_step(key, before, patched)[0])
            return jax.tree.map(lambda *both: jnp.stack(both), *ends)

        number = num_cells(own)
        keys = jax.random.split(pair.key, number)
        margins, solved = jax.vmap(with_cell)(jnp.eye(number, dtype=bool), keys)
        return {
            "map_margin": margins.T,
            "map_solved": solved.T,
            "map_nothing": run_on(before)[0],
            "map_open": open_cells(puzzle),
            "map_answers": jnp.stack(
                [read_answer(own, state).logits.argmax(-1) for state in (before, given)]
            ),
        }

    return jax.vmap(one)(pairs)
