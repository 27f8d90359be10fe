"""Seeded Sudoku puzzles with exactly one solution, at a wanted number of clues or difficulty.

A full grid is filled at random and clues are dug out in random order; a clue goes only if no second
solution appears. Puzzle i of a seed depends on (seed, i) and the request alone, not on how many are
made or in how many pieces.
"""

import numpy as np

from rrjax.checks import check_count, check_seed
from rrjax.puzzles import sudoku_solver as solver
from rrjax.puzzles.sudoku import Puzzles, board_size, geometry

# Fewest clues with one solution, known by exhaustive search. At 16x16 the least is unknown, but two
# absent digits could be swapped.
FEWEST_CLUES = {4: 4, 6: 8, 9: 17, 16: 15}
# Grids dug for one puzzle: reaches what one random grid in a hundred allows. At 16x16 a grid takes
# seconds to dig out.
MAX_TRIES = {4: 200, 6: 200, 9: 200, 16: 20}
MAX_CLIMB = 1000  # steps of the hill climb for one puzzle
# A full 16x16 grid or the proof of a second solution may take the search for ever. Past this many
# guesses a fill starts anew and a dig keeps its clue.
MAX_GUESSES = 300


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
    """
    geometry(size)
    check_count("number", number)
    check_seed("seed", seed)
    check_count("min_guesses", min_guesses)
    check_count("first", first)
    if clues and not FEWEST_CLUES[size] <= clues[0] <= clues[1] <= size * size:
        raise ValueError(
            f"clues: expected {FEWEST_CLUES[size]} <= fewest <= most <= {size * size} "
            f"(a {size}x{size} puzzle with fewer has several solutions), found {clues}"
        )
    if min_guesses and (clues is not None or size > 9):
        raise ValueError("min_guesses: expected 0 with clues, and at 16x16 (too slow to climb)")
    pairs = [
        _one_puzzle(size, np.random.default_rng((seed, index)), clues, min_guesses)
        for index in range(first, first + number)
    ]
    boards = np.array(pairs, dtype=np.int32).reshape(number, 2, size * size)
    return Puzzles(boards[:, 0], boards[:, 1])


def full_grid(size: int, rng: np.random.Generator) -> list[int]:
    """Returns a random solved board as n * n digits; any grid can come, not uniformly."""
    masks = solver.tables(size)
    while True:
        first_row = (1 + rng.permutation(size)).tolist()
        state = solver.start(masks, first_row + [0] * (size * (size - 1)))
        solutions = solver.search(masks, state, 1, MAX_GUESSES, rng.shuffle).states
        if solutions:
            return solver.to_board(size, solutions[0]).tolist()


def dig(
    size: int, board: list[int], solution: list[int], order: list[int], target: int = 0
) -> list[int]:
    """Removes the clues of a puzzle in the given order while its solution stays the only one.

    It stops at `target` clues; where the order runs out first, more of them stay.
    """
    board = list(board)
    left = sum(value > 0 for value in board)
    for cell in order:
        if left <= target:
            break
        if board[cell]:
            board[cell] = 0
            if _has_other_solution(size, board, cell, solution[cell]):
                board[cell] = solution[cell]
            else:
                left -= 1
    return board


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
    known = {board.tobytes() for board in relabel(others)}
    is_new = []
    for board in relabel(boards):
        key = board.tobytes()
        is_new.append(key not in known)
        known.add(key)
    return np.array(is_new, dtype=bool)


def _one_puzzle(
    size: int, rng: np.random.Generator, clues: tuple[int, int] | None, min_guesses: int
) -> tuple[list[int], list[int]]:
    if min_guesses:
        return _climb(size, rng, min_guesses)
    target = int(rng.integers(clues[0], clues[1] + 1)) if clues else 0
    for _ in range(MAX_TRIES[size]):
        solution = full_grid(size, rng)
        board = dig(size, solution, solution, rng.permutation(size * size).tolist(), target)
        if clues is None or sum(value > 0 for value in board) == target:
            return board, solution
    raise ValueError(
        f"clues: no {size}x{size} puzzle with {target} clues in {MAX_TRIES[size]} random grids; "
        "ask for more clues"
    )


def _climb(size: int, rng: np.random.Generator, min_guesses: int) -> tuple[list[int], list[int]]:
    """Drops two clues, adds clues until unique, minimises; keeps what needs no fewer guesses."""
    solution = full_grid(size, rng)
    board = dig(size, solution, solution, rng.permutation(size * size).tolist())
    guesses = solver.solve_sudoku(board).guesses
    for _ in range(MAX_CLIMB):
        if guesses >= min_guesses:
            return board, solution
        trial, trial_solution = _vary(size, rng, board)
        trial_guesses = solver.solve_sudoku(trial).guesses
        if trial_guesses >= guesses:
            board, solution, guesses = trial, trial_solution, trial_guesses
    raise ValueError(
        f"min_guesses: {MAX_CLIMB} steps of the climb reached {guesses} guesses at {size}x{size}, "
        f"wanted {min_guesses}; ask for fewer"
    )


def _vary(size: int, rng: np.random.Generator, board: list[int]) -> tuple[list[int], list[int]]:
    """Returns a minimal puzzle and its solution: two clues go, then clues come until it is one."""
    masks = solver.tables(size)
    board = list(board)
    given = [cell for cell, value in enumerate(board) if value]
    for cell in rng.choice(given, size=2, replace=False).tolist():
        board[cell] = 0
    while True:
        states = solver.search(masks, solver.start(masks, board), 2, None, rng.shuffle).states
        solution, *others = (solver.to_board(size, state).tolist() for state in states)
        if not others:
            return dig(size, board, solution, rng.permutation(size * size).tolist()), solution
        cell = int(rng.choice([i for i in range(size * size) if solution[i] != others[0][i]]))
        board[cell] = solution[cell]


def _has_other_solution(size: int, board: list[int], cell: int, digit: int) -> bool:
    """Says whether the board has, or may have, a solution without this digit in the cell."""
    masks = solver.tables(size)
    state = solver.start(masks, board)
    state.candidates[digit - 1] &= ~(1 << cell)
    outcome = solver.search(masks, state, 1, MAX_GUESSES if size > 9 else None)
    return bool(outcome.states) or not outcome.complete
