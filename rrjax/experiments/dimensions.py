"""The dimension of the states after every segment, by outcome."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rrjax.analysis.blank_cells import blank_features
from rrjax.analysis.dimension import (
    NUM_NEIGHBOURS,
    local_inverses,
    mle_dimension,
    nearest,
    participation_ratio,
    pooled,
    two_nn,
)
from rrjax.analysis.dimensions import DimensionSummary, summarize_dimension
from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.analysis.similarity import squared_distances
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.page.dimensions import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.dimensions import dimension_by_scale, dimension_by_segment
from rrjax.plots.similarities import foretelling_figure
from rrjax.reports import dimensions as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

MEASURES = ("participation", "two_nn", "mle")
GROUPS = ("all", "solved", "failed")
PARTS = (1, 2, 4, 8)
"""Into how many equal parts the puzzles are cut for the dependence on scale."""

ARRAYS = {
    "dimension_": ArraySpec(
        ("measure", "group", "segment", "interval"), "dimension, with the ends of its interval"
    ),
    "by_scale_": ArraySpec(
        ("scale", "segment", "interval"), "TwoNN dimension of parts of the puzzles, with its ends"
    ),
    "inverse_": ArraySpec(
        ("puzzle", "segment"), "1/dimension around the puzzle's state, of the nearest neighbours"
    ),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "solved_by_segment": ArraySpec(
        ("puzzle", "segment"), "whether the answer after the segment is right", "b"
    ),
}
LEAST = NUM_NEIGHBOURS + 1


def dimension(states: Results, *, seed: int = 0, folder: str | Path | None = None) -> Results:
    """Estimates the dimension of the states after every segment: linear, TwoNN and likelihood.

    Each puzzle is one point, of the states of its blank cells; a given cell stands at the mean.
    The groups are all puzzles, and as many solved as failed ones, since an estimate depends on the
    number of points.

    Args:
      states: What `rrjax.experiments.states` recorded, of at least 11 puzzles.
      seed: Draws which puzzles of the larger group are left out, and the parts of half the puzzles
        and fewer.
      folder: Where the result goes, if anywhere.

    Returns:
      For each model m (`trained`, `untrained`) and field f: `dimension_m_f` (3 measures, 3 groups,
      segments, 3), each with the ends of its interval, NaN for a group of fewer than 11 puzzles;
      `by_scale_m_f` (scales, segments, 3), TwoNN of the puzzles cut into 1, 2, 4 and 8 parts;
      `inverse_m_f` (N, segments) around each puzzle. `solved_by_segment` (N, segments), `solved`.

    Raises:
      ValueError: There are too few puzzles, two have equal states, or a state is not finite.

    Example:
      >>> model = rrjax.load_model("trm-sudoku6")
      >>> states = rrjax.experiments.states(
      ...     model, model.test_puzzles()[:12], num_segments=2, untrained=False, progress=False
      ... )
      >>> rrjax.experiments.dimension(states)["dimension_trained_z_H"].shape
      (3, 3, 2, 3)
    """
    number, _ = states["solved_by_segment"].shape
    if number < LEAST:
        raise ValueError(
            f"dimension: expected at least {LEAST} puzzles, each of which is one point with "
            f"{NUM_NEIGHBOURS} neighbours, found {number}; record more puzzles"
        )
    solved = states["solved"]
    order = np.random.default_rng(seed).permutation(number)
    each = min(int(solved.sum()), int((~solved).sum()))
    members = [order, order[solved[order]][:each], order[~solved[order]][:each]]
    arrays: Arrays = {}
    for name, recording in recordings(states).items():
        for field in recording.fields:
            arrays |= _estimate(recording, field, f"{name}_{field}", members)
    arrays |= {"solved_by_segment": states["solved_by_segment"], "solved": solved}
    facts = {
        "measures": list(MEASURES),
        "groups": list(GROUPS),
        "group_sizes": [number, each, each],
        "scales": [number // parts for parts in PARTS if number // parts >= LEAST],
    }
    options = {"dimension_seed": seed}
    return make_analysis(DIMENSION, states, arrays, options, folder, **facts)


def _estimate(recording: Recording, field: str, name: str, members: list[np.ndarray]) -> Arrays:
    """Returns the arrays of one field of one model."""
    measured, scales, inverses = [], [], []
    for segment in range(recording.solved.shape[1]):
        x = blank_features(recording.fields[field][:, segment], recording.blank)
        distances = squared_distances(x)
        measured.append([[_ends(m, distances, group) for group in members] for m in _MEASURES])
        scales.append(_scales(distances, members[0]))
        inverses.append(local_inverses(nearest(distances), NUM_NEIGHBOURS))
    return {
        f"dimension_{name}": np.moveaxis(np.array(measured), 0, 2),
        f"by_scale_{name}": np.swapaxes(np.array(scales), 0, 1),
        f"inverse_{name}": np.stack(inverses, axis=1).astype(np.float32),
    }


_MEASURES: tuple[Callable[[np.ndarray], Interval], ...] = (
    participation_ratio,
    lambda distances: two_nn(nearest(distances)),
    lambda distances: mle_dimension(nearest(distances)),
)


def _ends(
    measure: Callable[[np.ndarray], Interval], distances: np.ndarray, group: np.ndarray
) -> tuple[float, float, float]:
    if len(group) < LEAST:
        return UNDEFINED.ends
    return measure(distances[np.ix_(group, group)]).ends


def _scales(distances: np.ndarray, order: np.ndarray) -> list[tuple[float, float, float]]:
    """Returns TwoNN of all puzzles, and of halves, quarters and eighths without a common puzzle."""
    ends = []
    for parts in PARTS:
        size = len(order) // parts
        if size >= LEAST:
            cuts = [order[i * size : (i + 1) * size] for i in range(parts)]
            ends.append(pooled([two_nn(nearest(distances[np.ix_(c, c)])) for c in cuts]).ends)
    return ends


def numbers(results: Results) -> DimensionSummary:
    """Returns the dimensions after some segments, by outcome, and what they foretell."""
    return summarize_dimension(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the dimensions by segment and outcome, by scale, and what they foretell."""
    summary = numbers(results)
    draws: dict[str, Draw] = {
        "dimension_by_segment": partial(dimension_by_segment, results, results.record),
        "dimension_by_scale": partial(dimension_by_scale, results, results.record),
    }
    if summary.foretelling:
        title = "Dimension around a puzzle's state"
        draws["dimension_foretells"] = partial(foretelling_figure, summary.foretelling, title)
    return draws


DIMENSION = Experiment(
    "dimension", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
