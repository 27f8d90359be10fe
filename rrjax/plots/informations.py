"""The information plane of blank cells."""

from typing import TYPE_CHECKING

from rrjax.analysis import format as words
from rrjax.analysis.informations import InformationSummary
from rrjax.plots.canvas import LOOKS, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def information_plane(summary: InformationSummary) -> "Figure":
    """Draws what blank cells tell of their answer, against what they tell of the givens.

    Each path is one field of one model, from the first segment that is read to the last, which has
    the full mark. The ceilings are drawn as lines. Without givens to ask for the segment stands on
    the horizontal axis.

    Args:
      summary: Numbers of `rrjax.experiments.information`.
    """
    ax = new_axes()
    names = dict.fromkeys((each.model, each.field) for each in summary.cells)
    for index, (model, field) in enumerate(names):
        own = [e for e in summary.cells if (e.model, e.field) == (model, field)]
        answer = [e for e in own if e.target == "answer"]
        y = [e.by_group["all"] for e in answer]
        given = [e.by_group["all"].value for e in own if e.target == "input"]
        x = given or [e.segment for e in answer]
        look = LOOKS[index % len(LOOKS)]
        value = [interval.value for interval in y]
        reach = [
            [interval.value - interval.low for interval in y],
            [interval.high - interval.value for interval in y],
        ]
        ax.errorbar(
            x,
            value,
            yerr=reach,
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markerfacecolor="white",
            capsize=2,
            label=f"{field}, {model}",
        )
        ax.plot(x[-1:], value[-1:], look.marker, color=look.color)
    top = summary.ceilings["answer"].value
    ax.axhline(top, color="black", linewidth=1, linestyle=":", label=f"ceiling, {top:.2f} nats")
    if "input" in summary.ceilings:
        ax.axvline(summary.ceilings["input"].value, color="black", linewidth=1, linestyle=":")
        ax.set_xlabel("on the givens in its units, nats per cell and digit")
    else:
        ax.set_xlabel("segments")
    ax.set_ylabel("on its answer, nats per cell")
    segments = [str(e.segment) for e in summary.cells[:1]] + [str(summary.cells[-1].segment)]
    number = words.count(summary.num_puzzles, "puzzle")
    legend_below(ax, f"{number}; from segment {' to '.join(segments)} (full); 95 % intervals")
    return titled(ax, "What does a blank cell tell?")
