"""Counts the solutions of a Sudoku by naked singles, hidden singles and backtracking.

One Python integer per digit holds the cells (one bit each) where the digit may still stand. Python
integers have any width, so that sixteen rows need no other code than four.

A few boards have no solution, and the search would need millions of guesses to see it. Where it
has found no solution after many guesses, a second search decides whether there is one: it tries
every candidate of every cell and strikes out those that singles refute. Difficulty is counted by
the first search alone.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.checks import check_count
from rrjax.puzzles.sudoku import board_size, check_boards, compact_board, geometry

# The hardest puzzles known need fewer than 4,000 guesses at 9x9. Past this many without a solution
# (a second or two) the other search is asked.
_PATIENCE = 20_000
# The other search takes seconds for so many tries. It strikes out most boards within the first
# few hundred.
_MAX_PROBES = 50_000
# A board that neither search decides is given up after some minutes.
_MAX_GUESSES = 5_000_000


class Solution(NamedTuple):
    """The result of `solve_sudoku`.

    Attributes:
        count: Solutions found, at most `limit`.
        solution: The first solution (n * n,), None without one.
        guesses: Values tried in cells that singles left open, over the whole search; 0 where
            singles decide everything. With one solution and limit >= 2 the search is exhaustive,
            so this is a property of the puzzle (though not quite of its symmetry class: among
            equally good cells the search branches on the first). Without a solution it is the
            number after which the search was given up or complete.
    """

    count: int
    solution: np.ndarray | None
    guesses: int


class Tables(NamedTuple):
    """Bit masks of one size; `untouched` maps a cell's bit to every cell that is no peer of it."""

    size: int
    every_cell: int
    units: tuple[int, ...]
    untouched: dict[int, int]


class State(NamedTuple):
    """A position of the search: cells left to each digit, and the cells not yet decided."""

    candidates: list[int]
    open_cells: int


class Outcome(NamedTuple):
    """The result of `search`; `complete` is False where the budget of guesses ran out."""

    states: list[State]
    guesses: int
    complete: bool


def solve_sudoku(board: ArrayLike, limit: int = 2) -> Solution:
    """Counts the solutions of a board, stopping at `limit`.

    Args:
        board: (n * n,), 0 for blank.
        limit: Solutions after which the search stops, at least 1.

    Returns:
        Count, first solution and guesses. A board whose clues clash has count 0.

    Raises:
        ValueError: No single board, wrong values, or limit < 1; or no solution within millions of
            guesses, and no proof that there is none.

    Example:
        >>> solution = rrjax.puzzles.solve_sudoku(rrjax.puzzles.parse_board("12343412.1..4..1"))
        >>> solution.count, solution.guesses
        (1, 0)
    """
    board = check_boards(board)
    if board.ndim != 1:
        raise ValueError(f"board: expected one board (n * n,), found shape {board.shape}")
    check_count("limit", limit, least=1)
    masks = tables(board_size(board))
    states, guesses, _ = _search_patiently(masks, start(masks, board.tolist()), limit, board)
    return Solution(len(states), to_board(masks.size, states[0]) if states else None, guesses)


def _search_patiently(masks: Tables, state: State, limit: int, board: np.ndarray) -> Outcome:
    """Searches for up to `limit` solutions, and asks the other search where none comes up."""
    outcome = search(masks, state, limit, _PATIENCE)
    if outcome.complete:
        return outcome
    solvable = True if outcome.states else is_solvable(masks, state, _MAX_PROBES)
    if solvable is False:
        return outcome
    outcome = search(masks, state, limit, None if solvable else _MAX_GUESSES)
    if not (outcome.complete or outcome.states):
        raise ValueError(
            f"board: expected one that the solver decides, found no solution of "
            f"{compact_board(board)} in {outcome.guesses:,} guesses and no proof that there is "
            "none; leave this board out, or give its solution"
        )
    return outcome


@cache
def tables(size: int) -> Tables:
    """Returns the bit masks of one size."""

    def mask(cells: list[int]) -> int:
        return sum(1 << cell for cell in cells)

    shape, every_cell = geometry(size), (1 << size * size) - 1
    peers = enumerate(map(mask, shape.peers.tolist()))
    untouched = {1 << cell: every_cell & ~mask_of_peers for cell, mask_of_peers in peers}
    return Tables(size, every_cell, tuple(map(mask, shape.units.tolist())), untouched)


def start(masks: Tables, values: list[int]) -> State:
    """Returns the state after placing the clues; clashing clues leave a cell without candidates."""
    placed = [0] * (masks.size + 1)
    for cell, value in enumerate(values):
        placed[value] |= 1 << cell
    blank = placed[0]
    candidates = []
    for own in placed[1:]:
        left = blank | own
        rest = own
        while rest:
            bit = rest & -rest
            rest ^= bit
            left &= masks.untouched[bit]
        candidates.append(left)
    return State(candidates, blank)


