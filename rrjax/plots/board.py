"""The unstable cells of a puzzle on its board, segment by segment."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rrjax.analysis import format as words
from rrjax.plots.canvas import UNIT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

COLUMNS = 5


class Board(NamedTuple):
    """One puzzle and where its leading tangent vector lies after every segment.

    Attributes:
      name: What to call it.
      lambda1: Its leading exponent, in nats per update.
      shares: (segments, cells) of the vector's squared norm. The rest of 1 is off the board.
      wrong: (segments, cells) whether the answer after that segment is wrong.
      is_open: (cells,) whether the answer had to be found.
      symbols: (segments, cells) short texts to print: clues and wrong answers; else empty.
      box: Rows and columns of the boxes that thicker lines part, or None.
    """

    name: str
    lambda1: float
    shares: np.ndarray
    wrong: np.ndarray
    is_open: np.ndarray
    symbols: np.ndarray
    box: tuple[int, int] | None


def unstable_cells(
    boards: Sequence[Board], states: Sequence[str], title: str | None = None
) -> "Figure":
    """Draws boards shaded by the leading vector's share per cell, a row for each puzzle.

    Wrong cells are framed, and their symbols thin; the other symbols, which are givens, bold. All
    panels have the same scale, whose steps follow the square root of the share: cells differ by
    orders of magnitude.

    Args:
      boards: Boards of the same number of segments. At most five segments are drawn, spread
        evenly in ratio from the first to the last.
      states: Names of the states that the shares are summed over.
      title: None: what the numbers of the first board say.

    Raises:
      ValueError: There is no board, the cells fill no square, the boards differ in their segments,
        or a share is not finite.

    Example:
      >>> shares, wrong = np.full((2, 16), 1 / 16), np.zeros((2, 16), bool)
      >>> board = rrjax.plots.Board(
      ...     "puzzle 0", 0.1, shares, wrong, ~wrong[0], np.full((2, 16), "1"), box=(2, 2)
      ... )
      >>> figure = rrjax.plots.unstable_cells([board], ["z_H"])
      >>> len(figure.axes)
      3
    """
    _check(boards)
    columns = shown_segments(len(boards[0].shares))
    # at least as wide as the line below the boards
    figure = new_figure(max(5.0, 1.9 * len(columns) + 1.6), 2.2 * len(boards) + 0.9)
    grid = figure.subplots(len(boards), len(columns), squeeze=False)
    top = max(float(board.shares[columns].max()) for board in boards)
    images = [
        _draw(ax, board, segment, top)
        for board, row in zip(boards, grid, strict=True)
        for ax, segment in zip(row, columns, strict=True)
    ]
    for ax, segment in zip(grid[0], columns, strict=True):
        ax.set_title(f"segment {segment + 1}", fontsize="medium")
    for board, row in zip(boards, grid, strict=True):
        row[0].set_ylabel(f"{board.name}\nλ₁ = {board.lambda1:.3f} {UNIT}", fontsize="small")
    bar = figure.colorbar(images[0], ax=grid, shrink=0.9, aspect=30, pad=0.01)
    summed = " + ".join(states) if len(states) < 3 else f"{len(states)} states summed"
    bar.set_label(f"share of the leading vector's\nsquared norm ({summed})")
    figure.suptitle(title or _message(boards[0]), x=0.01, ha="left", fontsize="medium")
    key = "bold: clue.  framed: wrong answer.  empty: right answer."
    figure.supxlabel(key, x=0.01, ha="left", fontsize="small")
    return figure


def shown_segments(num_segments: int) -> list[int]:
    """Returns the segments that are drawn, from 0: the 1st, 2nd, 4th, 8th and 16th of sixteen."""
    spread = np.geomspace(1, num_segments, COLUMNS)
    return sorted({round(segment) - 1 for segment in spread.tolist()})


def _check(boards: Sequence[Board]) -> None:
    if not boards:
        raise ValueError("boards must hold at least one board, got none")
    for board in boards:
        cells = board.shares.shape[-1]
        if math.isqrt(cells) ** 2 != cells:
            raise ValueError(f"a board needs a square number of cells; {board.name} has {cells}")
        if len(board.shares) != len(boards[0].shares):
            raise ValueError("boards must have the same number of segments")
        if not np.isfinite(board.shares).all():
            raise ValueError(f"shares must be finite; those of {board.name} are not")


def _draw(ax: "Axes", board: Board, segment: int, top: float) -> "AxesImage":
    from matplotlib.colors import PowerNorm

    shares, wrong = board.shares[segment], board.wrong[segment]
    size = math.isqrt(len(shares))
    image = ax.imshow(shares.reshape(size, size), cmap="YlOrBr", norm=PowerNorm(0.5, 0, top))
    ax.set_xticks([])
    ax.set_yticks([])
    height, width = board.box or (size, size)
    for place in range(1, size):
        ends = (place - 0.5, -0.5, size - 0.5)
        ax.hlines(*ends, color="black", lw=0.2 if place % height else 1.2)
        ax.vlines(*ends, color="black", lw=0.2 if place % width else 1.2)
    for cell in np.flatnonzero(wrong | (board.symbols[segment] != "")).tolist():
        # white where the colour is too dark for black
        ink = "white" if shares[cell] > 0.75**2 * top else "black"
        _write(ax, divmod(cell, size), str(board.symbols[segment, cell]), ink, bool(wrong[cell]))
    ax.set_xlabel(_count(wrong, shares), fontsize="small")
    return image


def _write(ax: "Axes", place: tuple[int, int], symbol: str, ink: str, wrong: bool) -> None:
    from matplotlib.patches import Rectangle

    row, column = place
    if wrong:
        corner = (column - 0.4, row - 0.4)
        ax.add_patch(Rectangle(corner, 0.8, 0.8, fill=False, edgecolor=ink, linewidth=1.0))
    weight = "normal" if wrong else "bold"
    text = ax.text(column, row, symbol, color=ink, fontsize="x-small", fontweight=weight)
    text.set(ha="center", va="center_baseline")


def _count(wrong: np.ndarray, shares: np.ndarray) -> str:
    label, number = "no wrong cell", int(wrong.sum())
    if number:
        share = words.percent(float(shares[wrong].sum()), 0)
        label = f"{number} cell{'s' * (number > 1)} wrong, {share} of norm²"
    off_board = 1 - float(shares.sum())
    return label if off_board < 0.005 else f"{label}\noff the board: {words.percent(off_board, 0)}"


def _message(board: Board) -> str:
    shares, wrong = board.shares[-1], board.wrong[-1]
    right = board.is_open & ~wrong
    when = f"{board.name}, segment {len(board.shares)}"
    if wrong.any() and right.any() and shares[right].any():
        ratio = shares[wrong].mean() / shares[right].mean()
        return (
            f"{when}: a wrong cell carries {ratio:.2g} times\n"
            "the share of a right cell that had to be found"
        )
    carried = words.percent(float(shares[board.is_open].sum() / shares.sum()), 0)
    fraction = words.percent(float(board.is_open.mean()), 0)
    return (
        f"{when}: the cells that had to be found,\n"
        f"{fraction} of the board, carry {carried} of what lies on it"
    )
