"""Finished spectra: settled or not, early signs, and what drift and difficulty explain."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.controls import MIN_GROUP, Controlled
from rrjax.analysis.early import EarlyWindow, HorizonCurve
from rrjax.analysis.intervals import Interval
from rrjax.analysis.settling import Settling, log10_drift
from rrjax.analysis.spectra import Analysis, RankedRuns
from rrjax.plots.canvas import (
    FAILED,
    SOLVED,
    UNIT,
    Draw,
    Look,
    area_style,
    draw_intervals,
    legend_entry,
    new_axes,
    new_figure,
    titled,
)

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

LAMBDA1 = Look("−λ₁ of 1..s", SOLVED.color, "", "-", "o")
DRIFT = Look("−drift of 1..s", FAILED.color, "////", "--", "s")


def figures(runs: RankedRuns, analysis: Analysis) -> dict[str, Draw]:
    """Returns functions that draw the figures of one run, by the name of their file."""
    drift = partial(late_drift_histogram, runs.late_drift, runs.solved, analysis.settling)
    draws: dict[str, Draw] = {"late_drift": drift}
    controls = dict(analysis.within_difficulty)
    if analysis.within_drift:
        controls["late drift (unsettled)"] = analysis.within_drift
    if controls:
        draws["auc_within_bins"] = partial(auc_within_bins, controls)
    if analysis.early:
        draws["early_window"] = partial(early_window, analysis.early)
    per_segment = len(analysis.horizon.updates) // analysis.num_segments
    draws["lambda1_by_horizon"] = partial(lambda1_by_horizon, analysis.horizon, per_segment)
    return draws


def late_drift_histogram(
    drift: np.ndarray, solved: np.ndarray, found: Settling
) -> "matplotlib.figure.Figure":
    """Late drift of solved and of failed runs, with Otsu's cut between settled and unsettled.

    Args:
      drift: (N,) late drift; 0 is drawn where it is ranked, at the left end.
      solved: (N,) booleans.
      found: what the analysis says of them.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    logs, ax = log10_drift(drift), new_axes()
    edges = np.histogram_bin_edges(logs, bins=int(np.clip(np.sqrt(len(logs)), 8, 32)))
    for look, member in ((SOLVED, solved), (FAILED, ~solved)):
        ax.hist(
            logs[member],
            edges.tolist(),
            **area_style(look),
            label=legend_entry(look, int(member.sum())),
        )
    ax.axvline(found.otsu.threshold, color="black", linestyle=":", label="Otsu's threshold")
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])
    ax.set_xlabel("log₁₀ of late drift (mean ‖Δz‖ of the last segments)")
    ax.set_ylabel("puzzles")
    ax.legend(frameon=False)
    return titled(
        ax,
        f"Settled runs: {_share(found.otsu.solved_if_settled)} solved, "
        f"others: {_share(found.otsu.solved_if_unsettled)}\n"
        f"without a threshold: AUC of −drift {words.interval_in_words(found.drift_auc)}",
    )


