"""`rrjax spectrum --attribution`: where the leading vectors lie, by state, token and segment."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import jax
import numpy as np

from rrjax.analysis.attribution import (
    Attribution,
    Cells,
    attribute,
    classify,
    on_cells,
    total_shares,
)
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.participation import participation
from rrjax.frames import Frame
from rrjax.plots import Board, unstable_cells
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.sudoku import BOX_SHAPES, SYMBOLS, size_of
from rrjax.store import Arrays

_PREFIX = "participation_"
_SYMBOLS = np.array(["?", *SYMBOLS])  # of Sudoku's tokens, padding first


def observe(dynamics: Dynamics, before: State, after: State, frame: Frame) -> dict[str, jax.Array]:
    """What a spectrum keeps of every segment: shares (k, tokens) and the answer (seq,)."""
    shares = named_fields(participation(frame))
    named = {f"{_PREFIX}{name}": share.astype("float32") for name, share in shares.items()}
    return named | {
        "answers_by_segment": dynamics.readout(dynamics.context, after).logits.argmax(-1)
    }


def summarize_attribution(results: Arrays, puzzles: PuzzleSet, seed: int) -> Attribution:
    """Where the first vector lies after the last segment, in the runs that stayed finite."""
    last = {name: share[:, -1, 0] for name, share in _shares(results).items()}
    last = {n: np.where(results["finite"][:, None], share, np.nan) for n, share in last.items()}
    cells = _classes(puzzles, slice(None), results["answers_by_segment"][:, -1])
    return attribute(last, cells, seed)


def describe(found: Attribution, puzzle_tokens: int) -> dict[str, Any]:
    """What the record says of the arrays, with the summary."""
    names = [f"{_PREFIX}{state}" for state in found.state_shares]
    return {
        "arrays": names,
        "axes": ["puzzle", "segment", "vector", "token"],
        "meaning": (
            "share of a vector's squared norm in a token of a state, after each segment; the "
            "shares of a vector over all tokens of all states add up to 1"
        ),
        "puzzle_tokens": puzzle_tokens,
        "token_order": f"{puzzle_tokens} puzzle-embedding tokens, then the puzzle's cells",
        "summary": asdict(found),
    }


def draw_board(results: Arrays, puzzles: PuzzleSet, chosen: int | None) -> Any:
    """The figure of the chosen puzzle, or of the first failed and the first solved one.

    Raises:
      ModuleNotFoundError: without matplotlib.
      ValueError: if there is no puzzle to draw, or it is no square board.
    """
    indices = _first_of_each(results) if chosen is None else [chosen]
    if not indices:
        raise ValueError("no run was finite")
    boards = [_board(results, puzzles, index) for index in indices]
    return unstable_cells(boards, list(_shares(results)))


def _first_of_each(results: Arrays) -> list[int]:
    finite, solved = results["finite"], results["solved"]
    groups = (np.flatnonzero(finite & ~solved), np.flatnonzero(finite & solved))
    return [int(group[0]) for group in groups if len(group)]


def _board(results: Arrays, puzzles: PuzzleSet, index: int) -> Board:
    answers = results["answers_by_segment"][index]
    cells = _classes(puzzles, index, answers)
    shares = total_shares({n: share[index, :, 0] for n, share in _shares(results).items()})
    outcome = "solved" if results["solved"][index] else "failed"
    box = _box(answers.shape[1], puzzles.metadata.vocab_size)
    printed = (cells.given | cells.wrong) & (box is not None)
    return Board(
        name=f"Puzzle {index} ({outcome})",
        lambda1=float(results["exponents"][index, 0]),
        shares=on_cells(shares, answers.shape[1]),
        wrong=cells.wrong,
        is_open=cells.open,
        symbols=np.where(printed, _SYMBOLS[np.minimum(answers, len(SYMBOLS))], ""),
        box=box,
    )


def _box(num_cells: int, vocab_size: int) -> tuple[int, int] | None:
    """Rows and columns of a Sudoku's boxes; None for other puzzles."""
    size = size_of(num_cells, vocab_size)
    return None if size is None else BOX_SHAPES[size]


def _classes(puzzles: PuzzleSet, index: Any, answers: np.ndarray) -> Cells:
    ignored = puzzles.metadata.ignore_label_id
    return classify(puzzles.inputs[index], puzzles.labels[index], answers, ignored)


def _shares(results: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n.removeprefix(_PREFIX): a for n, a in results.items() if n.startswith(_PREFIX)}
