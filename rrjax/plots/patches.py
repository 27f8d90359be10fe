"""What patches free and break, beside their controls, against the segment of the patch."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.patches import Effect, PatchSummary
from rrjax.plots.canvas import (
    FAILED,
    SOLVED,
    Look,
    draw_intervals,
    legend_below,
    new_axes,
    new_figure,
    new_panels,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def patches_by_segment(summary: PatchSummary) -> "Figure":
    """Draws the fraction solved after a patch of each part, with its control.

    Args:
      summary: Numbers of patches. Drawn are the failures with the first kind of donor that there
        is, or the solved puzzles where nothing fails.
    """
    ax = new_axes()
    effects = summary.denoising or summary.noising
    effects = [each for each in effects if each.donor == effects[0].donor]
    parts = list(dict.fromkeys(each.part for each in effects))
    markers = "osD^vP*X"
    for number, part in enumerate(parts):
        own = [each for each in effects if each.part == part]
        x = np.arange(len(own)) + 0.06 * number
        for kind, style in (("patch", SOLVED), ("control", FAILED)):
            look = Look(
                f"{kind}, {part}", style.color, style.hatch, style.line, markers[number % 8]
            )
            draw_intervals(ax, x, [each.solved[kind] for each in own], look)
    first = [each for each in effects if each.part == parts[0]]
    ax.set_xticks(range(len(first)), [str(each.segment) for each in first])
    ax.set_xlabel("segments before the patch")
    ax.set_ylabel("share solved at the end")
    ax.set_ylim(-0.03, 1.03)
    legend_below(ax, f"n = {words.count(first[0].num_pairs, 'pair')}, 95 % intervals")
    return titled(ax, _message(effects, bool(summary.denoising)))


def _message(effects: list[Effect], denoising: bool) -> str:
    best = max(effects, key=lambda each: abs(each.against_control.value))
    what = "A solved state in a failure" if denoising else "A failed state in a success"
    change = words.interval(best.against_control.percent, "+.0f")
    return (
        f"{what} ({best.part}, after {words.count(best.segment, 'segment')}):\n"
        f"{change} % solved against an equal random step"
    )


def changes_by_segment(summary: PatchSummary) -> "Figure":
    """Draws what patches change of cells and units against the segment, beside their control.

    Args:
      summary: Numbers of patches. Drawn are failed states in solved puzzles, from the last kind of
        donor that there is, or solved states in failures where nothing is solved.
    """
    effects = summary.noising or summary.denoising
    effects = [each for each in effects if each.donor == effects[-1].donor]
    names = list(effects[0].changes)
    panels = new_panels(3.2 * len(names), 4.6, 1, len(names), sharey=True)[0]
    for ax, name in zip(panels, names, strict=True):
        for part, marker in zip(dict.fromkeys(e.part for e in effects), "osD^vP*X", strict=False):
            own = [each for each in effects if each.part == part]
            x = np.array([each.segment for each in own], float)
            for kind, style in (("patch", SOLVED), ("control", FAILED)):
                shown = [each.changes[name][kind].percent for each in own]
                look = Look(f"{kind}, {part}", style.color, style.hatch, style.line, marker)
                draw_intervals(ax, x, shown, look)
        ax.axhline(0, color="black", lw=0.8)
        ax.set_title(name, loc="left", fontsize="medium")
        ax.set_xlabel("segments before the patch")
    first = panels[0]
    first.set_ylabel("change of the share right at the end, %")
    legend_below(first, f"n = {words.count(effects[0].num_pairs, 'pair')}, 95 % intervals")
    figure = first.figure
    what = "Failed states in successes" if summary.noising else "Solved states in failures"
    figure.suptitle(f"{what}, donor: {effects[0].donor}", x=0.01, ha="left", fontsize="medium")
    return figure


def margins_by_cell(arrays: Mapping[str, np.ndarray]) -> "Figure":
    """Draws boards of what patching one cell alone changes of the margin, beside its control.

    Args:
      arrays: Arrays of `rrjax.experiments.patching` with a map; at most four pairs are drawn,
        failures first.

    Raises:
      ValueError: The cells fill no square.
    """
    pairs = arrays["map_pair"]
    shown = np.argsort(arrays["recipient_solved"][pairs], kind="stable")[:4]  # failures first
    change = arrays["map_margin"][shown] - arrays["map_nothing"][shown, None, None]
    size = math.isqrt(change.shape[-1])
    if size**2 != change.shape[-1]:
        raise ValueError(f"a board needs a square number of cells, got {change.shape[-1]}")
    figure = new_figure(2.2 * len(change) + 1.2, 4.6)
    grid = figure.subplots(2, len(change), squeeze=False)
    top = float(np.abs(change).max()) or 1.0
    for column, pair in enumerate(change):
        for row, cells in enumerate(pair):
            ax = grid[row, column]
            image = ax.imshow(cells.reshape(size, size), cmap="RdBu_r", vmin=-top, vmax=top)
            ax.set_xticks([])
            ax.set_yticks([])
        solved = arrays["recipient_solved"][pairs[shown[column]]]
        puzzle = arrays["recipient"][pairs[shown[column]]]
        outcome = "solved" if solved else "failed"
        grid[0, column].set_title(f"puzzle {puzzle} ({outcome})", fontsize="small")
    grid[0, 0].set_ylabel("the donor's cell")
    grid[1, 0].set_ylabel("a random step")
    figure.colorbar(image, ax=grid, shrink=0.9, label="change of the margin (logits)")
    figure.suptitle("One cell patched alone", x=0.01, ha="left", fontsize="medium")
    return figure
