"""Maps of a slice of initial states: when runs settle, and what they answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.basins import MOVING
from rrjax.analysis.slices import median_settling
from rrjax.plots.canvas import SOLVED, new_figure, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

GREYS = ("0.97", "0.82", "0.67", "0.52", "0.37")
"""Of the most frequent answers, the first the lightest."""
OTHERS = "0.15"


def settling_map(
    coordinates: np.ndarray, answer_at: np.ndarray, moving: np.ndarray, labels: Sequence[str]
) -> "Figure":
    """Draws the segment from which on the answer stays: dark is late, hatched still moves.

    Args:
      coordinates: (G,) coordinates along both axes.
      answer_at: (G, G) segments, the first axis along the first direction.
      moving: (G, G) where the answer is not settled.
      labels: Labels of the two axes, with their unit.

    Example:
      >>> places = np.linspace(-1, 1, 5)
      >>> answer_at, moving = np.ones((5, 5), int), np.zeros((5, 5), bool)
      >>> figure = rrjax.plots.settling_map(places, answer_at, moving, ["a", "b"])
      >>> figure.axes[0].get_xlabel()
      'a'
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    ax, edges = _new_map(coordinates, labels)
    greys = LinearSegmentedColormap.from_list("late is dark", ["0.97", "0.25"])
    settled = np.ma.masked_array(answer_at, moving)
    if settled.count():
        whole_steps = {"vmin": settled.min() - 0.5, "vmax": settled.max() + 0.5}
        mesh = ax.pcolormesh(edges, edges, settled.T, cmap=greys, **whole_steps)
        whole = MaxNLocator(integer=True, min_n_ticks=1)
        style = {"label": "settled at segment", "shrink": 0.8, "ticks": whole}
        cast(Any, ax.figure).colorbar(mesh, ax=ax, **style)
    _hatch(ax, edges, moving)
    _finish(ax, [])
    median = median_settling(answer_at, moving)
    share = f"{words.percent(moving.mean())} of {moving.size} starts still move"
    half = f"half have settled at segment {median:g}" if not np.isnan(median) else ""
    return titled(ax, "; ".join(filter(None, (share, half))))


def answer_map(
    coordinates: np.ndarray,
    answer_index: np.ndarray,
    solved: np.ndarray | None,
    labels: Sequence[str],
) -> "Figure":
    """Draws what is answered: frequent answers in greys, the solved region outlined.

    Args:
      coordinates: (G,) coordinates along both axes.
      answer_index: (G, G) 0 for the most frequent answer and so on, −1 where it is not settled.
      solved: (G, G) where the last answer is right; None where that is not known.
      labels: Labels of the two axes, with their unit.

    Example:
      >>> places = np.linspace(-1, 1, 5)
      >>> figure = rrjax.plots.answer_map(places, np.eye(5, dtype=int), None, ["a", "b"])
      >>> figure.axes[0].get_xlabel()
      'a'
    """
    from matplotlib.colors import ListedColormap

    ax, edges = _new_map(coordinates, labels)
    moving = answer_index == MOVING
    shown = np.ma.masked_array(np.minimum(answer_index, len(GREYS)), moving)
    colors = ListedColormap((*GREYS, OTHERS))
    ax.pcolormesh(edges, edges, shown.T, cmap=colors, vmin=-0.5, vmax=len(GREYS) + 0.5)
    _hatch(ax, edges, moving)
    if solved is not None and solved.any() and not solved.all():
        _outline(ax, edges, solved)
    _finish(ax, _answer_names(answer_index, solved))
    answers = words.count(len(np.unique(answer_index[~moving])), "distinct answer")
    title = f"{answers} from {moving.size} starts"
    if solved is not None:
        title += f"; {words.percent(solved.mean())} right"
    return titled(ax, title)


def _new_map(coordinates: np.ndarray, labels: Sequence[str]) -> "tuple[Axes, np.ndarray]":
    """Returns new axes, and the borders of the cells around evenly spaced points."""
    ax = new_figure(6.8, 6.2).subplots()
    step = coordinates[1] - coordinates[0]
    edges = np.append(coordinates - step / 2, coordinates[-1] + step / 2)
    ax.set_aspect("equal")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(edges[0], edges[-1])
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    return ax, edges


def _answer_names(answer_index: np.ndarray, solved: np.ndarray | None) -> "list[Patch]":
    """Returns what the greys mean, for the legend."""
    from matplotlib.patches import Patch

    counts = np.bincount(answer_index[answer_index != MOVING])
    names = []
    for place, count in enumerate(counts[: len(GREYS)]):
        is_right = solved is not None and solved[answer_index == place].any()
        label = f"answer {place + 1}{', right' if is_right else ''} (n = {count})"
        names.append(Patch(facecolor=GREYS[place], edgecolor="black", linewidth=0.5, label=label))
    rest = counts[len(GREYS) :]
    if len(rest):
        label = f"{len(rest)} other answers (n = {rest.sum()})"
        names.append(Patch(facecolor=OTHERS, label=label))
    return names


def _hatch(ax: "Axes", edges: np.ndarray, moving: np.ndarray) -> None:
    """Draws one patch of all cells that still move, so that the hatching runs through."""
    if not moving.any():
        return
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * (edges[1] - edges[0])
    cells = [edges[place] + corners for place in np.argwhere(moving)]
    path = Path.make_compound_path(*(Path(cell, closed=True) for cell in cells))
    label = f"still moving (n = {len(cells)})"
    ax.add_patch(
        PathPatch(path, label=label, facecolor="white", edgecolor="black", hatch="//////", lw=0)
    )


def _outline(ax: "Axes", edges: np.ndarray, mask: np.ndarray) -> None:
    """Draws lines between the cells of a mask and their neighbours."""
    from matplotlib.collections import LineCollection

    walls = [
        [(edges[i + 1], edges[j]), (edges[i + 1], edges[j + 1])]
        for i, j in np.argwhere(mask[1:] != mask[:-1])
    ]
    walls += [
        [(edges[i], edges[j + 1]), (edges[i + 1], edges[j + 1])]
        for i, j in np.argwhere(mask[:, 1:] != mask[:, :-1])
    ]
    label = f"edge of the solved region (n = {mask.sum()})"
    ax.add_collection(LineCollection(walls, colors=SOLVED.color, linewidths=1.5, label=label))


def _finish(ax: "Axes", answers: "list[Patch]") -> None:
    """Marks the initial state, and explains all marks below the map."""
    ax.plot(0, 0, "P", color="black", markeredgecolor="white", linestyle="", label="$z_0$")
    handles = [*answers, *ax.get_legend_handles_labels()[0]]
    figure = cast("Figure", ax.figure)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
