"""Donors of states: runs of the same puzzle from other starts, of copies, and of other puzzles."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.contract import Dynamics, State
from rrjax.dynamics.starts import perturb, start_scale
from rrjax.experiments.experiment import Job, fold_keys
from rrjax.experiments.reasoner import Puzzles, bind, take
from rrjax.keys import make_key
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.sudoku import size_of
from rrjax.puzzles.sudoku_symmetry import Symmetries, random_symmetries

DONORS = ("start", "copy", "puzzle", "digits")
"""Where a donor comes from: the same puzzle from another start, a copy of it with its cells moved,
another puzzle, a copy of it with its digits exchanged."""

_START, _COPY, _CONTROL, _DIGITS = 2**32 - 1, 2**32 - 2, 2**32 - 3, 2**32 - 4
"""Branches off the seed where no puzzle's number can be."""


class Run(NamedTuple):
    """A run from a start of its own, of a puzzle whose cells or digits may be moved.

    Attributes:
      puzzle: The puzzle, as it is.
      cells: (seq,) The cell of the puzzle that goes to each cell of the run.
      names: (vocab,) The token of the run for each token of the puzzle, or None for the same ones.
      key: Draws the start.
      sigma: The noise of the start / std(H_init).
    """

    puzzle: Batch
    cells: Any
    names: Any
    key: Any
    sigma: Any


class Pair(NamedTuple):
    """A run, and another one whose state is put into it; the key draws what controls need."""

    recipient: Run
    donor: Run
    key: Any


class Donors:
    """All runs of the puzzles of a job among which donors are chosen.

    Attributes:
      kinds: (runs,) the place in `DONORS` of each run of a puzzle; −1 of the first, which starts
        as the model does and is the recipient.
    """

    def __init__(
        self, job: Job, num_starts: int, num_copies: int, num_relabelled: int, sigma: float
    ):
        self.job, self.sigma = job, sigma
        numbers = 1, num_starts, num_copies, num_relabelled
        self.kinds = np.repeat([-1, 0, 1, 3], numbers)
        self._first = dict(zip((-1, 0, 1, 3), np.cumsum((0, *numbers)).tolist(), strict=False))
        self._moves = _symmetries(job, num_copies, _COPY)
        self._names = _symmetries(job, num_relabelled, _DIGITS) if num_relabelled else None

    def runs(self, puzzle: np.ndarray, run: np.ndarray) -> Run:
        """Returns runs (n,) side by side, by their puzzles and their numbers."""
        kind = self.kinds[run]
        starts = fold_keys(jax.random.fold_in(make_key(self.job.seed), _START), puzzle)
        batch = take(self.job.puzzles, puzzle)
        cells = np.broadcast_to(np.arange(batch.inputs.shape[1]), batch.inputs.shape).copy()
        for place in np.flatnonzero(kind == 1):
            cells[place] = self._moves[puzzle[place]].cells[run[place] - self._first[1]]
        sigma = np.where(kind == 0, self.sigma, 0).astype(np.float32)
        names = self._names_of(puzzle, run)
        return Run(batch, cells, names, jax.vmap(jax.random.fold_in)(starts, run), sigma)

    def _names_of(self, puzzle: np.ndarray, run: np.ndarray) -> np.ndarray | None:
        if self._names is None:
            return None
        digits = self._names[0].digits.shape[1]
        names = np.tile(np.arange(digits + 1), (len(run), 1))
        for place in np.flatnonzero(self.kinds[run] == 3):
            own = self._names[puzzle[place]].digits[run[place] - self._first[3]]
            names[place, 1:] = own + 1  # tokens are digits + 1, and 0 is padding
        return names

    def pairs(self, pairs: np.ndarray) -> Pair:
        """Returns pairs (n, 4) of `choose_pairs` side by side."""
        recipient, donor, run, kind = pairs.T
        keys = fold_keys(jax.random.fold_in(make_key(self.job.seed), _CONTROL), recipient)
        keys = jax.vmap(jax.random.fold_in)(keys, kind)
        return Pair(self.runs(recipient, 0 * run), self.runs(donor, run), keys)


def choose_pairs(solved: np.ndarray, kinds: np.ndarray, seed: int) -> np.ndarray:
    """Returns (pairs, 4) recipients, donors' puzzles and runs, and kinds of donors.

    Each puzzle, from its own start, gets of each kind the first donor with the other outcome; of
    other puzzles, from their own starts, a random one.

    Args:
      solved: (N, runs) booleans; run 0 is from the puzzle's own start.
      kinds: (runs,) the place in `DONORS` of each run; −1 of run 0.
      seed: Draws the other puzzles.
    """
    pairs, rng = [], np.random.default_rng((seed, 1))
    for puzzle, own in enumerate(solved[:, 0].tolist()):
        for kind in (0, 1, 3):
            others = np.flatnonzero((kinds == kind) & (solved[puzzle] != own))
            if len(others):
                pairs.append((puzzle, puzzle, others[0], kind))
        others = np.flatnonzero(solved[:, 0] != own)
        chosen = rng.integers(len(solved))  # drawn in any case: pairs do not depend on others
        if len(others):
            pairs.append((puzzle, others[chosen % len(others)], 0, 2))
    return np.array(pairs, np.int64).reshape(-1, 4)


def board_size(puzzles: Puzzles) -> int | None:
    """Returns the number of digits of Sudokus; None for other puzzles."""
    if not isinstance(puzzles, PuzzleSet):
        return None
    return size_of(puzzles.metadata.seq_len, puzzles.metadata.vocab_size)


def _symmetries(job: Job, number: int, branch: int) -> list[Symmetries]:
    """Returns for each puzzle so many moves of the Sudoku's group."""
    size = board_size(job.puzzles)
    if not number or size is None:
        return []
    rngs = (np.random.default_rng((job.seed, branch, i)) for i in range(len(job.puzzles.inputs)))
    return [random_symmetries(rng, size, number) for rng in rngs]


def as_seen(run: Run) -> Batch:
    """Returns the puzzle as the run sees it."""
    inputs, labels = (tokens[run.cells] for tokens in (run.puzzle.inputs, run.puzzle.labels))
    if run.names is not None:
        inputs, labels = (jnp.where(t < 0, t, run.names[t]) for t in (inputs, labels))
    return run.puzzle._replace(inputs=inputs, labels=labels)


def begin(job: Job, params: Any, run: Run) -> Dynamics:
    """Returns the dynamics of a run from its start."""
    dynamics = bind(job.model, params, as_seen(run))
    scale = run.sigma * start_scale(dynamics.initial)
    return replace(dynamics, initial=perturb(run.key, dynamics.initial, scale))


def moved_back(run: Run, states: State) -> State:
    """Returns a donor's states with the rows of its cells where the puzzle has them.

    Digits that were exchanged stay exchanged: how a state holds a digit is no permutation of its
    components, so that nothing moves them back.
    """
    back = jnp.argsort(run.cells)

    def rows(leaf: Array) -> Array:
        leading = leaf.shape[1] - len(back)
        return jnp.concatenate([leaf[:, :leading], leaf[:, leading:][:, back]], axis=1)

    return jax.tree.map(rows, states)
