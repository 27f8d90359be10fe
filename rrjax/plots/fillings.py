"""The map of accuracy by blank cells and segments."""

from typing import TYPE_CHECKING, cast

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.fillings import BlankSummary
from rrjax.plots.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def accuracy_by_blanks(summary: BlankSummary) -> "Figure":
    """Draws the share of the blank cells that are right, and of the puzzles that are solved.

    Args:
      summary: Numbers of `rrjax.experiments.blanks`.
    """
    figure = new_figure(8.4, 4.2)
    segments = summary.levels[0].segments
    rows = [
        words.value_range(float(level.num_blank[0]), float(level.num_blank[1]))
        for level in summary.levels
    ]
    titles = ("blank cells that are right", "puzzles that are solved")
    for ax, name, title in zip(
        figure.subplots(1, 2), ("cells_right", "solved"), titles, strict=True
    ):
        values = np.array([[i.value for i in getattr(level, name)] for level in summary.levels])
        ax.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            color = "black" if value > 0.6 else "white"
            ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color)
        ax.set_xticks(range(len(segments)), [str(segment) for segment in segments])
        ax.set_yticks(range(len(rows)), rows)
        ax.set_xlabel("segments")
        ax.set_title(f"{title}, %", loc="left", fontsize="medium")
    figure.axes[0].set_ylabel("blank cells")
    number = words.count(summary.num_puzzles, "puzzle")
    figure.suptitle(
        f"Blanks and depth: {number}, one solution each", x=0.01, ha="left", fontsize="medium"
    )
    return cast("Figure", figure)
