"""Solved against failed: the exponents of finished spectra, drawn by outcome."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis import format as words
from rrjax.analysis.arrays import as_array, largest_first
from rrjax.analysis.intervals import Interval
from rrjax.analysis.separation import auc_interval
from rrjax.plots.canvas import (
    FAILED,
    SOLVED,
    UNIT,
    draw_histograms,
    draw_intervals,
    legend_below,
    legend_entry,
    new_axes,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_FEWEST = 5
"""Quartiles of fewer puzzles are interpolated between single ones: they are no band."""

_MOST_LABELS = 16
"""Labels of the axis of indices that do not touch each other."""

_MOST_MARKERS = 64
"""Markers of exponents that leave the line between them to be seen, by which groups differ."""


def lambda1_histogram(
    exponents: ArrayLike, solved: ArrayLike, ax: "Axes | None" = None, title: str | None = None
) -> "Figure":
    """Draws histograms of λ₁ for solved and for failed puzzles, each adding up to 1.

    Args:
      exponents: (N, k) in nats per update, which are drawn `largest_first`. Puzzles without a
        finite λ₁ are left out, and counted in the figure.
      solved: (N,) booleans.
      ax: Where to draw; None: a new figure.
      title: None: what the numbers say, with the AUC of −λ₁ and its 95 % interval.

    Returns:
      The figure; an empty group is named in the title and the legend.

    Raises:
      ValueError: The shapes do not fit each other.

    Example:
      >>> exponents = np.random.default_rng(0).normal(size=(20, 3))
      >>> solved = exponents[:, 0] < 0
      >>> figure = rrjax.plots.lambda1_histogram(exponents, solved)
      >>> figure.axes[0].get_xlabel()
      'leading Lyapunov exponent λ₁ (nats per update)'
    """
    groups = _split(exponents, solved)
    ax = new_axes() if ax is None else ax
    solved = groups.solved
    sizes = np.where(solved, solved.sum(), np.sum(~solved))
    draw_histograms(ax, groups.exponents[:, 0], solved, 1 / sizes)
    low, high = ax.get_xlim()
    if low < 0 < high:
        ax.axvline(0, color="black", linewidth=1.2, label="chaotic to the right of this line")
    ax.set_xlabel(f"leading Lyapunov exponent λ₁ ({UNIT})")
    ax.set_ylabel("share of the group's puzzles")
    legend_below(ax, groups.left_out)
    return titled(ax, title or _one_group_message(groups) or _histogram_message(groups))


def spectrum_by_outcome(
    exponents: ArrayLike, solved: ArrayLike, ax: "Axes | None" = None, title: str | None = None
) -> "Figure":
    """Draws median and interquartile range of every λᵢ, for solved and for failed puzzles.

    Arguments, figure and errors are those of `lambda1_histogram`. Indices are left out from the
    first on at which a puzzle has no finite exponent, and the title has the largest AUC of −λᵢ. A
    group of fewer than 5 puzzles has its median alone.

    Example:
      >>> exponents = np.random.default_rng(0).normal(size=(20, 3))
      >>> solved = exponents[:, 0] < 0
      >>> figure = rrjax.plots.spectrum_by_outcome(exponents, solved)
      >>> figure.axes[0].get_xlabel()
      'index i of the exponent'
    """
    groups = _split(exponents, solved)
    ax = new_axes() if ax is None else ax
    from matplotlib.ticker import MaxNLocator  # after `new_axes`, which says what is missing

    ax.axhline(0, color="black", linewidth=0.8)
    # Side by side, or the bars of the two groups would hide each other.
    index = np.arange(1, groups.exponents.shape[1] + 1)
    for shift, look, group in ((-0.08, SOLVED, groups.solved), (0.08, FAILED, ~groups.solved)):
        exponents = groups.exponents[group] if group.any() else np.full((1, len(index)), np.nan)
        median, low, high = np.quantile(exponents, (0.5, 0.25, 0.75), axis=0)
        if group.sum() < _FEWEST:
            low = high = np.full(len(index), np.nan)
        named = look._replace(name=legend_entry(look, int(group.sum())))
        if len(index) > _MOST_MARKERS:
            named = named._replace(marker="")
        draw_intervals(ax, index + shift, Interval(median, low, high).each(), named)
    if len(index) <= _MOST_LABELS:
        ax.set_xticks(index)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(_MOST_LABELS, integer=True))
    ax.set_xlim(0.5, len(index) + 0.5)
    ax.set_xlabel("index i of the exponent")
    ax.set_ylabel(f"Lyapunov exponent λᵢ ({UNIT})\nmedian and middle half of the puzzles")
    few = (
        f"no half is drawn of fewer than {_FEWEST} puzzles" if 0 < groups.smaller < _FEWEST else ""
    )
    legend_below(ax, "\n".join(filter(None, (groups.left_out, few))))
    return titled(ax, title or _one_group_message(groups) or _spectrum_message(groups))


class _Groups(NamedTuple):
    """Runs with a λ₁: exponents (n, j) up to the first that is no number in any of them, outcomes
    (n,), and words on what is not drawn, empty for nothing."""

    exponents: np.ndarray
    solved: np.ndarray
    left_out: str

    @property
    def smaller(self) -> int:
        return int(min(self.solved.sum(), np.sum(~self.solved)))


def _split(exponents: ArrayLike, solved: ArrayLike) -> _Groups:
    exponents = largest_first(as_array("exponents", exponents, ("N", "k")))
    solved = as_array("solved", solved, exponents.shape[:1], bool)
    known = np.isfinite(exponents[:, 0])
    exponents, missing = exponents[known], int(np.sum(~known))
    resolved = int(np.logical_and.accumulate(np.isfinite(exponents).all(axis=0)).sum())
    notes = [f"{missing} not finite, left out"] if missing else []
    if resolved < exponents.shape[1]:
        notes.append(f"from λ{resolved + 1} on some are below the round-off floor, not drawn")
    return _Groups(exponents[:, :resolved], solved[known], "\n".join(notes))


def _histogram_message(groups: _Groups) -> str:
    lambda1 = groups.exponents[:, 0]
    auc = auc_interval(-lambda1, groups.solved)
    if np.isnan(auc.low):
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
    auc = auc_interval(-groups.exponents, groups.solved)
    k, larger = groups.exponents.shape[1], int(np.sum(auc.low > 0.5))
    finding = f"Failed puzzles have the larger exponent at {larger} of {k} indices"
    if np.isnan(auc.low).all():
        finding = "Too few puzzles in a group to conclude"
    best = int(np.argmax(auc.value))
    return f"{finding}\nLargest AUC of −λᵢ for solved: {auc.value[best]:.3f} at i = {best + 1}"


def _one_group_message(groups: _Groups) -> str:
    """Returns what to say where all puzzles have one outcome, or there are none; else nothing."""
    if groups.smaller:
        return ""
    total = words.count(len(groups.solved), "puzzle")
    return f"{groups.solved.sum()} of {total} solved: nothing to compare"
