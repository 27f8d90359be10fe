"""Seeded Sudoku puzzles with exactly one solution, at a wanted number of clues or difficulty.

A full grid is filled at random and clues are dug out in random order; a clue goes only if no second
solution appears. Puzzle i of a seed depends on (seed, i) and the request alone, not on how many are
made or in how many pieces.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rrjax.checks import check_count, check_seed
from rrjax.puzzles import sudoku_batch as batch
from rrjax.puzzles.sudoku import Puzzles, board_size, geometry

# Fewest clues with one solution, known by exhaustive search. At 16x16 the least is unknown, but two
# absent digits could be swapped.
FEWEST_CLUES = {4: 4, 6: 8, 9: 17, 16: 15}
# Grids dug for one puzzle: reaches what one random grid in a hundred allows. At 16x16 a grid takes
# seconds to dig out.
MAX_TRIES = {4: 200, 6: 200, 9: 200, 16: 20}
# Steps of the hill climb from one grid, and grids for one puzzle.
MAX_CLIMB = 1000
MAX_CLIMBS = 20
# Guesses beyond which a climb takes minutes for one puzzle, or never arrives; at 4x4 singles decide
# everything, and at 16x16 a step takes seconds.
MOST_GUESSES = {4: 0, 6: 10, 9: 200, 16: 0}
# A full 16x16 grid or the proof of a second solution may take the search for ever. Past this many
# guesses a fill starts anew and a dig keeps its clue.
MAX_GUESSES = 300
_AT_ONCE = 1024  # puzzles that are made together, for speed
_AHEAD = 32  # clues of a puzzle that are tried together; few of them can go
_AHEAD_OF_GRID = 4  # the same for a full grid, of which most can go

Rngs = Sequence[np.random.Generator]


class Kind(NamedTuple):
    """What a generated puzzle must be; minimal where nothing is said.

    Attributes:
        clues: Fewest and most clues.
        min_guesses: Guesses that the solver needs at least.
    """

    clues: tuple[int, int] | None = None
    min_guesses: int = 0


def generate_sudokus(
    size: int,
    number: int,
    seed: int,
    clues: tuple[int, int] | None = None,
    min_guesses: int = 0,
    first: int = 0,
) -> Puzzles:
    """Generates puzzles with exactly one solution.

    Args:
        size: 4, 6, 9 or 16.
        number: Puzzles to make.
        seed: Non-negative; puzzle i depends on (seed, i) alone.
        clues: Fewest and most clues; each puzzle draws its number of clues uniformly from this
            range. None: dig until no clue can go (see below for 16).
        min_guesses: Guesses the solver needs at least, reached by hill climbing over minimal
            puzzles; only with `clues` None and up to 9x9. 0: no wish.
        first: Index of the first puzzle, to make a set in pieces.

    Returns:
        Puzzles; clue positions are not symmetric. Puzzles may repeat at small sizes (`distinct`).
        Up to 9x9 a puzzle with `clues` None is minimal: without any one clue it has several
        solutions. At 16x16 a clue also stays where the search for a second solution gives up.

    Raises:
        ValueError: Wrong arguments, or a request that random digging or the climb did not meet
            within a fixed number of tries.

    Example:
        >>> rrjax.puzzles.generate_sudokus(4, 3, seed=0).boards.shape
        (3, 16)
    """
    check_count("number", number)
    check_count("first", first)
    return generate_at(range(first, first + number), size, seed, Kind(clues, min_guesses))


def generate_at(indices: Sequence[int], size: int, seed: int, kind: Kind) -> Puzzles:
    """Returns the puzzles of some indices; the arguments are those of `generate_sudokus`."""
    check_kind(size, kind)
    check_seed("seed", seed)
    boards = np.zeros((len(indices), 2, size * size), np.int32)
    for start in range(0, len(indices), _AT_ONCE):
        chosen = indices[start : start + _AT_ONCE]
        rngs = [np.random.default_rng((seed, index)) for index in chosen]
        if kind.min_guesses:
            made = _climb(size, rngs, kind.min_guesses)
        else:
            made = _dug(size, rngs, kind.clues)
        boards[start : start + _AT_ONCE] = np.stack(made, axis=1)
    return Puzzles(boards[:, 0], boards[:, 1])


def check_kind(size: int, kind: Kind) -> None:
    """Refuses a kind of puzzles that no board of the size can be."""
    geometry(size)
    clues, min_guesses = kind
    if clues and not FEWEST_CLUES[size] <= clues[0] <= clues[1] <= size * size:
        raise ValueError(
            f"clues: expected {FEWEST_CLUES[size]} <= fewest <= most <= {size * size} "
            f"(a {size}x{size} puzzle with fewer has several solutions), found {clues}"
        )
    check_count("min_guesses", min_guesses)
    if min_guesses and clues is not None:
        raise ValueError(f"min_guesses: expected 0 with clues, found {min_guesses}")
    if min_guesses > MOST_GUESSES[size]:
        raise ValueError(
            f"min_guesses: expected at most {MOST_GUESSES[size]} at {size}x{size}, where the climb "
            f"to more takes too long, found {min_guesses}"
        )


def full_grids(size: int, rngs: Rngs) -> np.ndarray:
    """Returns random solved boards (number, n * n); any grid can come, not uniformly."""
    grids = np.zeros((len(rngs), size * size), np.int32)
    waiting = np.arange(len(rngs))
    while waiting.size:
        own = [rngs[i] for i in waiting.tolist()]
        boards = np.zeros((len(own), size * size), np.int32)
        boards[:, :size] = [1 + rng.permutation(size) for rng in own]
        outcome = batch.search(batch.as_cells(boards), 1, MAX_GUESSES, own)
        grids[waiting] = outcome.solutions[:, 0]
        waiting = waiting[outcome.counts == 0]
    return grids


def dig(
    boards: np.ndarray, solutions: np.ndarray, rngs: Rngs, targets: np.ndarray, ahead: int
) -> np.ndarray:
    """Removes clues of puzzles in random orders while their solutions stay the only ones.

    Args:
        boards: (number, n * n) puzzles with one solution.
        solutions: (number, n * n).
        rngs: Draw the orders.
        targets: (number,) clues at which a puzzle is left; where the order runs out first, more of
            them stay.
        ahead: Clues of a puzzle that are tried together. Only speed depends on it: a clue that must
            stay now must stay when others are gone.
    """
    boards, num_cells = boards.copy(), boards.shape[1]
    budget = MAX_GUESSES if board_size(boards) > 9 else None
    orders = (rng.permutation(num_cells) for rng in rngs)
    waiting = [order[board[order] > 0] for order, board in zip(orders, boards, strict=True)]
    while True:
        left = (boards > 0).sum(axis=1) > targets
        live = [i for i, cells in enumerate(waiting) if left[i] and cells.size]
        if not live:
            return boards
        tried = [waiting[i][:ahead] for i in live]
        owners, places = np.repeat(live, [len(cells) for cells in tried]), np.concatenate(tried)
        trials = boards[owners]
        trials[np.arange(len(places)), places] = 0
        has_other, may_have = batch.find_other(trials, places, solutions[owners, places], budget)
        ends = np.cumsum([len(cells) for cells in tried])[:-1]
        verdicts = np.split(np.stack([has_other, may_have]), ends, axis=1)
        for i, cells, (must_stay, may_stay) in zip(live, tried, verdicts, strict=True):
            is_open = ~must_stay
            if may_stay.all():
                is_open[:] = False
            else:
                place = may_stay.argmin()
                boards[i, cells[place]] = 0
                is_open[: place + 1] = False
            waiting[i] = np.concatenate([cells[is_open], waiting[i][ahead:]])


def relabel(boards: np.ndarray) -> np.ndarray:
    """Renames the digits of boards (N, n * n) by first appearance, blanks aside.

    Two boards that differ by names of digits alone become equal.
    """
    number, num_cells = boards.shape
    places = np.full((number, board_size(boards) + 1), num_cells)
    each = np.arange(number)
    for cell in reversed(range(num_cells)):  # the first place is written last
        places[each, boards[:, cell]] = cell
    places[:, 0] = -1
    names = places.argsort(axis=1, kind="stable").argsort(axis=1)
    return np.take_along_axis(names, boards.astype(np.int64), axis=1)


def distinct(boards: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Marks the boards that are new up to names of digits, but not up to moves of their cells.

    Args:
        boards: (N, n * n).
        others: (M, n * n) that must not come again, for example the training set.

    Returns:
        (N,) bool: neither equal to an earlier board nor to one of the others.
    """
    known, is_new = set(_keys(others)), []
    for key in _keys(boards):
        is_new.append(key not in known)
        known.add(key)
    return np.array(is_new, dtype=bool)


