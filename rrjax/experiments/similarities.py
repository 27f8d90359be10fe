"""How alike the states are after different segments, and whether that tells the outcome."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.analysis.blank_cells import blank_features
from rrjax.analysis.jackknife import groups, jackknife_interval
from rrjax.analysis.similarities import SimilaritySummary, summarize_similarity
from rrjax.analysis.similarity import (
    LEAST,
    Comparison,
    dissimilarities,
    gram,
    kendall_tau_a,
    rsa,
    unbiased_cka,
)
from rrjax.experiments.controlled import TRAINED
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.page.similarities import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.similarities import similarity_by_segment, similarity_matrices
from rrjax.reports import similarities as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

_MATRIX = ("group", "segment", "other_segment")
_CKA = "unbiased linear CKA of the states after two segments"
_RSA = "Spearman's correlation of dissimilarities after two segments"
ARRAYS = {
    "cka_": ArraySpec(_MATRIX, _CKA),
    "correlation_": ArraySpec(_MATRIX, f"{_RSA}, 1 − Pearson"),
    "euclidean_": ArraySpec(_MATRIX, f"{_RSA}, Euclidean"),
    "means_": ArraySpec(("measure", "group", "interval"), "mean off the diagonal, with its ends"),
    "neighbours_": ArraySpec(
        ("measure", "group", "interval"), "mean of successive segments, with its ends"
    ),
    "tau_": ArraySpec(("step",), "Kendall's τ_a of successive segments, Euclidean"),
    "steadiness_": ArraySpec(
        ("puzzle", "step"), "cosine of a puzzle's centred states after successive segments"
    ),
    "unchanged": ArraySpec(("puzzle", "step"), "share of the blank cells whose answer stays"),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "solved_by_segment": ArraySpec(
        ("puzzle", "segment"), "whether the answer after the segment is right", "b"
    ),
}
MEASURES = ("cka", "correlation", "euclidean")
GROUPS = ("all", "solved", "failed")
_MOST_TAU = 64
"""Puzzles that τ_a is taken over, since it takes the fourth power of their number."""


def similarity(states: Results, *, folder: str | Path | None = None) -> Results:
    """Compares the states after different segments: unbiased CKA, RSA, and each puzzle's own.

    States of blank cells alone count; a given cell stands at the mean. Puzzles are the samples.
    The groups are all puzzles, those solved at the end, and those that fail.

    Args:
      states: What `rrjax.experiments.states` recorded, of at least 5 puzzles.
      folder: Where the result goes, if anywhere.

    Returns:
      For each model m (`trained`, `untrained`) and field f: `cka_m_f`, `correlation_m_f` and
      `euclidean_m_f` (groups, segments, segments), NaN for a group of fewer than 5 puzzles;
      `means_m_f` and `neighbours_m_f` (measures, groups, 3): their means off the diagonal and over
      successive segments, each with the ends of its jackknife interval over puzzles; `tau_m_f`
      (segments − 1,); `steadiness_m_f` (N, segments − 1). `unchanged` (N, segments − 1),
      `solved_by_segment` (N, segments) and `solved` (N,).

    Raises:
      ValueError: There are too few puzzles or segments, or a state is not finite.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=6)
      >>> run = rrjax.experiments.states(model, puzzles, num_segments=3, progress=False)
      >>> rrjax.experiments.similarity(run)["cka_trained_z_H"].shape
      (3, 3, 3)
    """
    number, segments = states["solved_by_segment"].shape
    if number <= LEAST:
        raise ValueError(
            f"similarity: expected at least {LEAST + 1} puzzles, which are the samples, found "
            f"{number}; record more puzzles"
        )
    if segments < 2:
        raise ValueError("similarity: expected 2 segments or more to compare, found 1")
    recorded = recordings(states)
    solved = states["solved"]
    members = [np.ones(number, bool), solved, ~solved]
    arrays: Arrays = {}
    for name, recording in recorded.items():
        for field in recording.fields:
            arrays |= _compare(recording, field, f"{name}_{field}", members)
    arrays |= {
        "unchanged": _unchanged(recorded[TRAINED]),
        "solved_by_segment": states["solved_by_segment"],
        "solved": solved,
    }
    facts = {"measures": list(MEASURES), "groups": list(GROUPS)}
    return make_analysis(SIMILARITY, states, arrays, {}, folder, **facts)


def _compare(recording: Recording, field: str, name: str, members: list[np.ndarray]) -> Arrays:
    """Returns the arrays of one field of one model."""
    number, segments = recording.solved.shape
    kinds = {kind: np.empty((segments, number, number)) for kind in MEASURES}
    steadiness, before = [], None
    for segment in range(segments):
        x = blank_features(recording.fields[field][:, segment], recording.blank)
        kinds["cka"][segment] = gram(x)
        for kind in MEASURES[1:]:
            kinds[kind][segment] = dissimilarities(x, kind)
        if before is not None:
            steadiness.append(_cosines(before, x))
        before = x
    made = {kind: [_within(kind, kinds[kind], m) for m in members] for kind in MEASURES}
    return {
        **{f"{kind}_{name}": np.stack([c.value for c in made[kind]]) for kind in MEASURES},
        f"means_{name}": _ends(made, _off_diagonal),
        f"neighbours_{name}": _ends(made, _successive),
        f"tau_{name}": _taus(kinds["euclidean"]),
        f"steadiness_{name}": np.stack(steadiness, axis=1).astype(np.float32),
    }


def _within(kind: str, matrices: np.ndarray, chosen: np.ndarray) -> Comparison:
    """Returns the comparison of segments within a group of puzzles; NaN where it is too small."""
    size, segments = int(chosen.sum()), len(matrices)
    if size <= LEAST:
        empty = np.full((segments, segments), np.nan)
        return Comparison(empty, empty[None])
    own = matrices[:, chosen][:, :, chosen]
    return unbiased_cka(own) if kind == "cka" else rsa(own, groups(size))


def _off_diagonal(matrices: np.ndarray) -> Any:
    upper = np.triu_indices(matrices.shape[-1], 1)
    return matrices[..., upper[0], upper[1]].mean(-1)


def _successive(matrices: np.ndarray) -> Any:
    return np.diagonal(matrices, 1, -2, -1).mean(-1)


def _ends(made: Mapping[str, list[Comparison]], mean: Callable) -> np.ndarray:
    """Returns (measures, groups, 3) means of matrices with the ends of their intervals."""
    return np.array(
        [
            [jackknife_interval(mean(c.value), mean(c.left_out)).ends for c in made[kind]]
            for kind in MEASURES
        ]
    )


def _cosines(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.einsum("nd,nd->n", before, after) / np.where(size > 0, size, np.nan)


def _taus(matrices: np.ndarray) -> np.ndarray:
    """Returns τ_a of the dissimilarities after successive segments, of the first puzzles."""
    few = matrices[:, :_MOST_TAU, :_MOST_TAU]
    pairs = few[:, *np.triu_indices(few.shape[1], 1)]
    return np.array([kendall_tau_a(a, b) for a, b in pairwise(pairs)])


def _unchanged(recording: Recording) -> np.ndarray:
    same = recording.answers[:, 1:] == recording.answers[:, :-1]
    blank = recording.blank[:, None]
    return ((same & blank).sum(2) / np.maximum(blank.sum(2), 1)).astype(np.float32)


def numbers(results: Results) -> SimilaritySummary:
    """Returns the mean similarities by outcome, and how well a puzzle's own tells its outcome."""
    return summarize_similarity(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the matrices of segments, and what tells the outcome after each segment."""
    return {
        "similarity_matrices": partial(similarity_matrices, results, results.record),
        "similarity_by_segment": partial(similarity_by_segment, numbers(results)),
    }


SIMILARITY = Experiment(
    "similarity", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
