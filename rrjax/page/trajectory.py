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

    Each has the paths (n, s, 2), and in words what it shows. The first is that of the first two
    principal components of the shown states; the other has the discriminant of the outcomes at the
    last segment as its first axis and, at a right angle to it, the direction of largest variance.
    None stands for a result without projected states.
    """
    states = shown.by_segment("projection")
    if states is None or states.shape[-1] < 2:
        return None
    states = states.astype(np.float64)
    finite = np.isfinite(states).all(axis=(1, 2))
    if not finite.any():
        return None
    held = min(1.0, float(np.nansum(shown.results["projection_variance"])))
    centred = states - states[finite].mean(axis=(0, 1))
    points = centred[finite].reshape(-1, centred.shape[-1])
    if not points.any():
        return None
    axes = _principal_axes(points)[:2]
    name = shown.results.record["answer"]
    planes = {
        "principal components": {
            **_paths(shown, centred @ axes.T),
            "words": f"The axes are the first two principal components of {name} over all shown "
            f"puzzles and segments. {_held(points, axes, held)}",
        }
    }
    outcome = outcomes(shown.results)[shown.puzzles]
    direction = _discriminant(centred[finite, -1], outcome[finite])
    if direction is not None:
        rest = points - np.outer(points @ direction, direction)
        axes = np.stack([direction, _principal_axes(rest)[0]])
        planes["discriminant of the outcomes"] = {
            **_paths(shown, centred @ axes.T),
            "words": "The horizontal axis is the linear discriminant of solved and failed puzzles, "
            "fitted to their last states, so that it parts them by construction; the vertical axis "
            f"holds most of the variance that is left. {_held(points, axes, held)}",
        }
    return planes


def _paths(shown: Shown, points: np.ndarray) -> dict[str, Any]:
    """Returns the paths (n, s, 2) of the shown puzzles, and where they end."""
    segments, outcome = shown.segments.tolist(), outcomes(shown.results)
    x, y = written(points[..., 0], 3), written(points[..., 1], 3)
    paths = [{"segment": segments, "x": x[i], "y": y[i]} for i in range(len(points))]
    ends = [
        {"puzzle": puzzle, "outcome": str(outcome[puzzle]), "x": x[i][-1], "y": y[i][-1]}
        for i, puzzle in enumerate(shown.puzzles.tolist())
    ]
    return {"paths": paths, "ends": ends}


def _principal_axes(points: np.ndarray) -> np.ndarray:
    """Returns the principal axes (c, c) of centred points (m, c), that of most variance first."""
    variances, axes = np.linalg.eigh(points.T @ points)
    return axes.T[np.argsort(-variances)]


def _discriminant(states: np.ndarray, outcome: np.ndarray) -> np.ndarray | None:
    """Returns the unit vector (c,) of Fisher's discriminant; None for groups that are too small."""
    groups = [states[outcome == name] for name in ("solved", "failed")]
    if min(map(len, groups)) < LEAST_GROUP:
        return None
    deviations = np.concatenate([group - group.mean(0) for group in groups])
    within = deviations.T @ deviations / len(deviations)
    shrunk = within + SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    direction = np.linalg.solve(shrunk, groups[1].mean(0) - groups[0].mean(0))
    length = np.linalg.norm(direction)
    return direction / length if np.isfinite(length) and length > 0 else None


def _held(points: np.ndarray, axes: np.ndarray, held: float) -> str:
    """Returns in words which share of the variance of the whole state a plane holds.

    Args:
      points: (m, c) centred states, projected to c directions.
      axes: (2, c) the plane.
      held: The share of the variance that the c directions hold.
    """
    share = held * np.square(points @ axes.T).sum() / np.square(points).sum()
    return (
        f"The plane holds {100 * share:.0f} % of the variance: what is close here may lie far "
        "apart in the rest."
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
    path = (
        alt.Chart(dataset("path"))
        .transform_flatten(["segment", "x", "y"])
        .encode(x=x, y=y, tooltip=["segment:Q"])
    )
    line = path.mark_line(color=INK, strokeWidth=1.2).encode(order="segment:Q")
    steps = path.mark_point(filled=True, color=INK, size=18, opacity=1)
    here = path.transform_filter("datum.segment == at").mark_point(
        size=180, stroke=INK, strokeWidth=2.5, opacity=1
    )
    start = (
        path.transform_window(place="row_number()")
        .transform_filter("datum.place == 1")
        .mark_text(dy=-10)
        .encode(text=alt.value("start"))
    )
    layers = alt.layer(ends, line, steps, here, start).add_params(alt.param(name="at", value=1))
    return specification(layers, ends=[], path=[])