def search(
    masks: Tables,
    state: State,
    limit: int,
    max_guesses: int | None = None,
    shuffle: Callable[[list[int]], None] | None = None,
) -> Outcome:
    """Searches depth first, fewest candidates first, for up to `limit` solutions.

    It starts at `state`, which stays as it is, and gives up after `max_guesses`. `shuffle` reorders
    in place the digits that are tried at a branch; without it they are tried ascending.
    """
    solutions: list[State] = []
    stack = [State(list(state.candidates), state.open_cells)]
    guesses = -1  # the start is no guess
    while stack:
        if guesses == max_guesses:
            return Outcome(solutions, guesses, False)
        guesses += 1
        candidates, open_cells = stack.pop()
        open_cells = propagate(masks, candidates, open_cells)
        if open_cells > 0:
            stack.extend(_branches(masks, State(candidates, open_cells), shuffle))
        elif open_cells == 0:
            solutions.append(State(candidates, 0))
            if len(solutions) == limit:
                break
    return Outcome(solutions, guesses, True)


def is_solvable(masks: Tables, state: State, max_probes: int) -> bool | None:
    """Says whether a state has a solution; None where `max_probes` tries do not decide it.

    The search is depth first as `search` is, but before it branches it tries every candidate and
    strikes out those that singles refute.
    """
    stack = [State(list(state.candidates), state.open_cells)]
    probes = 0
    while stack:
        candidates, open_cells = stack.pop()
        open_cells, tried = _strike_out(masks, candidates, open_cells)
        probes += tried
        if open_cells == 0:
            return True
        if probes > max_probes:
            return None
        if open_cells > 0:
            stack.extend(_branches(masks, State(candidates, open_cells), None))
    return False


def _strike_out(masks: Tables, candidates: list[int], open_cells: int) -> tuple[int, int]:
    """Places singles and strikes out what they refute in `candidates`, until nothing changes.

    Returns:
        The cells still open, -1 for a contradiction; and the number of candidates tried.
    """
    tried = 0
    while (open_cells := propagate(masks, candidates, open_cells)) > 0:
        before = list(candidates)
        for cell in _bits(open_cells):
            for digit in range(masks.size):
                if candidates[digit] & cell:
                    tried += 1
                    after = _placed(masks, candidates, cell, digit)
                    if propagate(masks, after, open_cells ^ cell) < 0:
                        candidates[digit] ^= cell
        if candidates == before:
            break
    return open_cells, tried


def propagate(masks: Tables, candidates: list[int], open_cells: int) -> int:
    """Places naked and hidden singles in `candidates` until none is left.

    Returns:
        The cells still open; -1 where a cell has no digit or a unit no place for one.
    """
    while open_cells >= 0:
        some = several = 0
        for cells in candidates:
            several |= some & cells
            some |= cells
        if some != masks.every_cell:
            return -1
        naked = open_cells & ~several
        if naked:
            _place_naked(masks, candidates, naked)
            open_cells ^= naked
            continue
        left = _place_hidden(masks, candidates, open_cells)
        if left == open_cells:
            break
        open_cells = left
    return open_cells


def to_board(size: int, state: State) -> np.ndarray:
    """Returns the board (n * n,) of a state without open cells."""
    board = np.zeros(size * size, dtype=np.int32)
    for digit, cells in enumerate(state.candidates, start=1):
        while cells:
            bit = cells & -cells
            cells ^= bit
            board[bit.bit_length() - 1] = digit
    return board


def _place_naked(masks: Tables, candidates: list[int], naked: int) -> None:
    untouched = masks.untouched
    for digit, cells in enumerate(candidates):
        rest = cells & naked
        while rest:
            bit = rest & -rest
            rest ^= bit
            cells &= untouched[bit]
        candidates[digit] = cells


def _place_hidden(masks: Tables, candidates: list[int], open_cells: int) -> int:
    for digit in range(masks.size):
        cells = candidates[digit]
        for unit in masks.units:
            places = cells & unit
            if places & (places - 1):
                continue
            if not places:
                return -1
            if places & open_cells:
                open_cells ^= places
                for other, others in enumerate(candidates):
                    candidates[other] = others & ~places
                cells &= masks.untouched[places]
                candidates[digit] = cells
    return open_cells


def _branches(
    masks: Tables, state: State, shuffle: Callable[[list[int]], None] | None
) -> list[State]:
    candidates, open_cells = state
    cell = _fewest_candidates(candidates, open_cells)
    digits = [digit for digit, cells in enumerate(candidates) if cells & cell]
    digits.reverse()  # the last one is popped first
    if shuffle:
        shuffle(digits)
    return [State(_placed(masks, candidates, cell, d), open_cells ^ cell) for d in digits]


def _placed(masks: Tables, candidates: list[int], cell: int, digit: int) -> list[int]:
    """Returns the candidates after a digit is placed in a cell that may hold it."""
    after = [cells & ~cell for cells in candidates]
    after[digit] = candidates[digit] & masks.untouched[cell]
    return after


def _fewest_candidates(candidates: list[int], open_cells: int) -> int:
    one = two = three = 0  # cells with at least that many candidates
    for cells in candidates:
        three |= two & cells
        two |= one & cells
        one |= cells
    pairs = open_cells & ~three
    if pairs:
        return pairs & -pairs
    return min(_bits(open_cells), key=lambda bit: sum(1 for cells in candidates if cells & bit))


def _bits(cells: int) -> list[int]:
    bits = []
    while cells:
        bits.append(cells & -cells)
        cells &= cells - 1
    return bits
