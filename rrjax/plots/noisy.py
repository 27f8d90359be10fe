"""Noisy rollouts: the model's own judgement against the stability of its trajectory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.noisy import mixed_outcome, noisy_runs, summarize_ptrm
from rrjax.plots.canvas import FAILED, SOLVED, UNIT, legend_below, legend_entry, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def q_against_lambda1(arrays: Mapping[str, np.ndarray]) -> "Figure":
    """Draws q_halt against λ₁ of the noisy runs of all puzzles with right and wrong runs.

    Args:
      arrays: Arrays of a result of `rrjax ptrm` with exponents.

    Returns:
      The figure; it says so where no puzzle has a mixed outcome.

    Raises:
      ValueError: The arrays are of another result, or without exponents.

    Example:
      >>> run = rrjax.load_results("runs/noisy")  # of rrjax.experiments.ptrm
      >>> rrjax.plots.q_against_lambda1(run).axes[0].get_xlabel()
      'λ₁ in nats per update, of the noisy run'
    """
    correlation = summarize_ptrm(arrays).correlation
    if correlation is None:
        raise ValueError("arrays must hold exponents: run rrjax ptrm with --num-exponents 1")
    runs = noisy_runs(arrays)
    mixed = mixed_outcome(runs["solved"])
    ax = new_axes()
    ax.set_xlabel(f"λ₁ in {UNIT}, of the noisy run")
    ax.set_ylabel("q_halt after the last segment (logit)")
    if not correlation.num_mixed:
        return titled(ax, "No puzzle has right and wrong runs")
    lambda1, q, solved = (runs[name][mixed].ravel() for name in ("lambda1", "q_halt", "solved"))
    drawn = np.isfinite(lambda1) & np.isfinite(q)
    for look, group in ((SOLVED, solved & drawn), (FAILED, ~solved & drawn)):
        ax.scatter(
            lambda1[group],
            q[group],
            s=22,
            marker=look.marker,
            facecolor="none" if look.hatch else look.color,
            edgecolor=look.color,
            linewidth=0.9,
            alpha=0.8,
            label=legend_entry(look, int(group.sum())),
        )
    missing = int(np.sum(~drawn))
    legend_below(ax, f"{missing} without a finite λ₁ or q left out" if missing else "")
    finding = "none to be ranked"
    if correlation.num_used:
        rho = words.interval_in_words(correlation.spearman, ".2f")
        finding = f"mean Spearman ρ within\n{correlation.num_used} of them {rho}"
    puzzles = words.count(correlation.num_mixed, "puzzle")
    return titled(ax, f"{puzzles} with right and wrong runs: {finding}")
