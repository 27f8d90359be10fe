"""Chooses training and test puzzles from a plain list of Sudokus."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from rrjax.checks import MOST_PUZZLES, check_count, check_seed
from rrjax.puzzles.sudoku import Puzzles
from rrjax.puzzles.sudoku_generate import relabel
from rrjax.puzzles.sudoku_solver import solve_sudoku
from rrjax.puzzles.text_files import Listing

Unsuitable = Literal["refuse", "skip"]


class Choice(NamedTuple):
    """Puzzles of a list, each with its only solution.

    Attributes:
        train: Training puzzles in the order of the list.
        test: Test puzzles in the order of the list.
        left_out: The number of puzzles that were left out, for each reason that occurred.
    """

    train: Puzzles
    test: Puzzles
    left_out: dict[str, int]


def choose_from_list(
    listing: Listing,
    num_train: int | None = None,
    num_test: int | None = None,
    *,
    seed: int = 0,
    unsuitable: Unsuitable = "refuse",
    report: Callable[[int], None] = lambda done: None,
) -> Choice:
    """Returns a seeded random choice of the puzzles of a list that have exactly one solution.

    Puzzles are solved in random order until there are enough. Boards that repeat one that came
    before, up to the names of digits, are left out.

    Args:
        listing: The list, as `read_sudokus` reads it.
        num_train: Number of training puzzles; None for all that are not test puzzles.
        num_test: Number of test puzzles; None for a tenth of the list.
        seed: The choice depends on it and the list alone.
        unsuitable: What becomes of puzzles with several or no solutions.
        report: Called with the number of suitable puzzles so far.

    Raises:
        ValueError: The list has too few puzzles, or has unsuitable ones that are to be refused.
    """
    check_count("num_train", num_train, least=1, most=MOST_PUZZLES)
    check_count("num_test", num_test, least=1, most=MOST_PUZZLES)
    check_seed("seed", seed)
    order = np.random.default_rng(seed).permutation(len(listing.lines))
    num_test = max(1, len(order) // 10) if num_test is None else num_test
    wanted = len(order) if num_train is None else num_train + num_test
    solutions, refused, num_repeats = _solve(listing, order, wanted, report)
    left_out = Counter(refused.values())
    if refused and unsuitable == "refuse":
        _refuse(listing, refused, left_out)
    if len(solutions) < (wanted if num_train else num_test + 1):
        raise ValueError(
            f"{listing.path}: expected {num_train or 'some'} training and {num_test} test puzzles, "
            f"found {_counted({'one solution': len(solutions), **left_out})}"
        )
    chosen = list(solutions)
    train, test = sorted(chosen[num_test:]), sorted(chosen[:num_test])
    if num_repeats:
        left_out["the board of another"] = num_repeats
    puzzles = [_puzzles(listing, part, solutions) for part in (train, test)]
    return Choice(puzzles[0], puzzles[1], dict(left_out))


def _solve(
    listing: Listing, order: np.ndarray, wanted: int, report: Callable[[int], None]
) -> tuple[dict[int, np.ndarray], dict[int, str], int]:
    """Returns the first `wanted` solutions by place in the list, and why others have none.

    The third value is the number of boards that repeat one that came before.
    """
    solutions: dict[int, np.ndarray] = {}
    refused: dict[int, str] = {}
    known: set[bytes] = set()
    num_repeats = 0
    for index in order.tolist():
        board = relabel(listing.questions[index : index + 1]).tobytes()
        if board in known:
            num_repeats += 1
            continue
        known.add(board)
        count, solution, _ = solve_sudoku(listing.questions[index])
        if solution is not None and count == 1:
            solutions[index] = solution
            report(len(solutions))
        else:
            refused[index] = "several solutions" if count else "no solution"
        if len(solutions) == wanted:
            break
    return solutions, refused, num_repeats


def _refuse(listing: Listing, refused: dict[int, str], counts: Counter[str]) -> None:
    line = listing.lines[min(refused)]
    raise ValueError(
        f"{listing.path}: expected puzzles with one solution, found {_counted(counts)}, the "
        f"first of them in line {line}; --unsuitable skip leaves them out"
    )


def _counted(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{number} with {kind}" for kind, number in sorted(counts.items()))


def _puzzles(listing: Listing, chosen: list[int], solutions: dict[int, np.ndarray]) -> Puzzles:
    boards = listing.questions[chosen].astype(np.int32)
    return Puzzles(boards, np.stack([solutions[index] for index in chosen]))
