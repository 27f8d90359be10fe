"""Symmetric copies of Sudokus and mazes, whose answers can be mapped back and voted on."""

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np

from rrjax.checks import MOST_RUNS, check_count, check_memory
from rrjax.puzzles import sudoku_symmetry
from rrjax.puzzles.dataset import PuzzleSet, set_of_groups
from rrjax.puzzles.dihedral import NUM_SYMMETRIES, invert, transform
from rrjax.puzzles.maze import maze_size
from rrjax.puzzles.sudoku import size_of
from rrjax.puzzles.sudoku_symmetry import Symmetries


@dataclass(frozen=True)
class SymmetricCopies:
    """Puzzles, each followed by its symmetric copies.

    Attributes:
        puzzles: N * K puzzles without labels; those of one puzzle follow each other, and the puzzle
            itself comes first.
        number: K.
        moves: The moves of all copies of Sudokus; None for mazes, whose copy k is moved by
            symmetry k of the square.
    """

    puzzles: PuzzleSet
    number: int
    moves: Symmetries | None

    def map_back(self, answers: np.ndarray) -> np.ndarray:
        """Returns answers (N * K, ..., seq) to the copies as answers to the puzzles themselves."""
        flat = answers.reshape(-1, answers.shape[-1])
        copy = np.arange(len(flat)) * len(answers) // len(flat)
        if self.moves is not None:
            moves = Symmetries(*(part[copy] for part in sudoku_symmetry.inverse(self.moves)))
            return sudoku_symmetry.apply_to_tokens(moves, flat).reshape(answers.shape)
        grids = flat.reshape(len(flat), isqrt(flat.shape[1]), -1)
        symmetries = copy % self.number
        back = [invert(grid, k) for grid, k in zip(grids, symmetries.tolist(), strict=True)]
        return np.stack(back).reshape(answers.shape)

    def map_probabilities_back(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns probabilities (N * K, ..., seq, vocab) of tokens, as those of the puzzles.

        They are moved as answers are: cell by cell and token by token.
        """
        restored = np.empty_like(probabilities)
        for copy, of_copy in enumerate(probabilities):
            if self.moves is None:
                grid = isqrt(of_copy.shape[-2])
                tokens_first = np.moveaxis(of_copy, -1, 0)
                grids = tokens_first.reshape(*tokens_first.shape[:-1], grid, -1)
                back = invert(grids, copy % self.number).reshape(tokens_first.shape)
                restored[copy] = np.moveaxis(back, 0, -1)
            else:
                cells = self.moves.cells[copy].argsort()
                tokens = np.pad(self.moves.digits[copy] + 1, (1, 0))
                restored[copy] = of_copy[..., cells, :][..., tokens]
        return restored


def symmetric_copies(puzzles: PuzzleSet, number: int, seed: int = 0) -> SymmetricCopies:
    """Returns every puzzle of a set with copies of it.

    Args:
        puzzles: N Sudokus or mazes.
        number: K, the number of copies, the puzzle itself among them. A maze has 8. Those of Sudoku
            are drawn from all that relabelling digits, moving bands, rows, stacks and columns, and
            transposing give.
        seed: The copies of puzzle i depend on (seed, i) alone.

    Raises:
        ValueError: Puzzles of another kind, or more copies than there are.
    """
    check_count("symmetries", number, least=1, most=MOST_RUNS)
    meta, inputs = puzzles.metadata, puzzles.inputs.astype(np.int32)
    check_memory(
        f"symmetries: {number:,} copies of {len(inputs):,} puzzles",
        24 * number * inputs.size,
        "ask for fewer copies or puzzles",
    )
    size = size_of(meta.seq_len, meta.vocab_size)
    if size is not None:
        moves = _moves(size, len(inputs), number, seed)
        copies = sudoku_symmetry.apply_to_tokens(moves, np.repeat(inputs, number, axis=0))
    elif maze_size(meta.seq_len, meta.vocab_size) is not None:
        check_count("symmetries", number, least=1, most=NUM_SYMMETRIES)
        moves = None
        grids = inputs.reshape(len(inputs), isqrt(inputs.shape[1]), -1)
        images = [transform(grids, symmetry) for symmetry in range(number)]
        copies = np.stack(images, axis=1).reshape(-1, inputs.shape[1])
    else:
        raise ValueError(
            f"symmetries: expected Sudokus or mazes, whose symmetries are known, found puzzles of "
            f"{meta.seq_len} tokens and {meta.vocab_size} token values"
        )
    unlabelled = np.zeros_like(copies)
    made = set_of_groups(copies, unlabelled, number, meta.vocab_size, puzzles.source)
    made = replace(
        made,
        puzzle_ids=np.repeat(puzzles.puzzle_ids, number),
        metadata=replace(made.metadata, num_puzzle_identifiers=meta.num_puzzle_identifiers),
    )
    return SymmetricCopies(made, number, moves)


def _moves(size: int, num_puzzles: int, number: int, seed: int) -> Symmetries:
    """Returns the moves of all copies; the first of each puzzle leaves it as it is."""
    cells, digits = [], []
    for index in range(num_puzzles):
        rng = np.random.default_rng((seed, index))
        moves = sudoku_symmetry.random_symmetries(rng, size, number)
        moves.cells[0], moves.digits[0] = np.arange(size * size), np.arange(size + 1)
        cells.append(moves.cells)
        digits.append(moves.digits)
    return Symmetries(np.concatenate(cells), np.concatenate(digits))
