"""Figures of meaning and dynamics: overlaps by segment, and what is read around a fall."""

from typing import TYPE_CHECKING, cast

import numpy as np

from rrjax.analysis.vectors import AFTER, BEFORE, GROUPS, MeaningSummary
from rrjax.plots.canvas import COLORS, FAILED, SOLVED, new_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = {"solved": SOLVED, "failed": FAILED}


def overlaps(summary: MeaningSummary) -> "Figure":
    """Draws by segment the overlap of the first covariant vector with what probes read.

    It is drawn in units of the overlap with probes of labels permuted within puzzles.

    Args:
      summary: Numbers of meaning and dynamics.
    """
    vector = summary.overlaps[0].vector
    chosen = [each for each in summary.overlaps if each.vector == vector]
    targets = list(dict.fromkeys(each.target for each in chosen))
    columns = min(3, len(targets))
    rows = -(-len(targets) // columns)
    panels = new_panels(3.4 * columns, 2.6 * rows + 0.6, rows, columns, sharex=True)
    for ax in panels.flat[len(targets) :]:
        ax.set_visible(False)
    x = np.arange(1, summary.num_segments + 1)
    for ax, target in zip(panels.flat, targets, strict=False):
        for field, color in zip(summary.fields, COLORS, strict=False):
            for each in chosen:
                if (each.target, each.field) != (target, field):
                    continue
                if each.kind == "read":
                    for group in GROUPS:
                        look = _LOOKS[group]
                        medians = [m.value for m in each.over_shuffled[group]]
                        label = f"{field}, {group}"
                        ax.plot(x, medians, look.line, color=color, marker=look.marker, ms=3)
                        ax.lines[-1].set_label(label)
        ax.axhline(1, color="black", lw=0.6)
        ax.set_yscale("log")
        ax.set_title(target, loc="left", fontsize="medium")
    for ax in panels[-1]:
        ax.set_xlabel("segment")
    for ax in panels[:, 0]:
        ax.set_ylabel("overlap / shuffled")
    figure = cast("Figure", panels[0, 0].figure)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def falls(summary: MeaningSummary) -> "Figure":
    """Draws growth by segment, and what probes read around its fall, less that of other puzzles.

    Args:
      summary: Numbers of meaning and dynamics.
    """
    panels = new_panels(8.6, 3.8, 1, 2)
    x = np.arange(1, summary.num_segments + 1)
    left, right = panels[0]
    for group in GROUPS:
        look = _LOOKS[group]
        value, low, high = np.array([m.ends for m in summary.growth[group]], float).T
        left.fill_between(x, low, high, color=look.color, alpha=0.2, lw=0)
        left.plot(x, value, look.line, color=look.color, marker=look.marker, ms=3, label=group)
    left.axhline(0, color="black", lw=0.6)
    left.locator_params(axis="x", integer=True)
    left.set_xlabel("segment")
    left.set_ylabel("growth (nats per update)")
    left.legend(frameon=False)
    shift = np.arange(-BEFORE, AFTER + 1)
    for each, color in zip(
        [f for f in summary.falls if f.target in ("digit", "on path")], COLORS, strict=False
    ):
        value, low, high = np.array([m.ends for m in each.aligned], float).T
        right.fill_between(shift, low, high, color=color, alpha=0.2, lw=0)
        right.plot(shift, value, "o-", color=color, ms=3, label=f"{each.target} from {each.field}")
    right.axhline(0, color="black", lw=0.6)
    right.axvline(-0.5, color="black", lw=0.6, ls=":")
    right.set_xlabel("segments since the fall of growth")
    right.set_ylabel("read right, less other puzzles")
    right.legend(frameon=False)
    return cast("Figure", left.figure)
