"""On which states and cells the leading tangent vector lies."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.intervals import Interval, median_interval


@dataclass(frozen=True)
class Cells:
    """What is known of every cell; cells without a known answer are in no class.

    Attributes:
      given: (..., cells) whether the input is the label.
      open: (..., cells) whether it is not, so that the answer has to be found.
      wrong: (..., cells) whether the answer is not the label, of given cells too.
    """

    given: np.ndarray
    open: np.ndarray
    wrong: np.ndarray


def classify(inputs: np.ndarray, labels: np.ndarray, answers: np.ndarray, ignored: int) -> Cells:
    """Returns the classes of cells by their tokens, (..., cells); `ignored` labels are in none."""
    known = labels != ignored
    return Cells(
        known & (inputs == labels), known & (inputs != labels), known & (answers != labels)
    )


@dataclass(frozen=True)
class Attribution:
    """Where the leading vector lies, as medians over puzzles (NaN without any).

    Wrong cells are compared with right ones that had to be found, not with all right ones: givens
    carry little, so that against them any cell to be found would stand out.

    Attributes:
      num_puzzles: Puzzles with a finite vector.
      num_tokens: Tokens of a state.
      state_shares: Share of the squared norm in each state.
      effective_tokens: 1/Σp² over the tokens, states summed: 1 for a single one, `num_tokens`
        for an even spread.
      open_share: Share of the part on the board that lies on cells whose answer had to be found.
      open_fraction: Fraction of the board that these cells are.
      num_failed: Puzzles that have wrong cells and right ones that had to be found. The numbers
        below compare these two kinds of cells.
      wrong_share: Share of what lies on both that lies on the wrong ones.
      wrong_fraction: Fraction of both that the wrong ones are.
      wrong_to_right: Share per wrong cell over share per right one.
    """

    num_puzzles: int
    num_tokens: int
    state_shares: dict[str, float]
    effective_tokens: float
    open_share: float
    open_fraction: float
    num_failed: int
    wrong_share: float
    wrong_fraction: float
    wrong_to_right: Interval


def attribute(shares: Mapping[str, np.ndarray], cells: Cells) -> Attribution:
    """Returns medians over puzzles of where vectors lie.

    The shares (N, tokens) of each state are those of one vector's squared norm; all add up to 1.
    The last tokens are the cells, whose classes (N, cells) are `cells`. Puzzles with a share that
    is not finite are left out.
    """
    total = total_shares(shares)
    finite = np.isfinite(total).all(axis=1)
    total, is_open, wrong = total[finite], cells.open[finite], cells.wrong[finite]
    board = on_cells(total, wrong.shape[1])
    right = is_open & ~wrong
    both = wrong.any(axis=1) & right.any(axis=1)
    on_wrong, on_right = _sum(board, wrong)[both], _sum(board, right)[both]
    num_wrong, num_right = wrong.sum(axis=1)[both], right.sum(axis=1)[both]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (on_wrong / num_wrong) / (on_right / num_right)
        wrong_share = on_wrong / (on_wrong + on_right)
        open_share = _sum(board, is_open) / board.sum(axis=1)
    return Attribution(
        num_puzzles=int(finite.sum()),
        num_tokens=total.shape[1],
        state_shares={k: _median(v[finite].sum(axis=1)) for k, v in shares.items()},
        effective_tokens=_median(1 / np.square(total).sum(axis=1)),
        open_share=_median(open_share),
        open_fraction=_median(is_open.mean(axis=1)),
        num_failed=int(both.sum()),
        wrong_share=_median(wrong_share),
        wrong_fraction=_median(num_wrong / (num_wrong + num_right)),
        wrong_to_right=median_interval(ratio[~np.isnan(ratio)]).map(float),
    )


def total_shares(shares: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the shares (..., tokens) summed over the states, in double precision."""
    return np.sum([np.asarray(share, np.float64) for share in shares.values()], axis=0)


def on_cells(shares: np.ndarray, num_cells: int) -> np.ndarray:
    """Returns the part (..., cells) of shares (..., tokens); puzzle-embedding tokens come first."""
    return shares[..., shares.shape[-1] - num_cells :]


def _sum(board: np.ndarray, member: np.ndarray) -> np.ndarray:
    return np.where(member, board, 0).sum(axis=1)


def _median(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else float("nan")
