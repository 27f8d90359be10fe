"""Sets of Sudokus: generated, or chosen from Sudoku-Extreme's CSV, with symmetric copies."""

from functools import partial
from pathlib import Path

import numpy as np

from rrjax.checks import check_count, check_seed
from rrjax.puzzles.dataset import PuzzleSet, set_of_groups
from rrjax.puzzles.sudoku import Puzzles, board_size, is_solved, respects_givens
from rrjax.puzzles.sudoku_generate import distinct, generate_sudokus
from rrjax.puzzles.sudoku_symmetry import apply_to_tokens, random_symmetries
from rrjax.puzzles.text_files import choose_from_folder, fill_solutions, read_csv

NUM_TRAIN, NUM_TEST = 1000, 512
NUM_SMALL_TRAIN, NUM_SMALL_TEST = 200, 64  # of 4x4, of which not many more differ
_MAX_ROUNDS = 10


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
) -> tuple[PuzzleSet, PuzzleSet]:
    """Returns a training set of Sudokus with its copies, and a test set.

    The arguments are the options that `rrjax sudoku --help` explains. No generated test puzzle is
    a training puzzle up to names of digits.

    Raises:
        ValueError: Numbers out of range, options that contradict each other, puzzles that cannot
            be made, or files that cannot be read.
    """
    check_count("num_aug", num_aug)
    check_seed("seed", seed)
    if csv is None and min_rating is not None:
        raise ValueError(
            f"min_rating: expected the rating of a CSV's puzzles, found {min_rating} without a "
            "csv; clues says how hard generated puzzles are"
        )
    if csv is not None and clues is not None:
        raise ValueError(
            f"clues: expected none with a csv, whose puzzles have theirs, found {clues}; "
            "min_rating chooses among them"
        )
    if csv is None:
        usual = (NUM_SMALL_TRAIN, NUM_SMALL_TEST) if size == 4 else (NUM_TRAIN, NUM_TEST)
        train = generate_sudokus(size, usual[0] if num_train is None else num_train, seed, clues)
        wanted = usual[1] if num_test is None else num_test
        test = _new_puzzles(size, wanted, seed, clues, train)
    else:
        read = partial(read_csv, min_rating=min_rating)
        listings = choose_from_folder(csv, read, num_train, num_test, seed)
        train, test = map(fill_solutions, listings)
    return build_sudokus(train, num_aug, seed, source="train"), build_sudokus(test, source="test")


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
    size: int, wanted: int, seed: int, clues: tuple[int, int] | None, train: Puzzles
) -> Puzzles:
    """Generates puzzles that repeat neither each other nor the training puzzles.

    They are numbered after the training puzzles; repeats are made anew a few times.
    """
    fresh, first = Puzzles(train.boards[:0], train.solutions[:0]), len(train.boards)
    for _ in range(_MAX_ROUNDS):
        missing = wanted - len(fresh.boards)
        puzzles = generate_sudokus(size, missing, seed, clues, first=first)
        first += missing
        joined = Puzzles(*map(np.concatenate, zip(fresh, puzzles, strict=True)))
        keep = distinct(joined.boards, train.boards)
        fresh = Puzzles(joined.boards[keep], joined.solutions[keep])
        if len(fresh.boards) == wanted:
            return fresh
    raise ValueError(
        f"could not make {wanted} test puzzles that differ from the {len(train.boards)} training "
        "puzzles; ask for fewer, or for a larger board"
    )
