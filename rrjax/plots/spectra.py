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
    draw_histograms,
    draw_intervals,
    legend_below,
    legend_entry,
    new_axes,
    new_panels,
    titled,
    upper_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    per_segment = int(analysis.horizon.updates[-1]) // analysis.num_segments
    draws["lambda1_by_horizon"] = partial(lambda1_by_horizon, analysis.horizon, per_segment)
    return draws


def late_drift_histogram(drift: np.ndarray, solved: np.ndarray, settling: Settling) -> "Figure":
    """Draws late drift (N,) of solved and of failed runs, with Otsu's cut.

    A drift of 0 is drawn where it is ranked, at the left end.
    """
    logs, cut, ax = log10_drift(drift), settling.otsu, new_axes()
    from matplotlib.ticker import MaxNLocator  # after `new_axes`, which says what is missing

    draw_histograms(ax, logs, solved, np.ones(len(logs)))
    ax.axvline(cut.threshold, color="black", linestyle=":", label="Otsu's threshold")
    ax.set_xlabel("log₁₀ of late drift (mean ‖Δz‖ of the last segments)")
    ax.set_ylabel("puzzles")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    legend_below(ax)
    return titled(
        ax,
        f"Settled runs: {_share(cut.solved_if_settled)} solved, "
        f"others: {_share(cut.solved_if_unsettled)}\n"
        f"without a threshold: AUC of −drift {words.interval_in_words(settling.drift_auc)}",
    )


def auc_within_bins(controls: dict[str, Controlled]) -> "Figure":
    """Draws the AUC of −λ₁ inside each bin and over runs alike, a panel for each quantity."""
    number = len(controls)
    panels = new_panels(max(6.4, 4.2 * number), 4.6, 1, number, sharex=True)[0]
    for ax, (name, controlled) in zip(panels, controls.items(), strict=True):
        _draw_bins(ax, name, controlled)
    title = "Does λ₁ tell solved from failed among puzzles that are alike?"
    panels[0].figure.suptitle(title, x=0.02, ha="left", fontsize="medium")
    return panels[0].figure


def _draw_bins(ax: "Axes", name: str, controlled: Controlled) -> None:
    sizes = controlled.num_solved, controlled.num_failed
    rows = [
        (words.value_range(s.low, s.high, ".2g"), s.auc, s.num_solved, s.num_failed)
        for s in controlled.strata
    ]
    rows += [("held fixed", controlled.fixed, *sizes), ("not held fixed", controlled.plain, *sizes)]
    last = len(controlled.strata)
    places = [place + 0.5 * (place >= last) for place in range(len(rows))]  # apart from the bins
    ax.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
    for place, y, (_, auc, *_) in zip(range(len(rows)), places, rows, strict=True):
        summary = place >= last
        if np.isnan(auc.value):
            few = "undefined" if summary else f"fewer than {MIN_GROUP}"
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
    labels = [f"{label}\n{solved} + {failed}" for label, _, solved, failed in rows]
    ax.set_yticks(places, labels, fontsize="x-small")
    ax.set_ylim(places[-1] + 0.6, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("AUC of −λ₁ for solved, 95 % intervals")
    ax.set_title(f"{name}\n(solved + failed)", loc="left", fontsize="small")


def early_window(early: list[EarlyWindow]) -> "Figure":
    """Draws how well segments 1..s tell which of the runs unsolved at s get solved, by s."""
    above, below = new_panels(6.4, 6.2, 2, 1, sharex=True, height_ratios=(2, 1))[:, 0]
    segments = np.array([w.segment for w in early])
    above.axhline(0.5, color="black", linewidth=0.8, linestyle=":", label="no better than chance")
    draw_intervals(above, segments - 0.1, [w.lambda1 for w in early], LAMBDA1)
    draw_intervals(above, segments + 0.1, [w.drift for w in early], DRIFT)
    above.set_ylim(-0.02, 1.02)
    above.set_ylabel("AUC for solved at the end\n95 % intervals")
    legend_below(above)
    unsolved = np.array([w.num_solved + w.num_failed for w in early])
    later = np.array([w.num_solved for w in early])
    below.bar(segments, unsolved, color="white", edgecolor="black", label="unsolved at s")
    below.bar(segments, later, color=SOLVED.color, label="of these, solved at the end")
    below.set_xticks(segments)
    below.set_ylabel("runs")
    below.set_xlabel("s, the last segment of the window 1..s")
    legend_below(below)
    return titled(above, _early_message(early))


def _early_message(early: list[EarlyWindow]) -> str:
    measured = [w for w in early if not np.isnan(w.lambda1.value)]
    if not measured:
        return "Too few runs are solved late: they show nothing"
    lambda1 = sum(w.lambda1.excludes(0.5) for w in measured)
    drift = sum(w.drift.excludes(0.5) for w in measured)
    few = len(early) - len(measured)
    return (
        "Does the beginning tell which of the unsolved runs get solved?\n"
        f"Intervals without 0.5: {lambda1} of λ₁, {drift} of drift, of {len(measured)}"
        + (f"; too few runs at {few} more s" if few else "")
    )


def lambda1_by_horizon(curve: HorizonCurve, updates_per_segment: int) -> "Figure":
    """Draws the median λ₁ of the first updates by the final outcome, with bands of 95 %.

    Args:
      curve: The medians of every horizon. They are drawn from the end of the first segment on,
        before which λ₁ is that of single updates of different kinds.
      updates_per_segment: Number of updates in a segment.
    """
    ax = new_axes()
    shown = curve.updates >= updates_per_segment
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
    legend_below(ax, "at the last segment")
    upper_axis(ax, 1 / updates_per_segment, "segments")
    return titled(ax, _horizon_message(curve))


def _horizon_message(curve: HorizonCurve) -> str:
    solved, failed = curve.solved.at(-1), curve.failed.at(-1)
    ends = f"λ₁ of the whole run: solved {solved.value:+.3f}, failed {failed.value:+.3f}"
    if np.isnan([solved.low, failed.low]).any():
        return f"{ends},\ntoo few puzzles in a group for a band"
    apart = (curve.failed.low > curve.solved.high) | (curve.failed.high < curve.solved.low)
    if not apart[-1]:
        return f"{ends},\nbands overlap at the end"
    since = len(apart) - int(np.argmin(apart[::-1])) if not apart.all() else 0
    return f"{ends},\nbands apart from update {since + 1} on"


def _share(fraction: Interval) -> str:
    return "none there," if np.isnan(fraction.value) else words.percent_interval(fraction, 0)
