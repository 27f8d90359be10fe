"""Scores of single channels: shares beside a random basis, and time courses."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rrjax.plots.canvas import FAILED, SOLVED, legend_below, new_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROFILES = 4
"""Channels of each field whose time course is drawn."""


def channel_shares(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws what place and label explain of each channel, and of each direction at random.

    Args:
      arrays: Arrays of `rrjax.experiments.neurons`.
      record: Its record.
    """
    fields = record["fields"]
    panels = new_panels(3.2 * len(fields) + 1, 3.9, 1, len(fields), sharey=True)[0]
    for ax, field in zip(panels, fields, strict=True):
        rotated = arrays[f"rotated_trained_{field}"]
        own = [arrays[f"{name}_trained_{field}"][-1] for name in ("position", "answer")]
        for (x, y), look, label in ((own, SOLVED, "channels"), (rotated, FAILED, "random basis")):
            face = "none" if look.hatch else look.color
            ax.scatter(x, y, s=14, marker=look.marker, edgecolor=look.color, c=face, label=label)
        ax.set_title(field, loc="left", fontsize="medium")
        ax.set_xlabel("explained by the cell's place")
    panels[0].set_ylabel("explained by the cell's label")
    legend_below(panels[0], "shares of the variance over blank cells, last segment")
    return cast("Figure", panels[0].figure)


def temporal_profiles(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> "Figure":
    """Draws the time course of the channels that scatter most, with what their mean hides.

    Args:
      arrays: Arrays of `rrjax.experiments.neurons`.
      record: Its record.
    """
    fields = record["fields"]
    panels = new_panels(2.5 * _PROFILES, 2.3 * len(fields) + 0.5, len(fields), _PROFILES)
    for field, line in zip(fields, panels, strict=True):
        mean, deviation = (arrays[f"{n}_trained_{field}"] for n in ("mean", "deviation"))
        chosen = np.argsort(-deviation[-1])[:_PROFILES]
        segments = np.arange(1, len(mean) + 1)
        for channel, ax in zip(chosen, line, strict=False):
            middle, reach = mean[:, channel], deviation[:, channel]
            ax.fill_between(
                segments, middle - reach, middle + reach, facecolor=(SOLVED.color, 0.25)
            )
            ax.plot(segments, middle, color=SOLVED.color)
            ax.set_title(f"{field}, channel {channel}", loc="left", fontsize="small")
            ax.set_xlabel("segments", fontsize="small")
    panels[0, 0].set_ylabel("mean ± sd over puzzles", fontsize="small")
    return cast("Figure", panels[0, 0].figure)
