"""Draws the share of held-out puzzles that bundled models solved along their training.

Usage: python -m scripts.models.figure_training [OUT.png]
"""

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rrjax.analysis.intervals import Interval, fraction_interval
from rrjax.models import bundled_names, load_model
from rrjax.plots.canvas import draw_intervals, new_panels, save_figure
from scripts.studies.along_training import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 2


def curves() -> dict[str, dict[str, Any]]:
    """Returns the recorded curves by the names of the models that have one."""
    recorded = {name: load_model(name).provenance.get("curve") for name in bundled_names()}
    return {name: curve for name, curve in recorded.items() if curve}


def shares_of(curve: Mapping[str, Any]) -> list[Interval]:
    """Returns the share of test puzzles that each evaluation solved."""
    evaluations = zip(curve["solved"], curve["num_puzzles"], strict=True)
    return [fraction_interval(round(share * number), number) for share, number in evaluations]


def figure(recorded: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """Draws a panel for each curve, with the intervals of its shares."""
    num_rows = math.ceil(len(recorded) / _COLUMNS)
    panels = new_panels(5.0 * _COLUMNS, 2.6 * num_rows, num_rows, _COLUMNS).ravel()
    for ax, (name, curve) in zip(panels, recorded.items(), strict=False):
        draw_intervals(ax, np.array(curve["steps"]), shares_of(curve), ALL)
        ax.set_ylim(0, 1)
        ax.set_xlabel("training step")
        ax.set_ylabel("share solved, 95 % interval")
        again = ", second training" if "training" in curve else ""
        least, most = min(curve["num_puzzles"]), max(curve["num_puzzles"])
        number = str(most) if least == most else f"{least} to {most}"
        title = f"{name}{again} ({number} held-out puzzles)"
        ax.set_title(title, loc="left", fontsize="medium")
    for ax in panels[len(recorded) :]:
        ax.remove()
    return panels[0].figure


if __name__ == "__main__":
    save_figure(figure(curves()), sys.argv[1] if sys.argv[1:] else "training_curves.png")