def auc_within_bins(controls: dict[str, Controlled]) -> "matplotlib.figure.Figure":
    """AUC of −λ₁ inside each bin of what is held fixed, and pooled: one panel each.

    Args:
      controls: by the name of what is held fixed.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    number = len(controls)
    figure = new_figure(max(6.4, 4.2 * number), 4.6)
    panels = np.atleast_1d(figure.subplots(1, number, sharex=True))
    for ax, (name, controlled) in zip(panels, controls.items(), strict=True):
        _draw_bins(ax, name, controlled)
    figure.suptitle(
        "Does λ₁ tell solved from failed among puzzles that are alike?",
        x=0.02,
        ha="left",
        fontsize="medium",
    )
    return figure


def _draw_bins(ax: "matplotlib.axes.Axes", name: str, controlled: Controlled) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    sizes = controlled.num_solved, controlled.num_failed
    rows = [
        (words.value_range(s.low, s.high, ".2g"), s.auc, s.num_solved, s.num_failed)
        for s in controlled.strata
    ]
    rows += [("pooled", controlled.pooled, *sizes), ("not held fixed", controlled.plain, *sizes)]
    last = len(controlled.strata)
    ax.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
    for place, (_, auc, *_) in enumerate(rows):
        y = place + 0.5 * (place >= last)  # apart from the bins
        summary = place >= last
        if np.isnan(auc.value):
            few = f"fewer than {MIN_GROUP}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.text(0.5, y, few, ha="center", va="center", fontsize="x-small", bbox=box)
            continue
        ax.errorbar(
            auc.value,
            y,
            xerr=[[auc.value - auc.low], [auc.high - auc.value]],
            color="black" if summary else LAMBDA1.color,
            marker="D" if summary else LAMBDA1.marker,
            markerfacecolor="black" if place == last else "white",
            capsize=3,
        )
    places = [place + 0.5 * (place >= last) for place in range(len(rows))]
    labels = [f"{label}\n{solved} + {failed}" for label, _, solved, failed in rows]
    ax.set_yticks(places, labels, fontsize="x-small")
    ax.set_ylim(places[-1] + 0.6, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("AUC of −λ₁ for solved, 95 % intervals")
    ax.set_title(f"{name}\n(solved + failed)", loc="left", fontsize="small")


def early_window(early: list[EarlyWindow]) -> "matplotlib.figure.Figure":
    """AUC of segments 1..s for "solved at the end" among the runs unsolved at s, for each s.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    figure = new_figure(6.4, 5.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    segments = np.array([w.segment for w in early])
    above.axhline(0.5, color="black", linewidth=0.8, linestyle=":", label="no better than chance")
    for shift, look, aucs in (
        (-0.1, LAMBDA1, [w.lambda1 for w in early]),
        (0.1, DRIFT, [w.drift for w in early]),
    ):
        ends = np.array([auc.ends for auc in aucs]).T
        draw_intervals(above, segments + shift, ends, look)
    above.set_ylim(-0.02, 1.25)  # room for the legend
    above.set_yticks(np.linspace(0, 1, 6))
    above.set_ylabel("AUC for solved at the end\n95 % intervals")
    above.legend(frameon=False, ncols=3, loc="upper right")
    unsolved = np.array([w.num_solved + w.num_failed for w in early])
    later = np.array([w.num_solved for w in early])
    below.bar(segments, unsolved, color="white", edgecolor="black", label="unsolved at s")
    below.bar(segments, later, color=SOLVED.color, label="of these, solved at the end")
    below.set_xticks(segments)
    below.set_ylabel("runs")
    below.set_xlabel("s, the last segment of the window 1..s")
    below.legend(frameon=False)
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
    above.set_title(_early_message(early), loc="left", fontsize="medium")
    return figure


def _early_message(early: list[EarlyWindow]) -> str:
    measured = [w for w in early if not np.isnan(w.lambda1.value)]
    if not measured:
        return "Too few runs are solved late: nothing can be said"
    counts = [
        sum(_misses_half(auc) for auc in aucs)
        for aucs in ([w.lambda1 for w in measured], [w.drift for w in measured])
    ]
    few = len(early) - len(measured)
    return (
        "Does the beginning tell which of the unsolved runs get solved?\n"
        f"Intervals without 0.5: {counts[0]} of λ₁, {counts[1]} of drift, of {len(measured)}"
        + (f"; too few runs at {few} more s" if few else "")
    )


def _misses_half(auc: Interval) -> bool:
    return bool(auc.low > 0.5 or auc.high < 0.5)


def lambda1_by_horizon(curve: HorizonCurve, updates_per_segment: int) -> "matplotlib.figure.Figure":
    """Median λ₁ of the first updates, by the final outcome, with bootstrap bands.

    Args:
      curve: of every horizon; drawn from the end of the first segment on, before which λ₁ is that
        of single updates of different kinds.
      updates_per_segment: for this, and for the upper axis.

    Raises:
      ModuleNotFoundError: without matplotlib, saying how to install it.
    """
    ax = new_axes()
    shown = slice(updates_per_segment - 1, None)
    ax.axhline(0, color="black", linewidth=0.8)
    for look, median, size in (
        (SOLVED, curve.solved, curve.num_solved),
        (FAILED, curve.failed, curve.num_failed),
    ):
        value, low, high = (np.where(np.isfinite(end), end, np.nan)[shown] for end in median.ends)
        time, label = curve.updates[shown], legend_entry(look, size)
        ax.plot(time, value, color=look.color, linestyle=look.line, label=label)
        shade = (look.color, 0.0 if look.hatch else 0.25)
        ax.fill_between(
            time, low, high, facecolor=shade, edgecolor=look.color, hatch=look.hatch, linewidth=0.0
        )
    ax.set_xlabel("updates from the start, t")
    ax.set_ylabel(f"λ₁ of the first t updates ({UNIT})\nmedian, 95 % bands")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.3 * (high - low))  # room for the legend
    ax.legend(frameon=False, loc="upper right", title="at the last segment")
    upper = ax.secondary_xaxis(
        "top",
        functions=(
            partial(np.multiply, 1 / updates_per_segment),
            partial(np.multiply, updates_per_segment),
        ),
    )
    upper.set_xlabel("segments")
    return titled(ax, _horizon_message(curve))


def _horizon_message(curve: HorizonCurve) -> str:
    solved, failed = curve.solved.at(-1), curve.failed.at(-1)
    ends = f"λ₁ of the whole run: solved {solved.value:+.3f}, failed {failed.value:+.3f}"
    apart = (curve.failed.low > curve.solved.high) | (curve.failed.high < curve.solved.low)
    if not apart[-1]:
        return f"{ends},\nbands overlap at the end"
    since = len(apart) - int(np.argmin(apart[::-1])) if not apart.all() else 0
    return f"{ends},\nbands apart from update {since + 1} on"


def _share(fraction: Interval) -> str:
    return "none there," if np.isnan(fraction.value) else words.percent_interval(fraction, 0)
