"""Results with everything that a page can show, made up by hand, on small Sudokus."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.analysis.intervals import UNDEFINED, Interval
from rrjax.experiments.basins import BASIN
from rrjax.experiments.slices import SLICE
from rrjax.experiments.spectra import SPECTRUM
from rrjax.page.panels import (
    Panel,
    board_chart,
    curve_chart,
    interval_chart,
    interval_row,
    plane_chart,
)
from rrjax.puzzles.sudoku import to_tokens
from rrjax.puzzles.sudoku_generate import generate_sudokus
from rrjax.results.results import Results
from rrjax.training.history import Run

SUDOKUS = generate_sudokus(4, 24, seed=1)
INPUTS, LABELS = (to_tokens(boards).astype(np.uint8) for boards in SUDOKUS)
NUMBER, SEGMENTS, PER_SEGMENT, EXPONENTS = len(INPUTS), 6, 3, 4
SOLVED = np.arange(NUMBER) % 3 > 0


def answers(seed: int = 0) -> np.ndarray:
    """Returns (N, segments, cells) answers that get right cell by cell; failures stay wrong."""
    rng = np.random.default_rng(seed)
    guesses = rng.integers(2, 6, (NUMBER, SEGMENTS, 16))
    late = rng.integers(0, SEGMENTS - 1, (NUMBER, 16))
    late[~SOLVED, :5] = SEGMENTS
    right = np.arange(SEGMENTS)[:, None] >= late[:, None]
    right |= (INPUTS > 1)[:, None]
    wrong = np.where(guesses == LABELS[:, None], (guesses - 1) % 4 + 2, guesses)
    return np.where(right, LABELS[:, None], wrong).astype(np.uint8)


def spectrum(**changes: Any) -> Results:
    """Returns a spectrum; failures are chaotic. Changed arrays that are None are left out."""
    rng = np.random.default_rng(1)
    shape = NUMBER, SEGMENTS
    growth = rng.normal(-0.1, 0.1, (NUMBER, SEGMENTS * PER_SEGMENT, EXPONENTS))
    growth += 0.3 * ~SOLVED[:, None, None] - 0.1 * np.arange(EXPONENTS)
    states = rng.normal(0, 0.3, (*shape, 5)) + np.arange(SEGMENTS)[:, None] * [2, 1, 0, 0, 0]
    states[..., 1] += 3.0 * SOLVED[:, None]
    share = rng.random((*shape, EXPONENTS, 16))
    arrays = {
        "exponents": growth.mean(axis=1),
        "log_growth": growth,
        "drift_z_H": 10 ** rng.normal(-1, 1, shape) * (1 + 9 * ~SOLVED[:, None]),
        "residual": 10 ** rng.normal(-3, 1, shape),
        "q_halt_by_segment": rng.normal(0, 2, shape),
        "q_halt": rng.normal(0, 2, NUMBER),
        "distance_to_end": np.abs(states - states[:, -1:]).mean(axis=2),
        "projection": states - states.mean(axis=(0, 1)),
        "projection_variance": np.array([0.4, 0.2, 0.1, 0.05, 0.05]),
        "participation_z_H": 0.5 * share / share.sum(axis=-1, keepdims=True),
        "participation_z_L": 0.5 * share / share.sum(axis=-1, keepdims=True),
        "inputs": INPUTS,
        "labels": LABELS.astype(np.int32),
        "answers": answers()[:, -1],
        "answers_by_segment": answers(),
        "snapshot": np.arange(1, SEGMENTS + 1),
        "solved_by_segment": (answers() == LABELS[:, None]).all(axis=2),
        "solved": SOLVED,
        "finite": np.ones(NUMBER, bool),
    } | changes
    kept = {"num_exponents": EXPONENTS, "attribution": True, "precision": "exact"}
    return _results(SPECTRUM, arrays, **kept)


def basin(**changes: Any) -> Results:
    """Returns restarts: three starts of two σ; those of odd repeats fail."""
    sigma, repeat = np.array([0.0, 0.1, 0.1, 0.1, 1, 1, 1]), np.array([0, 0, 1, 2, 0, 1, 2])
    last = answers()[:, -1]
    of_runs = np.stack(
        [answers(seed)[:, -1] if r % 2 else last for seed, r in enumerate(repeat)], 1
    )
    right = (of_runs == LABELS[:, None]).all(axis=2)
    rng = np.random.default_rng(2)
    arrays = {
        "sigma": sigma,
        "repeat": repeat,
        "answers": of_runs,
        "solved": np.repeat(right[:, :, None], SEGMENTS, axis=2),
        "q_halt": rng.normal(0, 2, right.shape),
        "residual": 10 ** rng.normal(-3, 1, right.shape),
        "late_drift": 10 ** rng.normal(-1, 1, right.shape),
        "snapshot": np.array([1, 2, 4, 6]),
        "projection": rng.normal(0, 1, (*right.shape, 4, 3)),
        "projection_variance": np.array([0.5, 0.2, 0.1]),
        "inputs": INPUTS,
        "labels": LABELS.astype(np.int32),
    } | changes
    return _results(BASIN, arrays, sigmas=[0.0, 0.1, 1.0], num_restarts=3)


def plane(grid: int = 5) -> Results:
    """Returns a slice with two answers, half of the plane each, and one start that moves."""
    places, side = np.linspace(-1, 1, grid), np.arange(grid) < grid // 2
    index = np.where(side, 0, 1) + np.zeros((grid, 1), int)
    index[0, 0] = -1
    distinct = np.stack([LABELS[0], answers()[0, -1]])
    arrays = {
        "a": places,
        "b": places,
        "answer_index": index,
        "answer_at": np.arange(grid * grid).reshape(grid, grid) % SEGMENTS + 1,
        "distinct_answers": distinct,
        "solved": index == 0,
    }
    return _results(SLICE, arrays, grid=grid)


def training(*metrics: str, steps: int = 30) -> Run:
    """Returns a training run that has done 3 of its rows, with one test of each metric."""
    step = np.array([10.0, 20.0, 30.0])
    columns = {name: np.array([np.nan, 0.5, 0.25]) for name in metrics}
    config = {
        "identity": {"recipe": {"steps": steps}},
        "made_by": {"command": ["rrjax", "train", "--out", "mine"]},
    }
    return Run(Path("mine"), config, {"step": step, "loss": 3 - step / 20} | columns)


def _axes(name: str, array: np.ndarray, kind: str) -> list[str]:
    if kind == "basin":
        known = {
            "sigma": ["run"],
            "repeat": ["run"],
            "answers": ["puzzle", "run", "cell"],
            "snapshot": ["snapshot"],
            "projection": ["puzzle", "run", "snapshot", "component"],
            "projection_variance": ["component"],
        }
        plain = ["puzzle", "cell"] if name in ("inputs", "labels") else ["puzzle", "run", "segment"]
        return known.get(name, plain)[: array.ndim]
    if kind == "slice":
        known = {"a": ["a"], "b": ["b"], "distinct_answers": ["answer", "cell"]}
        return known.get(name, ["a", "b"])
    known = {
        "inputs": ["puzzle", "cell"],
        "labels": ["puzzle", "cell"],
        "exponents": ["puzzle", "exponent"],
        "log_growth": ["puzzle", "update", "exponent"],
        "projection": ["puzzle", "snapshot", "component"],
        "projection_variance": ["component"],
        "snapshot": ["snapshot"],
        "answers": ["puzzle", "cell"],
        "answers_by_segment": ["puzzle", "snapshot", "cell"],
        "distance_to_end": ["puzzle", "snapshot"],
    }
    return known.get(name, ["puzzle", "segment", "exponent", "token"])[: array.ndim]


def _results(experiment: Any, arrays: dict[str, Any], **options: Any) -> Results:
    kept = {name: array for name, array in arrays.items() if array is not None}
    axes = {name: _axes(name, array, experiment.name) for name, array in kept.items()}
    number = len(kept["solved"])
    record = {
        "experiment": experiment.name,
        "answer": "z_H",
        "model": {"name": "made-up", "sha256": "ab" * 32, "provenance": {}},
        "options": {
            **options,
            "num_segments": SEGMENTS,
            "num_puzzles": number,
            "seed": 0,
            "dtype": "float32",
        },
        "puzzles": {"sha256": "cd" * 32, "vocab_size": 6},
        "updates_per_segment": PER_SEGMENT,
        "dimension": 64,
        "axes": axes,
        "units": dict.fromkeys(axes, "a unit"),
        "made_by": {
            "versions": {"rrjax": "0.3.0"},
            "time_utc": "2026-01-01T00:00:00+00:00",
            "command": ["rrjax", experiment.name, "made-up"],
        },
    }
    return Results(kept, record, experiment)


def panelled() -> Results:
    """Returns the spectrum as the result of an experiment that only its own panels show."""
    half = Interval(0.5, 0.25, 0.75)
    rows = [
        interval_row(name, group, half, x=place, facet=facet)
        for facet in ("one", "two")
        for place, name in enumerate(("first", "second", "third"))
        for group in ("solved", "failed", "random")
    ]
    rows.append(interval_row("second", "failed", UNDEFINED, x=1, facet="two"))
    points = [{"x": 0.5, "y": sign * 2, "group": "failed"} for sign in (1, -1)]
    maps = {"a map": np.arange(16) - 5.0}
    panels = [
        Panel("Rows & intervals", "Eighteen intervals.", interval_chart(rows, "a share")),
        Panel("Curves", "Six curves.", curve_chart(rows, "segment", "a share", rule=0.1)),
        Panel("A plane", "Two points.", plane_chart(points, "real", "imaginary", True)),
        Panel("A board", "One map.", board_chart(maps, "change", 6)),
    ]
    experiment = replace(SPECTRUM, name="own_kind", panels=lambda results, numbers: panels)
    whole = spectrum()
    return Results(whole.arrays, {**whole.record, "experiment": "own_kind"}, experiment)
