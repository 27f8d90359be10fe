"""Mixtures of easy and hard Sudokus, in which puzzle i is of a kind that depends on i alone."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.sudoku import Puzzles
from rrjax.puzzles.sudoku_generate import Kind, check_kind, generate_at

MIXES = {
    "hard": "minimal=12 clues:24-40=6 guesses:10=8 guesses:30=3 guesses:100=1",
    "graded": "minimal=1 guesses:10=1 guesses:30=1 guesses:100=1",
}
"""Mixtures by name: one to train on, and that of the hard test set."""

MOST_SHARES = 1000
"""The largest sum of shares."""

_ENTRY = re.compile(r"(?:minimal|clues:(\d{1,3})-(\d{1,3})|guesses:(\d{1,4}))=(\d{1,4})")


class SudokuRequest(NamedTuple):
    """Which puzzles are wanted.

    Attributes:
        size: n.
        seed: Puzzle i depends on it, on i and on the kinds and shares alone.
        kinds: The kinds of puzzles.
        shares: How many of each kind come in a round of puzzles, well mixed.
    """

    size: int
    seed: int
    kinds: tuple[Kind, ...] = (Kind(),)
    shares: tuple[int, ...] = (1,)


def parse_mix(words: Sequence[str]) -> tuple[tuple[Kind, ...], tuple[int, ...]]:
    """Returns the kinds and shares of a mixture.

    Args:
        words: The name of one of `MIXES`, or `KIND=SHARE` for each kind: `minimal`, `clues:24-40`,
            or `guesses:30` for at least as many.

    Raises:
        ValueError: A word that is neither, no share at all, or too large ones.
    """
    if len(words) == 1 and words[0] in MIXES:
        words = MIXES[words[0]].split()
    kinds, shares = [], []
    for word in words:
        match = _ENTRY.fullmatch(word)
        if match is None:
            raise ValueError(
                f"mix: expected {' or '.join(MIXES)}, or entries such as minimal=2, clues:24-40=1 "
                f"and guesses:30=1, found {word!r}"
            )
        fewest, most, guesses, share = match.groups()
        clues = (int(fewest), int(most)) if fewest else None
        kinds.append(Kind(clues, int(guesses or 0)))
        shares.append(int(share))
    if not 0 < sum(shares) <= MOST_SHARES:
        raise ValueError(f"mix: expected shares that add up to 1..{MOST_SHARES}, found {shares}")
    return tuple(kinds), tuple(shares)


def check_request(request: SudokuRequest) -> None:
    """Refuses a request with a kind that no board of the size can be."""
    for kind in request.kinds:
        check_kind(request.size, kind)


def generate_mixed(request: SudokuRequest, indices: np.ndarray) -> Puzzles:
    """Returns the puzzles of some indices."""

    def make(kind: Kind, own: np.ndarray) -> Puzzles:
        return generate_at(own.tolist(), request.size, request.seed, kind)

    return by_kinds(request, indices, make)


def by_kinds(
    request: SudokuRequest, indices: np.ndarray, make: Callable[[Kind, np.ndarray], Puzzles]
) -> Puzzles:
    """Returns the puzzles of some indices, of which `make` is given those of each kind together."""
    kinds = kinds_of(request, indices)
    both = np.zeros((2, len(indices), request.size**2), np.int32)
    for number, kind in enumerate(request.kinds):
        own = kinds == number
        if own.any():
            both[:, own] = make(kind, indices[own])
    return Puzzles(*both)


def kinds_of(request: SudokuRequest, indices: np.ndarray) -> np.ndarray:
    """Returns the place of each puzzle's kind in `request.kinds`, for puzzles of some indices."""
    round_ = turns(request.shares)
    return round_[indices % len(round_)]


def word_of(kind: Kind) -> str:
    """Returns the word that asks for a kind in a mixture, such as `guesses:30`."""
    if kind.clues:
        return "clues:{}-{}".format(*kind.clues)
    return f"guesses:{kind.min_guesses}" if kind.min_guesses else "minimal"


def turns(shares: Sequence[int]) -> np.ndarray:
    """Returns the kinds of one round: any beginning of it has nearly these shares."""
    counts, total = np.zeros(len(shares), int), sum(shares)
    order = []
    for turn in range(1, total + 1):
        order.append(int(np.argmax(np.array(shares) * turn - counts * total)))
        counts[order[-1]] += 1
    return np.array(order)
