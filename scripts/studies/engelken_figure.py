"""Figures of Engelken's experiment: accuracy, and what flossing does to the long-term Jacobian."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rrjax.plots.canvas import COLORS, FAILED, SOLVED, Look, new_figure

LOOKS = {
    "none": Look("no flossing", "#555555", "", ":", "o"),
    "pre": Look("preflossing", SOLVED.color, "", "-", "s"),
    "inter": Look("interflossing", FAILED.color, "////", "--", "^"),
    "both": Look("both", COLORS[2], "", "-.", "D"),
}

SMOOTHED = 100
"""Epochs over which accuracies are averaged."""


def accuracy_figure(
    tasks: Sequence[str], conditions: Sequence[str], arrays: dict[str, np.ndarray]
) -> Any:
    """Accuracy over the epochs: the mean of the seeds and their range, a panel for each task."""
    means = averaged(arrays["accuracy"])
    figure = new_figure(4.8 * len(tasks), 4.0)
    axes = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    epochs = np.minimum(SMOOTHED * np.arange(1, means.shape[-1] + 1), arrays["accuracy"].shape[-1])
    for ax, task, values in zip(axes, tasks, means, strict=True):
        _lines(ax, epochs, conditions, values)
        ax.axhline(0.5, color="black", linewidth=0.6)
        ax.set_title(f"delayed {task}")
        ax.set_xlabel("epochs of training")
    axes[0].set_ylabel(f"share of right bits, mean of {SMOOTHED} epochs")
    axes[0].set_ylim(0.45, 1.02)
    axes[-1].legend(title="mean and range of the seeds", framealpha=1, edgecolor="white")
    return figure


def jacobian_figure(
    tasks: Sequence[str], conditions: Sequence[str], arrays: dict[str, np.ndarray]
) -> Any:
    """Gradient norm, condition number and participation of the long-term Jacobian."""
    rows = {
        "gradient norm by J": np.log10(averaged(arrays["gradient_norm"])),
        "condition\n(k leading directions)": arrays["log_condition"] / np.log(10),
        "participation\n(directions)": arrays["participation"],
    }
    figure = new_figure(4.8 * len(tasks), 8.4)
    axes = figure.subplots(len(rows), len(tasks), sharex=True, sharey="row", squeeze=False)
    for row, (name, values) in zip(axes, rows.items(), strict=True):
        for ax, task, lines in zip(row, tasks, values, strict=True):
            first = 1 if name.startswith("gradient") else 0  # the others begin before training
            _lines(ax, SMOOTHED * (first + np.arange(lines.shape[-1])), conditions, lines)
            ax.set_title(f"delayed {task}")
        unit = "" if name.startswith("participation") else "log10 of the "
        row[0].set_ylabel(unit + name)
    for ax in axes[-1]:
        ax.set_xlabel("epochs of training")
    axes[0, -1].legend(title="mean and range of the seeds", framealpha=1, edgecolor="white")
    return figure


def averaged(values: np.ndarray) -> np.ndarray:
    """Means over blocks of `SMOOTHED` epochs; a shorter last one only where it is alone."""
    whole = values.shape[-1] // SMOOTHED * SMOOTHED
    if not whole:
        return values.mean(-1, keepdims=True)
    return values[..., :whole].reshape(*values.shape[:-1], -1, SMOOTHED).mean(-1)


def _lines(ax: Any, x: np.ndarray, conditions: Sequence[str], values: np.ndarray) -> None:
    """One line and band for each condition; values are (conditions, seeds, time)."""
    for condition, seeds in zip(conditions, values, strict=True):
        look = LOOKS[condition]
        label = f"{look.name} (n = {len(seeds)})"
        every = max(1, len(x) // 8)
        style = {"color": look.color, "linestyle": look.line, "marker": look.marker}
        ax.plot(x, seeds.mean(0), label=label, markevery=every, markersize=4, **style)
        ax.fill_between(x, seeds.min(0), seeds.max(0), color=look.color, alpha=0.15, linewidth=0)
    ax.spines[["top", "right"]].set_visible(False)
