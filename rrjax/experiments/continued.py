"""Runs that go on from a changed state: what becomes of them, and the random change beside it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from rrjax.analysis.arrays import first_right
from rrjax.contract import Dynamics, State
from rrjax.dynamics.rollout import observe_and_take, observe_segments, whole_norm
from rrjax.dynamics.spectrum import spectrum
from rrjax.dynamics.starts import perturb
from rrjax.experiments.answers import margin, open_cells, unit_arrays, unit_shares
from rrjax.experiments.donors import board_size
from rrjax.experiments.experiment import Job
from rrjax.experiments.reasoner import observe_tokens, read_answer
from rrjax.frames import norms
from rrjax.puzzles.batch import Batch
from rrjax.results.axes import ArraySpec


def described(*axes: str) -> dict[str, ArraySpec]:
    """Returns what the arrays of `go_on` are, with these axes."""
    return {
        "solved": ArraySpec(axes, "whether the last answer is right", "b"),
        "first_solved": ArraySpec(axes, "segments until the answer is first right; 0: never", "i"),
        "cells_right": ArraySpec(axes, "share of the cells to be found that are right at the end"),
        "margin": ArraySpec(
            axes,
            "logit of the label less the largest other, mean of the cells to be found, at the end",
        ),
        **unit_arrays(axes),
        "lambda1": ArraySpec(axes, "nats per update, from the change on"),
        "donated": ArraySpec(
            axes, "share of the cells in which the donor's answer is another that show it"
        ),
    }


class Contest(NamedTuple):
    """Cells in which a donor's answer is another one than the run's own.

    Attributes:
      cells: (seq,) Which they are.
      tokens: (seq,) The donor's tokens.
    """

    cells: Array
    tokens: Array


def go_on(
    job: Job,
    num_exponents: int,
    key: jax.Array,
    dynamics: Dynamics,
    puzzle: Batch,
    contest: Contest | None,
    start: State,
) -> dict[str, Array]:
    """Returns what becomes of one run from a state on.

    Args:
      job: The experiment.
      num_exponents: 1 to measure λ₁ too, 0 not to.
      key: Draws the tangent vector.
      dynamics: Of the puzzle.
      puzzle: The puzzle as the run sees it.
      contest: The cells of which `donated` is the share that show the donor's tokens; NaN without
        such cells. None leaves it out.
      start: The state.
    """
    if num_exponents:
        run = spectrum(
            dynamics, 1, job.num_segments, key=key, initial=start, observe=observe_tokens
        )
        state, tokens, measured = run.state, run.observed, {"lambda1": run.exponents[0]}
    else:
        state, tokens = observe_segments(dynamics, observe_tokens, job.num_segments, initial=start)
        measured = {}
    if contest is not None:
        shown = contest.cells & (tokens[-1] == contest.tokens)
        measured["donated"] = shown.sum() / contest.cells.sum()
    right = job.judge.is_right(puzzle, tokens)
    logits = read_answer(dynamics, state).logits
    is_open = open_cells(puzzle)
    number = jnp.maximum(is_open.sum(), 1)
    return {
        "solved": right[-1],
        "first_solved": first_right(right),
        "cells_right": jnp.sum(is_open & (tokens[-1] == puzzle.labels)) / number,
        "margin": margin(logits, puzzle.labels, is_open),
        **unit_shares(board_size(job.puzzles), puzzle, tokens[-1]),
        **measured,
    }


def end_state(dynamics: Dynamics, num_segments: int, initial: State | None = None) -> State:
    """Returns the state after some segments."""
    return observe_segments(dynamics, _nothing, num_segments, initial=initial)[0]


def _nothing(dynamics: Dynamics, before: State, after: State, frame: None) -> None:
    return None


def states_after(dynamics: Dynamics, segments: Sequence[int]) -> State:
    """Returns the states after some segments, in ascending order; 0 is the initial state."""
    later = tuple(sorted(segment for segment in segments if segment))
    first = jax.tree.map(lambda leaf: leaf[None], dynamics.initial)
    if not later:
        return first
    states = observe_and_take(dynamics, _nothing, _state, later)[2]
    if len(later) == len(segments):
        return states
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), first, states)


def _state(dynamics: Dynamics, state: State) -> State:
    return state


def random_step(key: jax.Array, own: State, changed: State) -> tuple[State, Array]:
    """Returns a state moved as far as another, randomly in the components that change, and how far.

    Args:
      key: Draws the direction.
      own: The state that is moved.
      changed: The state whose distance and changed components count.
    """
    change = jax.tree.map(jnp.subtract, changed, own)
    noise = perturb(key, jax.tree.map(jnp.zeros_like, own), 1.0)
    noise = jax.tree.map(lambda r, c: jnp.where(c == 0, 0, r), noise, change)
    length, size = whole_norm(norms(change)), whole_norm(norms(noise))
    scale = length / jnp.where(size == 0, 1, size)
    return jax.tree.map(lambda z, r: z + scale * r, own, noise), length
