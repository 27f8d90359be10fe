"""Sets of Sudokus: generated, or chosen from Sudoku-Extreme's CSV, with symmetric copies."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from rrjax.checks import MOST_PUZZLES, check_count, check_memory, check_seed
from rrjax.puzzles.dataset import PuzzleSet, set_of_groups
from rrjax.puzzles.sudoku import Puzzles, board_size, is_solved, respects_givens
from rrjax.puzzles.sudoku_generate import Kind, distinct, is_among
from rrjax.puzzles.sudoku_mix import SudokuRequest, check_request, generate_mixed, parse_mix
from rrjax.puzzles.sudoku_symmetry import apply_to_tokens, random_symmetries
from rrjax.puzzles.test_sets import hard_boards
from rrjax.puzzles.text_files import choose_from_folder, fill_solutions, read_csv

NUM_TRAIN, NUM_TEST = 1000, 512
NUM_SMALL_TRAIN, NUM_SMALL_TEST = 200, 64  # of 4x4, of which not many more differ
_MAX_ROUNDS = 10

Make = Callable[[SudokuRequest, np.ndarray], Puzzles]
"""Makes the puzzles of some indices, as `generate_mixed` does."""


def build_sudokus(
    puzzles: Puzzles, num_aug: int = 0, seed: int = 0, source: str = "puzzles"
) -> PuzzleSet:
    """Returns a set of Sudokus, each followed by `num_aug` random symmetric copies.

    Args:
        puzzles: Boards and solutions (number, n * n); a solution of 0 alone is unknown, and gives
            no label.
        num_aug: Copies per puzzle; they form one group with it.
        seed: The copies of puzzle i depend on (seed, i) alone.
        source: Where the puzzles come from, for messages.

    Returns:
        Set of number * (1 + num_aug) examples.

    Raises:
        ValueError: No puzzle, a solution that is none, or a negative number.

    Example:
        >>> puzzles = rrjax.puzzles.build_sudokus(
        ...     rrjax.puzzles.generate_sudokus(4, 3, seed=0), num_aug=1
        ... )
        >>> puzzles.inputs.shape, len(puzzles.group_indices) - 1
        ((6, 16), 3)
    """
    boards, solutions = map(np.asarray, puzzles)
    if boards.ndim != 2 or boards.shape != solutions.shape or not len(boards):
        raise ValueError(
            f"{source}: expected boards and solutions (number >= 1, n * n), "
            f"found {boards.shape} and {solutions.shape}"
        )
    known = solutions.any(axis=1)
    wrong = known & ~(respects_givens(boards, solutions) & is_solved(solutions))
    if wrong.any():
        raise ValueError(f"{source}: puzzle {wrong.argmax()} does not have the solution given")
    check_count("num_aug", num_aug)
    check_seed("seed", seed)
    _check_copies(len(boards), num_aug, board_size(boards))
    tokens = np.stack([boards, solutions], axis=1).astype(np.int32) + 1
    tokens[~known, 1] = 0
    copies = _augmented(tokens, num_aug, seed)  # (number * (1 + num_aug), 2, n * n)
    vocab_size = board_size(boards) + 2
    return set_of_groups(copies[:, 0], copies[:, 1], 1 + num_aug, vocab_size, source)


def sudoku_sets(
    size: int = 9,
    num_train: int | None = None,
    num_test: int | None = None,
    *,
    clues: tuple[int, int] | None = None,
    num_aug: int = 0,
    seed: int = 0,
    csv: Path | None = None,
    min_rating: int | None = None,
    min_guesses: int = 0,
    mix: tuple[str, ...] = (),
    make: Make = generate_mixed,
) -> tuple[PuzzleSet, PuzzleSet]:
    """Returns a training set of Sudokus with its copies, and a test set.

    The arguments are the options that `rrjax sudoku --help` explains. No generated test puzzle is
    a training puzzle up to names of digits, and no generated training puzzle is one of the hard
    test set. `make` makes the generated puzzles, first all that will nearly always do.

    Raises:
        ValueError: Numbers out of range, options that contradict each other, puzzles that cannot
            be made, or files that cannot be read.
    """
    check_count("num_train", num_train, most=MOST_PUZZLES)
    check_count("num_test", num_test, most=MOST_PUZZLES)
    check_count("num_aug", num_aug)
    check_seed("seed", seed)
    _check_copies(num_train or 1, num_aug, size)
    if csv is None and min_rating is not None:
        raise ValueError(
            f"min_rating: expected the rating of a CSV's puzzles, found {min_rating} without a "
            "csv; clues, min_guesses and mix say how hard generated puzzles are"
        )
    wishes = {"clues": clues, "min_guesses": min_guesses, "mix": mix}
    given = [name for name, value in wishes.items() if value]
    if len(given) > (csv is None):
        reason = "with a csv, whose puzzles are as they are (min_rating chooses among them)"
        reason = reason if csv is not None else f"with {given[0]}"
        raise ValueError(f"{given[-1]}: expected none {reason}, found {wishes[given[-1]]}")
    if csv is None:
        usual = (NUM_SMALL_TRAIN, NUM_SMALL_TEST) if size == 4 else (NUM_TRAIN, NUM_TEST)
        check_count("num_train", num_train)
        check_count("num_test", num_test)
        kinds, shares = parse_mix(mix) if mix else ((Kind(clues, min_guesses),), (1,))
        request = SudokuRequest(size, seed, kinds, shares)
        check_request(request)
        train, test = _new_puzzles(
            request,
            usual[0] if num_train is None else num_train,
            usual[1] if num_test is None else num_test,
            make,
        )
    else:
        read = partial(read_csv, min_rating=min_rating)
        listings = choose_from_folder(csv, read, num_train, num_test, seed)
        train, test = map(fill_solutions, listings)
    return build_sudokus(train, num_aug, seed, source="train"), build_sudokus(test, source="test")


def _check_copies(number: int, num_aug: int, size: int) -> None:
    check_memory(
        f"{number:,} puzzles with {num_aug:,} copies each (num_aug)",
        16 * number * (1 + num_aug) * size**2,
        "ask for fewer",
    )


def _augmented(tokens: np.ndarray, num_aug: int, seed: int) -> np.ndarray:
    """Returns tokens (number, 2, n * n), each pair followed by its copies, along the first axis."""
    number, _, num_cells = tokens.shape
    copies = np.repeat(tokens[:, None], 1 + num_aug, axis=1)  # (number, 1 + num_aug, 2, n * n)
    size = board_size(tokens)
    for index in range(number if num_aug else 0):
        symmetries = random_symmetries(np.random.default_rng((seed, index)), size, num_aug)
        for side in range(2):
            copies[index, 1:, side] = apply_to_tokens(symmetries, copies[index, 1:, side])
    return copies.reshape(-1, 2, num_cells)


def _new_puzzles(
    request: SudokuRequest, num_train: int, num_test: int, make: Make
) -> tuple[Puzzles, Puzzles]:
    """Makes training and test puzzles; the test puzzles are numbered after the training puzzles.

    Training puzzles of the hard test set, and test puzzles that repeat each other or a training
    puzzle, are made anew with further numbers, a few times.
    """
    if not num_train or not num_test:
        raise ValueError(
            f"expected at least one training and one test puzzle, found {num_train} and {num_test}"
        )
    puzzles = make(request, np.arange(num_train + num_test))
    train, test = _part(puzzles, np.s_[:num_train]), _part(puzzles, np.s_[num_train:])
    first = num_train + num_test
    held_out = hard_boards() if request.size == 9 else train.boards[:0]
    for _ in range(_MAX_ROUNDS):
        train = _part(train, ~is_among(train.boards, held_out))
        test = _part(test, distinct(test.boards, train.boards))
        missing = num_train - len(train.boards), num_test - len(test.boards)
        if not any(missing):
            return train, test
        puzzles = make(request, np.arange(first, first + sum(missing)))
        first += sum(missing)
        train = _joined(train, _part(puzzles, np.s_[: missing[0]]))
        test = _joined(test, _part(puzzles, np.s_[missing[0] :]))
    raise ValueError(
        f"could not make {num_test} test puzzles that differ from the {num_train} training "
        "puzzles; ask for fewer, or for a larger board"
    )


def _part(puzzles: Puzzles, chosen: np.ndarray | slice) -> Puzzles:
    return Puzzles(puzzles.boards[chosen], puzzles.solutions[chosen])


def _joined(*parts: Puzzles) -> Puzzles:
    return Puzzles(*map(np.concatenate, zip(*parts, strict=True)))
