"""Tokenised puzzle sets, as the official TRM and HRM code arranges them.

A puzzle has one or more examples (one in Sudoku). A group is a puzzle with its augmented copies.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.puzzles.values import check_values
from rrjax.store import digest_arrays


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The content of `dataset.json`, in its order.

    `total_puzzles` counts the groups where the official builders of Sudoku and Maze wrote it, and
    the puzzles where that of ARC did. `mean_puzzle_examples` is the number of examples per puzzle.
    """

    pad_id: int = 0
    ignore_label_id: int = 0
    blank_identifier_id: int = 0
    vocab_size: int
    seq_len: int
    num_puzzle_identifiers: int
    total_groups: int
    mean_puzzle_examples: float
    total_puzzles: int
    sets: list[str] = field(default_factory=lambda: ["all"])


@dataclass(frozen=True, repr=False)
class PuzzleSet:
    """Tokenised puzzles.

    Attributes:
        inputs: (N, seq) tokens 0..vocab-1; int32, or uint8 where `read_folder` maps a large set
            from its file instead of reading it.
        labels: As inputs; the loss ignores 0.
        puzzle_ids: (N,) int32 row of the puzzle embedding; 0 in all sets but those of ARC.
        puzzle_indices: (P + 1,) int32 first example of each puzzle, then N.
        group_indices: (G + 1,) int32 first puzzle of each group, then P.
        metadata: Sizes and special tokens.
        source: Where the set comes from, for messages.
        folder: The split that the set was read from, where other files stand beside the arrays;
            None if it does not come from a folder.

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
        """Returns the sha256 of the arrays, the same wherever the set comes from.

        The metadata is left out: results do not depend on what the arrays do not tell.
        """
        bounds = self.puzzle_indices, self.group_indices
        return digest_arrays(self.inputs, self.labels, self.puzzle_ids, *bounds, dtype=np.int32)

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


def set_of_groups(
    inputs: np.ndarray, labels: np.ndarray, group_size: int, vocab_size: int, source: str
) -> PuzzleSet:
    """Returns a set of puzzles of one example each, in groups of one size, without identifiers.

    Inputs and labels are (N, seq) int32 tokens, group after group; `group_size` divides N.
    """
    number, seq_len = inputs.shape
    num_groups = number // group_size
    return PuzzleSet(
        inputs=inputs,
        labels=labels,
        puzzle_ids=np.zeros(number, np.int32),
        puzzle_indices=np.arange(number + 1, dtype=np.int32),
        group_indices=np.arange(0, number + 1, group_size, dtype=np.int32),
        metadata=Metadata(
            vocab_size=vocab_size,
            seq_len=seq_len,
            num_puzzle_identifiers=1,
            total_groups=num_groups,
            mean_puzzle_examples=1.0,
            total_puzzles=num_groups,
        ),
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


def _owners(bounds: np.ndarray) -> np.ndarray:
    """Returns the number of the part that each item lies in."""
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def _bounds(owners: np.ndarray) -> np.ndarray:
    """Returns int32 bounds of the runs of equal values: the first place of each, then the end."""
    changes = np.flatnonzero(owners[1:] != owners[:-1]) + 1
    return np.concatenate([[0], changes, [len(owners)]]).astype(np.int32)


def _check_set(puzzles: PuzzleSet) -> None:
    meta, inputs = puzzles.metadata, puzzles.inputs
    if inputs.ndim != 2 or not len(inputs):
        raise ValueError(f"inputs: expected (N >= 1, seq), found shape {inputs.shape}")
    tokens = len(inputs), meta.seq_len
    for name, shape, types, size in (
        ("inputs", tokens, ("int32", "uint8"), meta.vocab_size),
        ("labels", tokens, ("int32", "uint8"), meta.vocab_size),
        ("puzzle_ids", tokens[:1], ("int32",), meta.num_puzzle_identifiers),
    ):
        array = getattr(puzzles, name)
        if array.shape != shape or array.dtype.name not in types:
            raise ValueError(
                f"{name}: expected {' or '.join(types)} of shape {shape}, "
                f"found {array.dtype} of shape {array.shape}"
            )
        check_values(name, array, 0, size - 1)
    check_bounds("puzzle_indices", puzzles.puzzle_indices, len(inputs))
    check_bounds("group_indices", puzzles.group_indices, len(puzzles.puzzle_indices) - 1)
    num_groups = len(puzzles.group_indices) - 1
    if num_groups != meta.total_groups:
        raise ValueError(
            f"group_indices: expected {meta.total_groups} groups (total_groups), found {num_groups}"
        )
