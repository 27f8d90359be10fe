"""The trajectory: the path of the answer's state in a plane, with what the plane leaves out."""

from typing import Any

import numpy as np

from rrjax.page.charts import INK, OUTCOMES, by_outcome, dataset, import_altair, specification
from rrjax.page.overview import outcomes
from rrjax.page.shown import Shown, written

LEAST_GROUP = 3
"""Puzzles of each outcome below which no discriminant is fitted."""

SHRINKAGE = 0.1
"""Share of the mean variance that the covariance of a discriminant is mixed with."""


def trajectory(shown: Shown) -> dict[str, Any] | None:
    """Returns the planes that paths are drawn in, by their names in the page.

    Each has the paths (n, s, 2), and in words what it shows. The first is that of the two principal
    components of most variance; the other has the discriminant of the outcomes at the last segment
    as its first axis and, at a right angle to it, the direction of most variance that is left. None
    stands for a result without projected states.
    """
    states = shown.by_run("projection")
    if states is None:
        return None
    states = states.astype(np.float64)
    finite = np.isfinite(states).all(axis=(1, 2, 3))
    points = states[finite].reshape(-1, states.shape[-1])
    if not points.any():
        return None
    shares, name = shown.results["projection_variance"], shown.results.record["answer"]
    axes = np.eye(2, states.shape[-1])
    planes = {
        "principal components": {
            **_paths(shown, states @ axes.T),
            "words": f"The axes are the first two principal components of {name} over all puzzles "
            f"and segments. {_held(axes, shares)}",
        }
    }
    outcome = outcomes(shown.results)[shown.puzzles]
    direction = _discriminant(states[finite, 0, -1], outcome[finite])
    if direction is not None:
        rest = points - points.mean(axis=0)
        rest -= np.outer(rest @ direction, direction)
        axes = np.stack([direction, np.linalg.eigh(rest.T @ rest)[1][:, -1]])
        planes["discriminant of the outcomes"] = {
            **_paths(shown, states @ axes.T),
            "words": "The horizontal axis is the linear discriminant of solved and failed puzzles, "
            "fitted to their last states, so that it parts them by construction; the vertical axis "
            f"has most of the variance that is left. {_held(axes, shares)}",
        }
    return planes


def _paths(shown: Shown, points: np.ndarray) -> dict[str, Any]:
    """Returns the paths of the shown puzzles, a row for each run, and where the first runs end.

    `points` are (n, runs, s, 2).
    """
    segments, outcome = shown.segments.tolist(), outcomes(shown.results)
    x, y = written(points[..., 0], 3), written(points[..., 1], 3)
    paths = [
        [
            {"run": run, "segment": segments, "x": x[i][run], "y": y[i][run]}
            for run in range(points.shape[1])
        ]
        for i in range(len(points))
    ]
    ends = [
        {"puzzle": puzzle, "outcome": str(outcome[puzzle]), "x": x[i][0][-1], "y": y[i][0][-1]}
        for i, puzzle in enumerate(shown.puzzles.tolist())
    ]
    return {"paths": paths, "ends": ends}


def _discriminant(states: np.ndarray, outcome: np.ndarray) -> np.ndarray | None:
    """Returns the unit vector (c,) of Fisher's discriminant; None for groups that are too small."""
    groups = [states[outcome == name] for name in ("solved", "failed")]
    if min(map(len, groups)) < LEAST_GROUP:
        return None
    deviations = np.concatenate([group - group.mean(0) for group in groups])
    within = deviations.T @ deviations / len(deviations)
    if not within.any():
        return None
    shrunk = within + SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    direction = np.linalg.solve(shrunk, groups[1].mean(0) - groups[0].mean(0))
    length = np.linalg.norm(direction)
    return direction / length if np.isfinite(length) and length > 0 else None


def held_share(axes: np.ndarray, shares: np.ndarray) -> float:
    """Returns which share of the variance of the state a plane holds.

    Args:
      axes: (2, c) orthonormal axes, in principal components.
      shares: (c,) the share that each component holds; NaN counts as 0.
    """
    return float(np.nansum(np.square(axes) * shares))


def _held(axes: np.ndarray, shares: np.ndarray) -> str:
    return (
        f"The plane holds {100 * held_share(axes, shares):.0f} % of the variance: what is close "
        "here may lie far apart in the rest."
    )


def trajectory_chart() -> dict[str, Any]:
    """Returns the chart of a path, over the end states of all shown puzzles."""
    alt = import_altair()
    x = alt.X("x:Q", title="first axis of the plane", scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title="second axis of the plane", scale=alt.Scale(zero=False))
    ends = (
        alt.Chart(dataset("ends"), width=430, height=330)
        .mark_point(filled=True, size=35, opacity=0.5)
        .encode(
            x=x,
            y=y,
            color=by_outcome("color", OUTCOMES[:2]),
            shape=by_outcome("shape", OUTCOMES[:2]),
            tooltip=["puzzle:Q", "outcome:N"],
        )
    )
    is_first = "datum.run == 0"
    path = (
        alt.Chart(dataset("path"))
        .transform_flatten(["segment", "x", "y"])
        .encode(x=x, y=y, detail="run:N", tooltip=["run:Q", "segment:Q"])
        .encode(opacity=alt.condition(is_first, alt.value(1), alt.value(0.3)))
    )
    line = path.mark_line(color=INK, strokeWidth=1.2).encode(order="segment:Q")
    steps = path.mark_point(filled=True, color=INK, size=18)
    here = path.transform_filter("datum.segment == at").mark_point(
        size=180, stroke=INK, strokeWidth=2.5
    )
    start = (
        path.transform_window(place="row_number()")
        .transform_filter("datum.place == 1")
        .mark_text(dy=-10)
        .encode(text=alt.value("start"))
    )
    layers = alt.layer(ends, line, steps, here, start).add_params(alt.param(name="at", value=1))
    return specification(layers, ends=[], path=[])
