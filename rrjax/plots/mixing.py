"""Weights between tokens: their correlations with the graph of peers, and the matrices."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.mixing import MixingSummary
from rrjax.plots.canvas import FAILED, SOLVED, Look, legend_below, new_axes, new_figure, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RUNS = {
    "trained": SOLVED._replace(name="trained"),
    "untrained": FAILED._replace(name="untrained"),
}


def correlations_by_matrix(summary: MixingSummary) -> "Figure":
    """Draws r of every matrix with the graph of all peers, with what permuted labels give.

    Args:
      summary: Numbers of the weights between tokens.
    """
    ax = new_axes()
    rows = [each for each in summary.agreements if each.run == "trained"]
    names = [f"{each.matrix}, {each.stage}" for each in rows]
    for run, shift in (("trained", -0.15), ("untrained", 0.15)):
        own = [each.correlation["all"] for each in summary.agreements if each.run == run]
        if own:
            _draw(ax, np.arange(len(own)) + shift, own, _RUNS[run])
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(names)), names, fontsize="small")
    ax.invert_yaxis()
    ax.set_xlabel("r of |weight| with the graph of peers")
    legend_below(ax, f"lines: 95 % of {summary.num_permutations} permutations of the cells")
    own = [each for each in rows if each.matrix == "strength"]
    r = [each.correlation["all"].value for each in own]
    title = f"Strengths follow the graph by r = {words.value_range(min(r), max(r), '.2f')}"
    return titled(ax, title)


def _draw(ax: Any, y: np.ndarray, correlations: list, look: Look) -> None:
    value, low, high = np.array([each.ends for each in correlations]).T
    ax.hlines(y, low, high, color=look.color, linestyle=look.line, lw=3, alpha=0.5)
    fill = "white" if look.hatch else look.color
    ax.plot(value, y, look.marker, color=look.color, markerfacecolor=fill, label=look.name)


def matrices(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws the strengths of every sub-layer, trained above untrained, on a logarithmic scale.

    Args:
      arrays: Arrays of `rrjax.experiments.mixing`.
      record: Its record.
    """
    from matplotlib.colors import LogNorm

    strengths = np.abs(arrays["weights"][:, record["matrices"].index("strength")])
    rows, columns = strengths.shape[:2]
    figure = new_figure(2.4 * columns + 1, 2.6 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    positive = strengths[strengths > 0]
    norm = LogNorm(*np.quantile(positive, [0.01, 1]).tolist())
    image = None
    for row, column in np.ndindex(rows, columns):
        ax = cast(Any, grid[row, column])
        shown = np.maximum(strengths[row, column], positive.min())
        image = ax.imshow(shown, cmap="Greys", norm=norm)
        ax.set_title(f"{record['runs'][row]}, {record['stages'][column]}", fontsize="small")
        ax.set_xlabel("from cell", fontsize="small")
        ax.set_ylabel("to cell", fontsize="small")
    figure.colorbar(cast(Any, image), ax=grid, shrink=0.9, label="strength (root mean square gain)")
    return figure
