"""Searches many Sudokus at once, with NumPy over the boards.

The rules are those of `sudoku_solver`: singles, then a guess in the first cell with fewest
candidates. So the solutions come in the same order and the guesses are the same numbers; only the
boards of a batch take their steps together, which costs a twentieth for some hundred boards.

Cells are uint16 arrays (n * n, M), one column for each of M boards: bit d - 1 of a cell is set
while digit d may stand there. A cell with one bit is decided.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.sudoku import board_size, geometry


class Outcome(NamedTuple):
    """The results of `search`, of M boards.

    Attributes:
        counts: (M,) solutions of each board, at most the limit.
        solutions: (M, limit, n * n) int32 boards in the order of the search; 0 where there is none.
        guesses: (M,) values tried in cells that singles left open.
        complete: (M,) False where the budget of guesses ran out.
    """

    counts: np.ndarray
    solutions: np.ndarray
    guesses: np.ndarray
    complete: np.ndarray


def as_cells(boards: np.ndarray) -> np.ndarray:
    """Returns the cells (n * n, M) of boards (M, n * n), where a blank may hold every digit."""
    size = board_size(boards)
    bits = np.array([(1 << size) - 1, *(1 << digit for digit in range(size))], np.uint16)
    return bits[boards.T]


def search(
    cells: np.ndarray,
    limit: int,
    max_guesses: int | None = None,
    rngs: Sequence[np.random.Generator] | None = None,
) -> Outcome:
    """Searches each of M boards depth first for up to `limit` solutions.

    Args:
        cells: (n * n, M).
        limit: Solutions after which the search of a board stops.
        max_guesses: Guesses after which it gives up.
        rngs: M generators that shuffle the digits of each guess; without them digits are tried
            ascending.
    """
    num_cells, number = cells.shape
    counts = np.zeros(number, int)
    solutions = np.zeros((number, limit, num_cells), np.int32)
    guesses = np.full(number, -1)  # the start is no guess
    complete = np.ones(number, bool)
    owners = np.arange(number)  # the board of each waiting position; later ones come first
    while owners.size:
        if max_guesses is not None:
            complete[owners[guesses[owners] == max_guesses]] = False
            cells, owners = cells[:, complete[owners]], owners[complete[owners]]
        last = np.full(number, -1)
        last[owners] = np.arange(owners.size)
        taken = last[last >= 0]
        own = owners[taken]
        now, is_possible, is_settled = propagate(cells[:, taken])
        cells[:, taken] = now
        guesses[own[is_settled]] += 1
        is_possible &= is_settled
        is_whole = is_possible & is_decided(now)
        solved = own[is_whole]
        solutions[solved, counts[solved]] = _digits(now[:, is_whole])
        counts[solved] += 1
        is_open = is_possible & ~is_whole & (counts[own] < limit)
        own, chosen = (
            own[is_open],
            None if rngs is None else [rngs[i] for i in own[is_open].tolist()],
        )
        children, parents = _branch(now[:, is_open], chosen)
        stays = counts[owners] < limit
        stays[taken[is_settled]] = False
        cells = np.concatenate([cells[:, stays], children], axis=1)
        owners = np.concatenate([owners[stays], own[parents]])
    return Outcome(counts, solutions, guesses, complete)


def count_guesses(boards: np.ndarray) -> np.ndarray:
    """Returns the guesses (M,) that boards (M, n * n) of one solution need in all."""
    cells, owners = as_cells(boards), np.arange(len(boards))
    guesses = np.full(len(boards), -1)
    while owners.size:
        cells, is_possible, is_settled = propagate(cells)
        guesses += np.bincount(owners[is_settled], minlength=len(boards))
        is_open = is_settled & is_possible & ~is_decided(cells)
        children, parents = _branch(cells[:, is_open], None)
        cells = np.concatenate([cells[:, ~is_settled], children], axis=1)
        owners = np.concatenate([owners[~is_settled], owners[is_open][parents]])
    return guesses


def find_other(
    boards: np.ndarray, places: np.ndarray, digits: np.ndarray, max_guesses: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Says (M,) whether boards have a solution without a digit in a place, and whether they may.

    They may also where the search gives up.

    Args:
        boards: (M, n * n), blank in the place.
        places: (M,) a cell of each board.
        digits: (M,) the digit that must not stand there.
        max_guesses: Guesses after which the search gives up.
    """
    cells = as_cells(boards)
    cells[places, np.arange(len(boards))] &= ~np.left_shift(1, digits - 1).astype(np.uint16)
    outcome = search(cells, 1, max_guesses)
    has_other = outcome.counts > 0
    return has_other, has_other | ~outcome.complete