def is_among(boards: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Marks (N,) the boards (N, n * n) that are one of the others up to names of digits."""
    known = set(_keys(others))
    return np.array([key in known for key in _keys(boards)], dtype=bool)


def _keys(boards: np.ndarray) -> list[bytes]:
    """Returns a key of each board, which boards share that are equal up to names of digits."""
    return [board.tobytes() for board in relabel(boards)]


def _dug(size: int, rngs: Rngs, clues: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns puzzles and solutions: grids that are dug out until each has its number of clues."""
    targets = np.array([rng.integers(clues[0], clues[1] + 1) if clues else 0 for rng in rngs])
    boards, solutions = np.zeros((2, len(rngs), size * size), np.int32)
    waiting = np.arange(len(rngs))
    for _ in range(MAX_TRIES[size]):
        own = [rngs[i] for i in waiting.tolist()]
        grids = full_grids(size, own)
        boards[waiting] = dig(grids, grids, own, targets[waiting], _AHEAD_OF_GRID)
        solutions[waiting] = grids
        if clues:
            waiting = waiting[(boards[waiting] > 0).sum(axis=1) != targets[waiting]]
        if not clues or not waiting.size:
            return boards, solutions
    raise ValueError(
        f"clues: no {size}x{size} puzzle with {targets[waiting[0]]} clues in {MAX_TRIES[size]} "
        "random grids; ask for more clues"
    )


def _climb(size: int, rngs: Rngs, min_guesses: int) -> tuple[np.ndarray, np.ndarray]:
    """Drops two clues, adds clues until unique, minimises; keeps what needs no fewer guesses.

    A climb that does not arrive begins anew from another grid.
    """
    boards, solutions = _dug(size, rngs, None)
    guesses, steps = batch.count_guesses(boards), np.zeros(len(boards), int)
    while (low := np.flatnonzero(guesses < min_guesses)).size:
        trials, trial_solutions = _vary(boards[low], [rngs[i] for i in low.tolist()])
        trial_guesses = batch.count_guesses(trials)
        is_kept = trial_guesses >= guesses[low]
        kept = low[is_kept]
        boards[kept], solutions[kept] = trials[is_kept], trial_solutions[is_kept]
        guesses[kept] = trial_guesses[is_kept]
        steps[low] += 1
        stuck = low[(steps[low] % MAX_CLIMB == 0) & (guesses[low] < min_guesses)]
        if not stuck.size:
            continue
        if steps.max() == MAX_CLIMB * MAX_CLIMBS:
            raise ValueError(
                f"min_guesses: {MAX_CLIMBS} climbs of {MAX_CLIMB} steps did not reach "
                f"{min_guesses} guesses at {size}x{size}; ask for fewer"
            )
        boards[stuck], solutions[stuck] = _dug(size, [rngs[i] for i in stuck.tolist()], None)
        guesses[stuck] = batch.count_guesses(boards[stuck])
    return boards, solutions


def _vary(boards: np.ndarray, rngs: Rngs) -> tuple[np.ndarray, np.ndarray]:
    """Returns minimal puzzles and solutions: two clues go, then clues come until there is one."""
    boards, solutions = boards.copy(), np.zeros_like(boards)
    for board, rng in zip(boards, rngs, strict=True):
        board[rng.choice(np.flatnonzero(board), size=2, replace=False)] = 0
    waiting = np.arange(len(boards))
    while waiting.size:
        own = [rngs[i] for i in waiting.tolist()]
        outcome = batch.search(batch.as_cells(boards[waiting]), 2, None, own)
        solutions[waiting] = outcome.solutions[:, 0]
        several = outcome.counts > 1
        for i, (solution, other) in zip(
            waiting[several].tolist(), outcome.solutions[several], strict=True
        ):
            cell = rngs[i].choice(np.flatnonzero(solution != other))
            boards[i, cell] = solution[cell]
        waiting = waiting[several]
    no_target = np.zeros(len(boards), int)
    return dig(boards, solutions, rngs, no_target, _AHEAD), solutions
