"""What all figures share: looks of the groups, axes, writing.

Groups differ in hatching, line and marker besides colour, so that they survive a black-and-white
print. Figures are made without pyplot: no window, no global state.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from rrjax.store import write_bytes_atomically

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

UNIT = "nats per update"
Draw = Callable[[], "matplotlib.figure.Figure"]


class Look(NamedTuple):
    """How a group is drawn; colours from Okabe and Ito's palette for every colour vision."""

    name: str
    color: str
    hatch: str
    line: str
    marker: str


SOLVED = Look("solved", "#0072B2", "", "-", "o")
FAILED = Look("failed", "#D55E00", "////", "--", "s")


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """Returns an empty figure of so many inches.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "figures need matplotlib: pip install 'rrjax[viz]'", name=error.name
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def new_axes() -> "matplotlib.axes.Axes":
    """Returns the axes of a new figure, without a frame on top and right.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    axes = new_figure(6.4, 4.2).subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def titled(axes: "matplotlib.axes.Axes", title: str) -> "matplotlib.figure.Figure":
    """Returns the figure of the axes, which it gives their message as a title."""
    axes.set_title(title, loc="left", fontsize="medium")
    return cast("matplotlib.figure.Figure", axes.figure)


def legend_entry(look: Look, size: int) -> str:
    """Returns the name of a group with its size."""
    return f"{look.name} (n = {size})"


def area_style(look: Look) -> dict[str, Any]:
    """Returns how `hist` draws a group: filled or hatched, with its own outline."""
    return {
        "histtype": "stepfilled",
        "facecolor": (look.color, 0.0 if look.hatch else 0.35),
        "edgecolor": look.color,
        "hatch": look.hatch,
        "linestyle": look.line,
        "linewidth": 1.5,
    }


def draw_intervals(ax: "matplotlib.axes.Axes", x: ArrayLike, ends: ArrayLike, look: Look) -> None:
    """Draws points with their intervals, full or hollow, on their group's line.

    Args:
      ax: where.
      x: (n,)
      ends: (3, n) values, lower and upper ends.
      look: of the group.
    """
    value, low, high = np.asarray(ends)
    ax.errorbar(
        np.asarray(x),
        value,
        yerr=(value - low, high - value),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markerfacecolor="white" if look.hatch else look.color,
        capsize=3,
        label=look.name,
    )


def save_figure(figure: "matplotlib.figure.Figure", path: str | Path) -> None:
    """Write a figure as PNG, atomically; equal figures give equal bytes.

    Raises:
      ValueError: if the path does not end in `.png`.
      OSError: with the path and what to do.
    """
    if Path(path).suffix != ".png":
        raise ValueError(f"path must end in .png; got {path}")
    buffer = io.BytesIO()
    # The version of matplotlib is no part of the picture.
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_bytes_atomically(path, buffer.getvalue())