def propagate(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places singles until more than half of the boards have none left.

    Returns:
        The cells; (M,) False where a cell has no digit, or a unit no place for one; and (M,) True
        where no single is left or the board is not possible.
    """
    cells, number = cells.copy(), cells.shape[1]
    is_possible, is_settled = np.ones(number, bool), np.zeros(number, bool)
    active = np.arange(number)
    while active.size and 2 * active.size >= number:
        before = cells[:, active]
        after, is_fine = _place_singles(before)
        cells[:, active] = after
        goes_on = is_fine & (after != before).any(axis=0)
        is_possible[active] = is_fine
        is_settled[active] = ~goes_on
        active = active[goes_on]
    settled = np.flatnonzero(is_settled & is_possible)
    is_possible[settled] = ~_repeats_digits(cells[:, settled])
    return cells, is_possible, is_settled


def is_decided(cells: np.ndarray) -> np.ndarray:
    """Says (M,) whether every cell of a board has one candidate."""
    return (np.bitwise_count(cells) == 1).all(axis=0)


def _place_singles(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cells after all singles are placed once, and whether no contradiction shows."""
    units, units_of = _tables(len(cells))
    singles = np.where(np.bitwise_count(cells) == 1, cells, np.uint16(0))
    used = np.bitwise_or.reduce(singles[units], axis=0)  # (3 n, M)
    some, *others = cells[units]
    several = np.zeros_like(some)
    for place in others:
        several |= some & place
        some |= place
    hidden = cells & _of_units(some & ~several, units_of)
    is_fine = (some == np.uint16((1 << len(units)) - 1)).all(axis=0)
    is_fine &= (hidden & (hidden - 1) == 0).all(axis=0)
    after = cells & (singles | ~_of_units(used, units_of))
    np.bitwise_and(after, hidden, out=after, where=hidden > 0)
    return after, is_fine & after.all(axis=0)


def _repeats_digits(cells: np.ndarray) -> np.ndarray:
    """Says (M,) whether a digit is decided twice in a unit."""
    singles = np.where(np.bitwise_count(cells) == 1, cells, 0)[_tables(len(cells))[0]]
    return (singles.sum(axis=0, dtype=np.uint32) != np.bitwise_or.reduce(singles)).any(axis=0)


def _of_units(masks: np.ndarray, units_of: np.ndarray) -> np.ndarray:
    """Returns for each cell the union of the masks (3 n, M) of its three units."""
    return masks[units_of[0]] | masks[units_of[1]] | masks[units_of[2]]


@cache
def _tables(num_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cells (n, 3 n) of the units, and the units (3, n * n) of the cells."""
    units = geometry(round(num_cells**0.5)).units
    order = units.reshape(3, -1).argsort(axis=1) // units.shape[1]
    return units.T.copy(), order + np.arange(3)[:, None] * units.shape[1]


def _branch(
    cells: np.ndarray, rngs: Sequence[np.random.Generator] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a board for each digit of the first cell with fewest candidates, and its parent."""
    counts = np.bitwise_count(cells)
    number = cells.shape[1]
    chosen = np.where(counts > 1, counts, 99).argmin(axis=0)
    masks = cells[chosen, np.arange(number)]
    size = round(len(cells) ** 0.5)
    digits = np.arange(size - 1, -1, -1)  # the last one is tried first
    rows, parents = np.nonzero(masks >> digits[:, None] & 1)
    values = digits[rows]
    if rngs is not None:
        parents, values = _shuffled(parents, values, rngs)
    children = cells[:, parents]
    children[chosen[parents], np.arange(len(parents))] = 1 << values
    return children, parents


def _shuffled(
    parents: np.ndarray, values: np.ndarray, rngs: Sequence[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the same pairs, the values of each parent in an order that its generator draws."""
    by_parent: list[list[int]] = [[] for _ in rngs]
    for parent, value in zip(parents.tolist(), values.tolist(), strict=True):
        by_parent[parent].append(value)
    for rng, own in zip(rngs, by_parent, strict=True):
        rng.shuffle(own)
    parents = np.repeat(np.arange(len(rngs)), [len(own) for own in by_parent])
    return parents, np.array([value for own in by_parent for value in own], int)


def _digits(cells: np.ndarray) -> np.ndarray:
    """Returns the boards (M, n * n) of decided cells."""
    return np.bitwise_count(cells - 1).T.astype(np.int32) + 1
