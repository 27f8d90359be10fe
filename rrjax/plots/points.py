"""Fixed points: what trajectories do by outcome, and the leading eigenvalues of their points."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.points import PointSummary
from rrjax.plots.canvas import (
    FAILED,
    SOLVED,
    draw_intervals,
    legend_below,
    legend_entry,
    new_axes,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = {FAILED.name: FAILED, SOLVED.name: SOLVED}


def fates_by_outcome(summary: PointSummary) -> "Figure":
    """Draws the share of each fate among failures and successes, with intervals."""
    ax = new_axes()
    shown = [
        place
        for place in range(len(summary.groups[0].fates))
        if any(group.fates[place].number for group in summary.groups)
    ]
    names = [summary.groups[0].fates[place].name.replace(" ", "\n", 1) for place in shown]
    ax.set_xticks(range(len(shown)), names, fontsize="small")
    ax.set_xlim(-0.5, len(shown) - 0.5)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("share of the group")
    for offset, group in zip((-0.08, 0.08), summary.groups, strict=True):
        if group.number:
            look = _LOOKS[group.name]
            shares = [group.fates[place].share for place in shown]
            named = look._replace(name=legend_entry(look, group.number), line="none")
            draw_intervals(ax, np.arange(len(shown)) + offset, shares, named)
    legend_below(ax, "95 % intervals")
    segments = words.count(summary.num_segments, "segment")
    return titled(ax, f"What trajectories do after {segments}")


def eigenvalues_by_outcome(results: Any, summary: PointSummary) -> "Figure":
    """Draws the leading eigenvalue of each fixed point in the complex plane, by outcome."""
    ax = new_axes()
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color="black", linewidth=0.8)
    is_point = np.isfinite(results["norm"]) & (results["period"] == results["period"].min())
    failed = np.array(summary.failed)[:, None]
    for look, group in ((FAILED, failed), (SOLVED, ~failed)):
        chosen = is_point & group
        ax.plot(
            results["eigenvalue_real"][chosen][:, 0],
            np.abs(results["eigenvalue_imag"][chosen][:, 0]),
            look.marker,
            color=look.color,
            markerfacecolor="white" if look.hatch else look.color,
            markersize=4,
            alpha=0.7,
            label=legend_entry(look, int(chosen.sum())),
        )
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("real part of the leading eigenvalue")
    ax.set_ylabel("modulus of its imaginary part")
    legend_below(ax)
    return titled(ax, "Stability of the points, inside or outside the unit circle")
