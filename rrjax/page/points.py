"""Fixed points on the page: what trajectories do by outcome, and the stability of their points."""

import numpy as np

from rrjax.analysis.points import PointSummary
from rrjax.page.panels import Panel, interval_chart, interval_row, plane_chart
from rrjax.page.shown import written
from rrjax.results.results import Results


def panels(results: Results, summary: PointSummary) -> list[Panel]:
    """Returns the shares of the fates by outcome, and the leading eigenvalues in their plane."""
    groups = [group for group in summary.groups if group.number]
    sizes = ", ".join(f"{group.number} {group.name}" for group in groups)
    rows = [
        interval_row(fate.name, group.name, fate.share, puzzles=fate.number)
        for group in groups
        for fate in group.fates
    ]
    points = _points(results, summary)
    counts = ", ".join(
        f"{sum(row['group'] == group.name for row in points)} {group.name}" for group in groups
    )
    return [
        Panel(
            "What trajectories do in the end",
            f"Shares among puzzles that are {sizes} at segment {summary.readout_segment}, after "
            f"{summary.num_segments} segments, with the 95 % intervals of Clopper and Pearson.",
            interval_chart(rows, "share of the group", rule=None),
        ),
        Panel(
            "Leading eigenvalues of the points",
            f"A mark for each search that reached a point ({counts}): the eigenvalue of largest "
            f"modulus of one {summary.clock}, and its conjugate. A point is stable inside of the "
            "unit circle.",
            plane_chart(points, "real part", "imaginary part", is_circle_drawn=True),
        ),
    ]


def _points(results: Results, summary: PointSummary) -> list[dict]:
    """Returns the leading eigenvalue of each search that reached a point of the least period."""
    reached = np.isfinite(results["norm"]) & (results["period"] == results["period"].min())
    real, imaginary = (results[f"eigenvalue_{part}"][..., 0] for part in ("real", "imag"))
    return [
        {
            "x": written(real[puzzle, search]),
            "y": written(sign * imaginary[puzzle, search]),
            "group": "failed" if summary.failed[puzzle] else "solved",
            "puzzle": puzzle,
        }
        for puzzle, search in np.argwhere(reached).tolist()
        for sign in ((1, -1) if imaginary[puzzle, search] else (1,))
    ]
