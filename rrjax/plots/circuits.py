"""Margins of naked singles under ablations, beside random cells."""

from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.circuits import CircuitSummary
from rrjax.plots.canvas import FAILED, SOLVED, Look, draw_intervals, legend_below, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = {
    ("target", "mean"): Look("at the single, mean", FAILED.color, "////", "none", "s"),
    ("target", "resampled"): Look("at the single, resampled", FAILED.color, "", "none", "D"),
    ("control", "mean"): Look("random cells, mean", SOLVED.color, "////", "none", "o"),
    ("control", "resampled"): Look("random cells, resampled", SOLVED.color, "", "none", "v"),
}


def margins_by_ablation(summary: CircuitSummary) -> "Figure":
    """Draws the change of the margin under every ablation of the trained model.

    Args:
      summary: Numbers of the circuits of naked singles.
    """
    ax = new_axes()
    effects = [each for each in summary.effects if each.run == "trained"]
    names = list(dict.fromkeys(each.ablation for each in effects))
    for number, ((place, method), look) in enumerate(_LOOKS.items()):
        own = [each for each in effects if each.method == method]
        x = np.arange(len(own)) + 0.14 * (number - 1.5)
        draw_intervals(ax, x, [each.margin_change[place] for each in own], look)
    ax.axhline(0, color="black", lw=0.8)
    clean = summary.clean_margin["trained"].value
    ax.axhline(-clean, color="black", lw=0.8, linestyle=":")
    ax.text(len(names) - 0.5, -clean, "margin 0", ha="right", va="bottom", fontsize="small")
    ax.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names])
    ax.set_ylabel("change of the margin (logits)")
    legend_below(ax, f"n = {words.count(summary.num_puzzles, 'puzzle')}, 95 % intervals")
    worst = min(effects, key=lambda each: each.against_control.value)
    return titled(
        ax,
        f"Naked singles need their {worst.ablation} most:\n"
        f"{words.interval_in_words(worst.against_control, '+.1f')} against random cells",
    )
