"""Tokenised puzzle sets, as the official TRM and HRM code arranges them.

A puzzle has one or more examples (one in Sudoku); a group is a puzzle with its augmented copies.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.puzzles.sudoku import (
    Puzzles,
    board_size,
    check_boards,
    is_solved,
    respects_givens,
    to_tokens,
)
from rrjax.puzzles.sudoku_symmetry import apply_to_tokens, random_symmetries

_ROWS_AT_ONCE = 2**16


@dataclass(frozen=True)
class Metadata:
    """The content of `dataset.json`, in its order.

    `total_puzzles` counts the groups, as the official Sudoku and Maze builders write it, or the
    puzzles, as that of ARC does; `mean_puzzle_examples` is examples per puzzle.
    """

    pad_id: int
    ignore_label_id: int
    blank_identifier_id: int
    vocab_size: int
    seq_len: int
    num_puzzle_identifiers: int
    total_groups: int
    mean_puzzle_examples: float
    total_puzzles: int
    sets: list[str]


@dataclass(frozen=True, repr=False)
class PuzzleSet:
    """Tokenised puzzles.

    Attributes:
        inputs: (N, seq) tokens 0..vocab-1; int32, or uint8 where a large set is mapped from its
            file instead of read (`read_folder`).
        labels: As inputs; 0 is ignored by the loss.
        puzzle_ids: (N,) int32 row of the puzzle embedding; 0 throughout for Sudoku.
        puzzle_indices: (P + 1,) int32 first example of each puzzle, then N.
        group_indices: (G + 1,) int32 first puzzle of each group, then P.
        metadata: Sizes and special tokens.
        source: Where the set comes from, for messages.
        folder: The split it was read from, for what stands beside the arrays; None: no folder.

    Raises:
        ValueError: Shapes, dtypes, ranges or boundaries that contradict each other.
    """

    inputs: np.ndarray
    labels: np.ndarray
    puzzle_ids: np.ndarray
    puzzle_indices: np.ndarray
    group_indices: np.ndarray
    metadata: Metadata
    source: str = field(default="puzzles", compare=False)
    folder: Path | None = field(default=None, compare=False)

    def __post_init__(self):
        try:
            _check_set(self)
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from None

    def __len__(self) -> int:
        return len(self.inputs)

    def digest(self) -> str:
        """Returns the sha256 of all that results depend on; the same wherever the set comes from.

        Sizes and special tokens follow from the arrays, are the model's, or fixed by the format.
        """
        bounds = self.puzzle_indices, self.group_indices
        return _digest(self.inputs, self.labels, self.puzzle_ids, *bounds)

    def __getitem__(self, key: Any) -> "PuzzleSet":
        """Returns some of the examples as a set, whose puzzles and groups hold only these.

        Args:
            key: A number, a slice, a boolean mask (N,) or an array of numbers, as NumPy takes it;
                a number gives a set of one example.

        Raises:
            IndexError: No such example.
            ValueError: No example is left.
        """
        rows = np.atleast_1d(np.arange(len(self))[key])
        if not rows.size:
            raise ValueError(f"{self.source}: the choice holds no example")
        puzzles = _owners(self.puzzle_indices)[rows]
        puzzle_indices = _bounds(puzzles)
        group_indices = _bounds(_owners(self.group_indices)[puzzles[puzzle_indices[:-1]]])
        meta = self.metadata
        counted = group_indices if meta.total_puzzles == meta.total_groups else puzzle_indices
        counts = {"total_groups": len(group_indices) - 1, "total_puzzles": len(counted) - 1}
        return replace(
            self,
            inputs=self.inputs[rows].astype(np.int32),
            labels=self.labels[rows].astype(np.int32),
            puzzle_ids=self.puzzle_ids[rows],
            puzzle_indices=puzzle_indices,
            group_indices=group_indices,
            metadata=replace(meta, **counts),
        )

    def __repr__(self) -> str:
        return f"PuzzleSet({len(self)} of {self.metadata.seq_len} tokens, from {self.source})"


def build(puzzles: Puzzles, num_aug: int = 0, seed: int = 0, source: str = "puzzles") -> PuzzleSet:
    """Makes a set of Sudoku puzzles, each followed by `num_aug` random symmetric copies.

    Args:
        puzzles: Boards and solutions (number, n * n).
        num_aug: Copies per puzzle; they form one group with it.
        seed: Copies of puzzle i depend on (seed, i) alone.
        source: Where the puzzles come from, for messages.

    Returns:
        Set of number * (1 + num_aug) examples.

    Raises:
        ValueError: No puzzle, a solution that is none, or a negative number.
    """
    boards, solutions = check_boards(puzzles.boards), check_boards(puzzles.solutions)
    if boards.ndim != 2 or boards.shape != solutions.shape or not len(boards):
        raise ValueError(
            f"{source}: expected boards and solutions (number >= 1, n * n), "
            f"found {boards.shape} and {solutions.shape}"
        )
    wrong = ~(is_solved(solutions) & respects_givens(boards, solutions))
    if wrong.any():
        raise ValueError(f"{source}: puzzle {wrong.argmax()} does not have the solution given")
    for name, value in (("num_aug", num_aug), ("seed", seed)):
        if value < 0:
            raise ValueError(f"{name}: expected at least 0, found {value}")
    inputs, labels = _augmented(to_tokens(boards), to_tokens(solutions), num_aug, seed)
    return PuzzleSet(
        inputs=inputs,
        labels=labels,
        puzzle_ids=np.zeros(len(inputs), np.int32),
        puzzle_indices=np.arange(len(inputs) + 1, dtype=np.int32),
        group_indices=np.arange(0, len(inputs) + 1, 1 + num_aug, dtype=np.int32),
        metadata=_sudoku_metadata(board_size(boards), len(boards)),
        source=source,
    )


def check_bounds(name: str, bounds: np.ndarray, last: int) -> None:
    """Refuses int32 bounds (number + 1,) that do not rise from 0 to `last`."""
    if bounds.ndim != 1 or bounds.size < 2 or bounds.dtype != np.int32:
        raise ValueError(
            f"{name}: expected int32 (number + 1,), found {bounds.dtype} of shape {bounds.shape}"
        )
    if bounds[0] != 0 or bounds[-1] != last or (bounds[1:] <= bounds[:-1]).any():
        raise ValueError(f"{name}: expected bounds that rise from 0 to {last}, found {bounds}")


def _augmented(
    inputs: np.ndarray, labels: np.ndarray, num_aug: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    number, num_cells = inputs.shape
    inputs = np.repeat(inputs[:, None], 1 + num_aug, axis=1)
    labels = np.repeat(labels[:, None], 1 + num_aug, axis=1)
    for index in range(number if num_aug else 0):
        rng = np.random.default_rng((seed, index))
        moves = random_symmetries(rng, board_size(inputs), num_aug)
        inputs[index, 1:] = apply_to_tokens(moves, inputs[index, 1:])
        labels[index, 1:] = apply_to_tokens(moves, labels[index, 1:])
    return inputs.reshape(-1, num_cells), labels.reshape(-1, num_cells)


def _owners(bounds: np.ndarray) -> np.ndarray:
    """Returns the number of the part that each item lies in."""
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def _bounds(owners: np.ndarray) -> np.ndarray:
    """Returns int32 bounds of the runs of equal values: the first place of each, then the end."""
    changes = np.flatnonzero(owners[1:] != owners[:-1]) + 1
    return np.concatenate([[0], changes, [len(owners)]]).astype(np.int32)


def _sudoku_metadata(size: int, num_groups: int) -> Metadata:
    return Metadata(
        pad_id=0,
        ignore_label_id=0,
        blank_identifier_id=0,
        vocab_size=size + 2,
        seq_len=size * size,
        num_puzzle_identifiers=1,
        total_groups=num_groups,
        mean_puzzle_examples=1.0,
        total_puzzles=num_groups,
        sets=["all"],
    )


def _digest(*arrays: np.ndarray) -> str:
    """`rrjax.store.digest_arrays` of the arrays in int32, of which only a piece is ever made."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{np.dtype(np.int32).str}{array.shape}".encode())
        for start in range(0, len(array), _ROWS_AT_ONCE):
            digest.update(array[start : start + _ROWS_AT_ONCE].astype(np.int32).tobytes())
    return digest.hexdigest()


