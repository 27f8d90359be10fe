"""Where the leading vectors of a spectrum lie, by state, token and segment."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array

from rrjax.analysis import attribution
from rrjax.contract import named_fields
from rrjax.dynamics.participation import participation
from rrjax.frames import Frame
from rrjax.plots.board import Board
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.puzzles.sudoku import BOX_SHAPES, SYMBOLS, size_of
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results

_PREFIX = "participation_"
_SYMBOLS = np.array(["?", *SYMBOLS])  # of Sudoku's tokens, padding first

ARRAYS = {
    _PREFIX: ArraySpec(
        ("puzzle", "segment", "exponent", "token"),
        "share of a vector's squared norm; the shares of all tokens of all states add up to 1",
    ),
}


def shares_of(frame: Frame) -> dict[str, Array]:
    """Returns by array name the shares (k, tokens) of a frame's vectors in each state."""
    shares = named_fields(participation(frame))
    return {f"{_PREFIX}{name}": share.astype("float32") for name, share in shares.items()}


def summarize_attribution(results: Results) -> attribution.Attribution:
    """Returns where the first vector lies after the last segment, in finite runs."""
    last = {name: share[:, -1, 0] for name, share in _shares(results).items()}
    finite = results["finite"][:, None]
    last = {name: np.where(finite, share, np.nan) for name, share in last.items()}
    cells = _classes(results, slice(None), results["answers_by_segment"][:, -1])
    return attribution.attribute(last, cells)


def choose_boards(results: Results, board: int | None) -> list[Board]:
    """Returns the board of a puzzle, or those of the first failed and the first solved puzzle.

    Args:
      results: A spectrum with attribution.
      board: The puzzle, counted from 0. None chooses, and gives no board where there is no finite
        run or the puzzles are no squares.
    """
    num_cells = results["answers"].shape[1]
    if board is not None:
        return [_board(results, board)]
    if math.isqrt(num_cells) ** 2 != num_cells:
        return []
    groups = (~results["solved"], results["solved"])
    candidates = [np.flatnonzero(results["finite"] & group) for group in groups]
    return [_board(results, int(group[0])) for group in candidates if len(group)]


def state_names(results: Results) -> list[str]:
    """Returns the names of the states that the shares are summed over."""
    return list(_shares(results))


def _board(results: Results, index: int) -> Board:
    answers = results["answers_by_segment"][index]
    cells = _classes(results, index, answers)
    first = {name: share[index, :, 0] for name, share in _shares(results).items()}
    outcome = "solved" if results["solved"][index] else "failed"
    size = size_of(answers.shape[1], results.record["puzzles"].get("vocab_size", 0))
    printed = (cells.given | cells.wrong) & (size is not None)
    return Board(
        name=f"Puzzle {index} ({outcome})",
        lambda1=float(results["exponents"][index, 0]),
        shares=attribution.on_cells(attribution.total_shares(first), answers.shape[1]),
        wrong=cells.wrong,
        is_open=cells.open,
        symbols=np.where(printed, _SYMBOLS[np.minimum(answers, len(SYMBOLS))], ""),
        box=None if size is None else BOX_SHAPES[size],
    )


def _classes(results: Results, index: Any, answers: np.ndarray) -> attribution.Cells:
    inputs, labels = results["inputs"][index], results["labels"][index]
    return attribution.classify(inputs, labels, answers, IGNORE_LABEL)


def _shares(results: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(_PREFIX): array
        for name, array in results.items()
        if name.startswith(_PREFIX)
    }
