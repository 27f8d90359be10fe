"""Similarities of segments: matrices, and what a puzzle's own steadiness foretells."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rrjax.analysis.foretelling import Foretelling
from rrjax.analysis.similarities import SimilaritySummary
from rrjax.plots.canvas import (
    LOOKS,
    draw_intervals,
    legend_below,
    new_axes,
    new_figure,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def similarity_matrices(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws the CKA of every pair of segments: fields across, models and outcomes down.

    Args:
      arrays: Arrays of `rrjax.experiments.similarity`.
      record: Its record.
    """
    names = [name.removeprefix("cka_") for name in arrays if name.startswith("cka_")]
    fields = list(dict.fromkeys(name.partition("_")[2] for name in names))
    rows = [("trained", group) for group in (1, 2)]
    rows += [("untrained", 0)] if any(name.startswith("untrained") for name in names) else []
    figure = new_figure(2.6 * len(fields) + 1.2, 2.5 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), len(fields), squeeze=False)
    segments = len(arrays["solved_by_segment"][0])
    image = None
    for (model, group), line in zip(rows, grid, strict=True):
        for field, ax in zip(fields, line, strict=True):
            values = arrays[f"cka_{model}_{field}"][group]
            extent = (0.5, segments + 0.5, segments + 0.5, 0.5)
            image = ax.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", extent=extent)
            ax.set_title(f"{field}, {model}, {record['groups'][group]}", fontsize="small")
            ax.set_xlabel("segment", fontsize="small")
    for line in grid:
        line[0].set_ylabel("segment", fontsize="small")
    figure.colorbar(cast("Any", image), ax=grid, shrink=0.6, label="unbiased linear CKA")
    figure.suptitle(
        "How alike are the states after two segments?", x=0.01, ha="left", fontsize="medium"
    )
    return figure


def similarity_by_segment(summary: SimilaritySummary) -> "Figure":
    """Draws by segment how well the steadiness of a puzzle's state foretells its outcome."""
    return foretelling_figure(summary.foretelling, "Steadiness of a puzzle's state")


def foretelling_figure(rows: Sequence[Foretelling], what: str) -> "Figure":
    """Draws AUCs among the runs that are not yet right, against the segment.

    Args:
      rows: Some numbers after some segments.
      what: The first words of the title.
    """
    ax = new_axes()
    for index, name in enumerate(dict.fromkeys(row.what for row in rows)):
        own = [row for row in rows if row.what == name]
        look = LOOKS[index % len(LOOKS)]._replace(name=name)
        x = np.array([row.segment for row in own]) * 1.03**index
        draw_intervals(ax, x, [row.auc for row in own], look)
    ax.axhline(0.5, color="black", linewidth=1, linestyle=":")
    ax.set_xscale("log", base=2)
    ticks = sorted({row.segment for row in rows})
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("segments")
    ax.set_ylabel("AUC of “will be solved”, runs not yet right")
    first = rows[0]
    counts = f"{first.num_later} solved later, {first.num_failed} fail"
    legend_below(ax, f"after segment {first.segment}: {counts}")
    return titled(ax, f"{what}:\ndoes it tell the outcome before the answer does?")
