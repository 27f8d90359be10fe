"""Paths of recorded states in the plane of their principal directions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.plots.canvas import FAILED, SOLVED, legend_below, legend_entry, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_PATHS = 12
"""Paths of each outcome that are drawn; more hide each other."""


def paths_by_outcome(arrays: Mapping[str, np.ndarray]) -> "Figure":
    """Draws paths of the answer's state along the two leading principal directions, by outcome.

    Args:
      arrays: Arrays of `rrjax.experiments.states`.
    """
    ax = new_axes()
    plane, solved = arrays["projection"][..., :2], arrays["solved"]
    for look, group in ((SOLVED, solved), (FAILED, ~solved)):
        for number, path in enumerate(plane[group][:_MOST_PATHS]):
            label = legend_entry(look, int(group.sum())) if number == 0 else None
            ax.plot(*path.T, look.line, color=look.color, linewidth=0.8, alpha=0.7, label=label)
            ax.plot(*path[-1], look.marker, color=look.color, markersize=4)
    share = arrays["projection_variance"][:2]
    for axis, name, part in ((ax.xaxis, "first", share[0]), (ax.yaxis, "second", share[1])):
        axis.set_label_text(f"{name} principal direction ({words.percent(float(part))})")
    drawn = f"up to {_MOST_PATHS} of each outcome are drawn; marks: the last segment"
    legend_below(ax, drawn)
    return titled(ax, f"Two directions hold {words.percent(float(share.sum()))} of the variance")