def _check_set(puzzles: PuzzleSet) -> None:
    meta = puzzles.metadata
    if puzzles.inputs.ndim != 2 or not len(puzzles.inputs):
        raise ValueError(f"inputs: expected (N >= 1, seq), found shape {puzzles.inputs.shape}")
    number = len(puzzles.inputs)
    for name in ("inputs", "labels"):
        tokens = getattr(puzzles, name)
        _check_array(name, tokens, (number, meta.seq_len), "int32 or uint8")
        _check_values(name, tokens, meta.vocab_size)
    _check_array("puzzle_ids", puzzles.puzzle_ids, (number,), "int32")
    _check_values("puzzle_ids", puzzles.puzzle_ids, meta.num_puzzle_identifiers)
    check_bounds("puzzle_indices", puzzles.puzzle_indices, number)
    num_puzzles = len(puzzles.puzzle_indices) - 1
    check_bounds("group_indices", puzzles.group_indices, num_puzzles)
    num_groups = len(puzzles.group_indices) - 1
    if meta.ignore_label_id != 0:
        raise ValueError(f"ignore_label_id: expected 0, found {meta.ignore_label_id}")
    if num_groups != meta.total_groups:
        raise ValueError(
            f"group_indices: expected {meta.total_groups} groups (total_groups), found {num_groups}"
        )


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...], dtypes: str) -> None:
    if array.shape != shape or array.dtype.name not in dtypes.split(" or "):
        raise ValueError(
            f"{name}: expected {dtypes} of shape {shape}, "
            f"found {array.dtype} of shape {array.shape}"
        )


def _check_values(name: str, array: np.ndarray, end: int) -> None:
    # the extremes first: they need no memory, and a set may be larger than that
    if array.min() >= 0 and array.max() < end:
        return
    place = tuple(np.argwhere((array < 0) | (array >= end))[0].tolist())
    raise ValueError(f"{name}: expected values 0..{end - 1}, found {array[place]} at {place}")
