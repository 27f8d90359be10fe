"""What all figures share: looks of the groups, axes, writing.

Groups differ in hatching, line and marker besides colour, so that they survive a black-and-white
print. Figures are made without pyplot: no window, no global state.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from rrjax.analysis.intervals import Interval
from rrjax.store import write_bytes_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNIT = "nats per update"
_LABELS_INCHES = 0.6
"""Height of the numbers and the label below an axis."""
Draw = Callable[[], "Figure"]


COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, for every colour vision."""


class Look(NamedTuple):
    """The name, colour, hatching, line and marker with which a group is drawn."""

    name: str
    color: str
    hatch: str
    line: str
    marker: str


SOLVED = Look("solved", COLORS[0], "", "-", "o")
FAILED = Look("failed", COLORS[1], "////", "--", "s")
LOOKS = (SOLVED, FAILED, Look("", COLORS[2], "", ":", "D"), Look("", COLORS[3], "////", "-.", "^"))
"""For groups that are told apart by their places; each takes a name."""


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty figure, whose width and height are given in inches."""
    try:
        _import_matplotlib()
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "figures need matplotlib: pip install matplotlib", name=error.name
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _import_matplotlib() -> None:
    """Imports matplotlib, also where `MPLBACKEND` names a backend that is not there.

    A program that a notebook starts inherits the notebook's backend. Figures without a window need
    none.
    """
    backend = os.environ.get("MPLBACKEND")
    if backend is None or "matplotlib" in sys.modules:
        return
    del os.environ["MPLBACKEND"]
    try:
        import matplotlib

        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
    finally:
        os.environ["MPLBACKEND"] = backend


def new_panels(width: float, height: float, rows: int, columns: int, **options: Any) -> np.ndarray:
    """Returns the axes (rows, columns) of a new figure; they have no lines at top and right."""
    panels = new_figure(width, height).subplots(rows, columns, squeeze=False, **options)
    for ax in panels.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return panels


def new_axes() -> "Axes":
    """Returns the axes of a new figure, without a frame on top and right."""
    return new_panels(6.4, 4.6, 1, 1)[0, 0]


def titled(axes: "Axes", title: str) -> "Figure":
    """Gives the axes their message as a title, and returns the whole figure."""
    axes.set_title(title, loc="left", fontsize="medium")
    return cast("Figure", axes.figure.figure)  # `figure` alone may be a sub-figure


def upper_axis(axes: "Axes", factor: int | float, label: str) -> Any:
    """Returns a new axis on top whose numbers are those at the bottom times a factor."""
    scale = (partial(np.multiply, factor), partial(np.multiply, 1 / factor))
    upper = axes.secondary_xaxis("top", functions=scale)
    upper.set_xlabel(label)
    return upper


def draw_histograms(
    ax: "Axes", values: np.ndarray, solved: np.ndarray, heights: np.ndarray
) -> None:
    """Draws a histogram of each group's values (n,).

    A run adds its entry of `heights` (n,) to its bar.
    """
    edges = np.histogram_bin_edges(values, bins=int(np.clip(np.sqrt(len(values)), 8, 32)))
    for look, group in ((SOLVED, solved), (FAILED, ~solved)):
        ax.hist(
            values[group],
            edges.tolist(),
            weights=heights[group],
            label=legend_entry(look, int(group.sum())),
            histtype="stepfilled",
            facecolor=(look.color, 0.0 if look.hatch else 0.35),
            edgecolor=look.color,
            hatch=look.hatch,
            linestyle=look.line,
            linewidth=1.5,
        )


def legend_below(ax: "Axes", title: str = "") -> None:
    """Explains the marks below the axes and their label, where the legend hides no data."""
    from matplotlib.transforms import ScaledTranslation

    down = ScaledTranslation(0, -_LABELS_INCHES, ax.figure.dpi_scale_trans)
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + down,
        borderaxespad=0,
        ncols=2,
        frameon=False,
        title=title or None,
        alignment="left",
    )


def legend_entry(look: Look, size: int) -> str:
    """Returns the name of a group with its size."""
    return f"{look.name} (n = {size})"


def draw_intervals(ax: "Axes", x: np.ndarray, intervals: Iterable[Interval], look: Look) -> None:
    """Draws points at x (n,) with their n intervals, hollow where the group's look is hatched."""
    value, low, high = np.array([interval.ends for interval in intervals]).T
    ax.errorbar(
        x,
        value,
        yerr=(value - low, high - value),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markerfacecolor="white" if look.hatch else look.color,
        capsize=3,
        label=look.name,
    )


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Writes a figure as PNG, atomically; equal figures give equal bytes.

    Raises:
      ValueError: The path does not end in `.png`.
      OSError: The file cannot be written; the message has the path and what to do.

    Example:
      >>> exponents = np.random.default_rng(0).normal(size=(20, 3))
      >>> solved = exponents[:, 0] < 0
      >>> rrjax.plots.save_figure(rrjax.plots.lambda1_histogram(exponents, solved), "lambda1.png")
    """
    if Path(path).suffix != ".png":
        raise ValueError(f"path must end in .png; got {path}")
    buffer = io.BytesIO()
    # The version of matplotlib is no part of the picture.
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_bytes_atomically(path, buffer.getvalue())
