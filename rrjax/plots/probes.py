"""Figures of probes: what is read by segment, and what tells solved from failed."""

from typing import TYPE_CHECKING, cast

import numpy as np

from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.analysis.probes import ProbeSummary
from rrjax.plots.canvas import COLORS, FAILED, SOLVED, new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "v")
_GREY = "#767676"
_LEAST = 10
"""Puzzles of either outcome below which no AUC is drawn."""


def readings(summary: ProbeSummary) -> "Figure":
    """Draws for every target the scores from each field by segment, with their controls.

    Args:
      summary: Numbers of probes.
    """
    targets = list(dict.fromkeys(reading.target for reading in summary.readings))
    columns = min(3, len(targets))
    rows = -(-len(targets) // columns)
    panels = new_panels(3.4 * columns, 2.5 * rows + 0.5, rows, columns, sharex=True)
    for ax in panels.flat[len(targets) :]:
        ax.set_visible(False)
    for ax, target in zip(panels.flat, targets, strict=False):
        _draw_target(ax, summary, target)
    for ax in panels[-1]:
        ax.set_xlabel("segment")
    for ax in panels[:, 0]:
        ax.set_ylabel("score")
    figure = cast("Figure", panels[0, 0].figure)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=columns + 1, frameon=False)
    return figure


def _draw_target(ax: "Axes", summary: ProbeSummary, target: str) -> None:
    x = np.arange(1, summary.num_segments + 1)
    shown = [reading for reading in summary.readings if reading.target == target]
    for reading, color, marker in zip(shown, COLORS, _MARKERS, strict=False):
        name = reading.field
        _draw_line(ax, x, reading.scores["all"], color, marker, name)
        control = [each.value for each in reading.control]
        ax.plot(x, control, ":", color=color, label=f"{name}, control task")
        if reading.untrained is not None:
            fresh = [each.value for each in reading.untrained]
            ax.plot(x, fresh, "--", color=color, lw=0.8, label=f"{name}, fresh weights")
    ax.plot(x, shown[0].permuted, "-.", color=_GREY, lw=0.8, label="permuted labels")
    ax.axhline(shown[0].chance, color="black", lw=0.6)
    ax.set_title(target, loc="left", fontsize="medium")


def _draw_line(
    ax: "Axes", x: np.ndarray, intervals: list[Interval], color: str, marker: str, name: str
) -> None:
    value, low, high = np.array([each.ends for each in intervals], float).T
    ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
    ax.plot(x, value, color=color, marker=marker, ms=3, label=name)


def forecasts(summary: ProbeSummary) -> "Figure":
    """Draws the rank AUC of the outcome by segment, of all puzzles and of those not yet right.

    Of the latter only segments are drawn with ten puzzles or more of either outcome.

    Args:
      summary: Numbers of probes.
    """
    x = np.arange(1, summary.num_segments + 1)
    panels = new_panels(8.2, 3.8, 1, 2, sharey=True)
    kinds = (("all", "all held-out puzzles"), ("open", "whose answer is not yet right"))
    for ax, (kind, title) in zip(panels[0], kinds, strict=True):
        for forecast, color, marker in zip(summary.forecasts, COLORS, _MARKERS, strict=False):
            name = forecast.source
            name = name if name == "conflicts" else f"probe of {name}"
            enough = [kind == "all" or min(pair) >= _LEAST for pair in forecast.num_open]
            shown = [
                each if drawn else UNDEFINED
                for each, drawn in zip(getattr(forecast, kind), enough, strict=True)
            ]
            _draw_line(ax, x, shown, color, marker, name)
        ax.locator_params(axis="x", integer=True)
        ax.axhline(0.5, color="black", lw=0.6)
        ax.set_xlabel("segment")
        ax.set_title(title, loc="left", fontsize="medium")
    panels[0, 0].set_ylabel("AUC of solved against failed")
    panels[0, 0].legend(frameon=False)
    return cast("Figure", panels[0, 0].figure)


def decided(summary: ProbeSummary) -> "Figure":
    """Draws how well probes read what has to be found, by segment and outcome.

    Args:
      summary: Numbers of probes.
    """
    x = np.arange(1, summary.num_segments + 1)
    targets = [t for t in ("digit", "last answer", "on path") if _has(summary, t)]
    panels = new_panels(4.1 * len(targets), 3.8, 1, len(targets), sharey=True)
    for ax, target in zip(panels[0], targets, strict=True):
        for look in (SOLVED, FAILED):
            answers = summary.kept if target == "last answer" else summary.answer
            own = [each.value for each in answers[look.name]]
            ax.plot(x, own, look.line, color="black", lw=1, label=f"own answer, {look.name}")
            shown = [reading for reading in summary.readings if reading.target == target]
            for reading, color, marker in zip(shown, COLORS, _MARKERS, strict=False):
                value, low, high = np.array(
                    [each.ends for each in reading.scores[look.name]], float
                ).T
                ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
                label = f"{reading.field}, {look.name}"
                ax.plot(x, value, look.line, color=color, marker=marker, ms=3, label=label)
        ax.set_xlabel("segment")
        ax.locator_params(axis="x", integer=True)
        ax.set_title(f"{target} read", loc="left", fontsize="medium")
    panels[0, 0].set_ylabel("balanced accuracy")
    figure = cast("Figure", panels[0, 0].figure)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(targets) + 1, frameon=False)
    return figure


def _has(summary: ProbeSummary, target: str) -> bool:
    return any(reading.target == target for reading in summary.readings)
