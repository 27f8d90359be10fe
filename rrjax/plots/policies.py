"""Accuracy against compute, for every way to spend it."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.policies import FrontierPoint
from rrjax.analysis.policy_summary import PolicySummary, at_most, best_rule
from rrjax.plots.canvas import COLORS, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED = (
    ("TRM", 336, 0.873, "bottom"),
    ("EqR", 336, 0.864, "top"),
    ("EqR", 1344, 0.930, "bottom"),
    ("sic, K = 1", 960, 0.855, "top"),
    ("sic, K = 4 trained", 960, 0.969, "bottom"),
)
"""Published accuracies on Sudoku-Extreme with their module evaluations: other models, and another
test set (TRM as in arXiv 2605.19943; EqR: 2605.21488; sic: 2601.19085). The last entry says on
which side of a name its point lies, so that names do not cover each other."""

_STYLES = tuple(zip(COLORS, "os^Dv", strict=False))


def accuracy_against_evaluations(summary: PolicySummary) -> "Figure":
    """Draws the long rollout, and of each way its best rule and its ceiling, against evaluations.

    The rule of a way is the one that solves most at the whole budget, of equals the first: its
    lead over the others is in part chance.
    """
    ax = new_axes()
    plain = [point for point in summary.plain if point.policy == "all segments"]
    _curve(ax, plain, "one rollout", "black", "-", "")
    for place, (way, (color, marker)) in enumerate(zip(summary.ways, _STYLES * 2, strict=False)):
        best = best_rule(way, summary)
        points = at_most(way.points, best, summary.num_segments)
        _curve(ax, points, f"{way.name}, {best}", color, "-", marker)
        _end_bar(ax, points[-1], color, place)
        ceiling = at_most(way.ceiling, way.ceiling[0].policy, summary.num_segments)
        _curve(ax, ceiling, "", color, ":", "")
    in_range = [p for p in PUBLISHED if p[1] <= summary.longest * summary.updates_per_segment]
    for number, (name, evaluations, accuracy, side) in enumerate(in_range):
        label = "published: other models, another test set" if number == 0 else ""
        ax.plot(evaluations, accuracy, "x", color="grey", label=label)
        ax.annotate(
            name,
            (evaluations, accuracy),
            fontsize=7,
            color="grey",
            xytext=(4, 0),
            textcoords="offset points",
            verticalalignment=side,
        )
    ax.set_xscale("log", base=2)
    ticks = sorted({round(point.evaluations) for point in plain})
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("module evaluations of a puzzle (mean)")
    ax.set_ylabel("share of puzzles solved")
    number = words.count(summary.num_puzzles, "puzzle")
    legend_below(ax, f"n = {number}; band and bars: 95 % intervals")
    last = plain[-1]
    return titled(
        ax,
        f"One rollout solves {words.percent(last.accuracy.value)} with {last.evaluations:.0f} "
        "evaluations;\ndotted: some run is right, which no policy knows",
    )


def _curve(
    ax: "Axes", points: list[FrontierPoint], label: str, color: str, line: str, marker: str
) -> None:
    evaluations = np.array([point.evaluations for point in points])
    value, low, high = np.array([point.accuracy.ends for point in points]).T
    ax.plot(evaluations, value, color=color, linestyle=line, marker=marker, label=label)
    if not marker and line == "-":
        ax.fill_between(evaluations, low, high, facecolor=(color, 0.12), linewidth=0.0)


def _end_bar(ax: "Axes", point: FrontierPoint, color: str, place: int) -> None:
    """Draws the interval of the last point of a curve, beside those of the others."""
    value, low, high = point.accuracy.ends
    at = point.evaluations * 1.04**place
    ax.errorbar([at], [value], [[value - low], [high - value]], color=color, capsize=3)
