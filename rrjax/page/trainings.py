"""Training runs: the curves of their metrics, those of several runs in one chart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rrjax.page.charts import CURVES, dataset, import_altair, specification
from rrjax.page.shown import as_typed, thinned, written

MOST_ROWS = 400
"""Points of a curve up to which every one is shown."""

MOST_METRICS = 18
"""Metrics that are drawn: those of the test set first, then the others in the order of the file."""


def trainings(runs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the curves of training runs, by the names of the runs.

    Args:
      runs: `rrjax.training.history.Run`s by name.
    """
    names = dict.fromkeys(
        name
        for run in runs.values()
        for name, values in run.metrics.items()
        if _is_curve(name, values)
    )
    chosen = sorted(names, key=lambda name: not name.startswith("test/"))[:MOST_METRICS]
    rows = [
        {"run": name, "metric": metric, "step": step, "value": value}
        for name, run in runs.items()
        for metric in chosen
        if metric in run.metrics
        for step, value in _points(run.metrics["step"], run.metrics[metric])
    ]
    return {
        "rows": rows,
        "metrics": chosen,
        "runs": [*runs],
        "notes": [*_notes(runs), *_left_out(len(names) - len(chosen))],
    }


def _is_curve(name: str, values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return name != "step" and len(known) > 0


def _points(steps: np.ndarray, values: np.ndarray) -> list[tuple[int, float]]:
    places = thinned(np.flatnonzero(np.isfinite(values)), MOST_ROWS)
    return list(zip(steps[places].astype(int).tolist(), written(values[places]), strict=True))


def _notes(runs: Mapping[str, Any]) -> list[str]:
    """Returns how far each run is, and how it was made."""
    notes = []
    for name, run in runs.items():
        last = int(run.metrics["step"][-1]) if len(run.metrics["step"]) else 0
        steps = run.config["identity"]["recipe"]["steps"]
        state = (
            f"has done its {steps:,} steps" if run.finished else f"is at step {last:,} of {steps:,}"
        )
        words = as_typed(run.config.get("made_by", {}).get("command", []))
        notes.append(f"{name} {state}." + (f" It was made by: {words}" if words else ""))
    return notes


def _left_out(number: int) -> list[str]:
    return [f"{number} more metrics are in the files of the runs."] if number else []


def trainings_chart(data: dict[str, Any]) -> dict[str, Any]:
    """Returns small charts, one for each metric, with a line for each run."""
    alt = import_altair()
    names = data["runs"]
    colours = [CURVES[place % len(CURVES)] for place in range(len(names))]
    dashes = [([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])[place % 4] for place in range(len(names))]
    legend = alt.Legend(title="run")
    lines = (
        alt.Chart(dataset("metrics"), width=215, height=110)
        .mark_line(point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
            strokeDash=alt.StrokeDash(
                "run:N", scale=alt.Scale(domain=names, range=dashes), legend=legend
            ),
            tooltip=["run:N", "metric:N", "step:Q", alt.Tooltip("value:Q", format=".4g")],
            facet=alt.Facet("metric:N", columns=4, title=None, sort=data["metrics"]),
        )
        .resolve_scale(y="independent")
    )
    return specification(lines, metrics=data["rows"])
