"""Solved against failed: the exponents of finished spectra, drawn by outcome."""

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import SMALL_GROUP
from rrjax.analysis.separation import bootstrap_auc
from rrjax.plots.canvas import (
    FAILED,
    SOLVED,
    UNIT,
    Look,
    area_style,
    draw_intervals,
    legend_entry,
    new_axes,
)

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


def lambda1_histogram(
    exponents: ArrayLike,
    solved: ArrayLike,
    ax: "matplotlib.axes.Axes | None" = None,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Draws histograms of λ₁ for solved and for failed puzzles, each adding up to 1.

    Args:
      exponents: (N, k), largest first, in nats per update. Puzzles without a finite λ₁ are
        left out, and counted in the figure; so are indices from the first on at which a puzzle has
        none.
      solved: (N,) booleans.
      ax: where to draw; None: a new figure.
      title: None: what the numbers say, with the AUC of −λ₁ and its 95 % interval.

    Returns:
      The figure; an empty group is named in the title and the legend.

    Raises:
      ValueError: for shapes that do not fit each other.
    """
    groups = _split(exponents, solved)
    ax = new_axes() if ax is None else ax
    lambda1 = groups.exponents[:, 0]
    edges = np.histogram_bin_edges(lambda1, bins=int(np.clip(np.sqrt(len(lambda1)), 8, 32)))
    for look, member in ((SOLVED, groups.solved), (FAILED, ~groups.solved)):
        _draw_histogram(ax, lambda1[member], edges, look)
    _mark_chaos(ax)
    # Room for the legend above the tallest bar.
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])
    ax.set_xlabel(f"leading Lyapunov exponent λ₁ ({UNIT})")
    ax.set_ylabel("share of the group's puzzles")
    return _finish(ax, groups, title or _histogram_message(groups))


def spectrum_by_outcome(
    exponents: ArrayLike,
    solved: ArrayLike,
    ax: "matplotlib.axes.Axes | None" = None,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Draws median and interquartile range of every λᵢ, for solved and for failed puzzles.

    Args:
      exponents: (N, k), largest first, in nats per update. Puzzles without a finite λ₁ are
        left out, and counted in the figure; so are indices from the first on at which a puzzle has
        none.
      solved: (N,) booleans.
      ax: where to draw; None: a new figure.
      title: None: what the numbers say, with the AUC of −λᵢ.

    Returns:
      The figure; an empty group is named in the title and the legend.

    Raises:
      ValueError: for shapes that do not fit each other.
    """
    groups = _split(exponents, solved)
    ax = new_axes() if ax is None else ax
    ax.axhline(0, color="black", linewidth=0.8)
    # Side by side, or the bars of the two groups would hide each other.
    _draw_quartiles(ax, groups.exponents[groups.solved], -0.08, SOLVED)
    _draw_quartiles(ax, groups.exponents[~groups.solved], 0.08, FAILED)
    ax.set_xticks(np.arange(1, groups.exponents.shape[1] + 1))
    ax.set_xlim(0.5, groups.exponents.shape[1] + 0.5)
    ax.set_xlabel("index i of the exponent")
    ax.set_ylabel(f"Lyapunov exponent λᵢ ({UNIT})\nmedian and middle half of the puzzles")
    return _finish(ax, groups, title or _spectrum_message(groups))


class _Groups(NamedTuple):
    """Runs with a λ₁, and their exponents up to the first that is no number in any of them.

    Attributes:
      exponents: (n, j).
      solved: (n,).
      left_out: in words, what is not drawn; empty for nothing.
    """

    exponents: np.ndarray
    solved: np.ndarray
    left_out: str

    @property
    def smaller(self) -> int:
        """The size of the smaller group."""
        return int(min(self.solved.sum(), np.sum(~self.solved)))


def _split(exponents: ArrayLike, solved: ArrayLike) -> _Groups:
    exponents = as_array("exponents", exponents, ("N", "k"))
    solved = as_array("solved", solved, exponents.shape[:1], bool)
    known = np.isfinite(exponents[:, 0])
    exponents, missing = exponents[known], int(np.sum(~known))
    resolved = int(np.logical_and.accumulate(np.isfinite(exponents).all(axis=0)).sum())
    notes = [f"{missing} not finite, left out"] if missing else []
    if resolved < exponents.shape[1]:
        notes.append(f"from λ{resolved + 1} on some are below the round-off floor, not drawn")
    return _Groups(exponents[:, :resolved], solved[known], "\n".join(notes))


def _draw_histogram(
    ax: "matplotlib.axes.Axes", lambda1: np.ndarray, edges: np.ndarray, look: Look
) -> None:
    ax.hist(
        lambda1,
        edges.tolist(),
        weights=np.full(len(lambda1), 1 / max(1, len(lambda1))),
        **area_style(look),
        label=legend_entry(look, len(lambda1)),
    )


def _mark_chaos(ax: "matplotlib.axes.Axes") -> None:
    low, high = ax.get_xlim()
    if low < 0 < high:
        ax.axvline(0, color="black", linewidth=1.2, label="chaotic to the right of this line")


def _draw_quartiles(
    ax: "matplotlib.axes.Axes", exponents: np.ndarray, shift: float, look: Look
) -> None:
    index = np.arange(1, exponents.shape[1] + 1) + shift
    label = legend_entry(look, len(exponents))
    if len(exponents) == 0:
        exponents = np.full((1, exponents.shape[1]), np.nan)
    ends = np.quantile(exponents, (0.5, 0.25, 0.75), axis=0)
    draw_intervals(ax, index, ends, look._replace(name=label))


def _finish(ax: "matplotlib.axes.Axes", groups: _Groups, title: str) -> "matplotlib.figure.Figure":
    ax.legend(frameon=False, title=groups.left_out or None)
    ax.set_title(title, loc="left", fontsize="medium")
    # Of a sub-figure, too, the whole figure.
    return cast("matplotlib.figure.Figure", ax.figure.figure)


def _histogram_message(groups: _Groups) -> str:
    if message := _one_group_message(groups):
        return message
    lambda1 = groups.exponents[:, 0]
    auc = bootstrap_auc(-lambda1, groups.solved, seed=0)
    if groups.smaller < SMALL_GROUP:
        finding = "Too few puzzles in a group to conclude"
    elif auc.low > 0.5:
        chaotic = np.median(lambda1[~groups.solved]) > 0
        finding = f"Failed puzzles are the {'more chaotic' if chaotic else 'less stable'} ones"
    elif auc.high < 0.5:
        finding = "Failed puzzles have the smaller λ₁"
    else:
        finding = "λ₁ does not tell failed puzzles from solved ones"
    return f"{finding}\nAUC of −λ₁ for solved: {words.interval_in_words(auc)}"


def _spectrum_message(groups: _Groups) -> str:
    if message := _one_group_message(groups):
        return message
    auc = bootstrap_auc(-groups.exponents, groups.solved, seed=0)
    k, larger = groups.exponents.shape[1], int(np.sum(auc.low > 0.5))
    finding = f"Failed puzzles have the larger exponent at {larger} of {k} indices"
    if groups.smaller < SMALL_GROUP:
        finding = "Too few puzzles in a group to conclude"
    best = int(np.argmax(auc.value))
    return f"{finding}\nLargest AUC of −λᵢ for solved: {auc.value[best]:.3f} at i = {best + 1}"


def _one_group_message(groups: _Groups) -> str:
    """Returns what to say where all puzzles have one outcome, or there are none; else nothing."""
    if groups.smaller:
        return ""
    return f"{groups.solved.sum()} of {len(groups.solved)} puzzles solved: nothing to compare"
