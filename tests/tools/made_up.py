"""A spectrum made up by hand, as an experiment returns it, with nothing computed."""

from typing import Any

import numpy as np

from rrjax.experiments.experiment import Experiment
from rrjax.experiments.spectra import SPECTRUM
from rrjax.puzzles.sudoku import to_tokens
from rrjax.puzzles.sudoku_generate import generate_sudokus
from rrjax.results.results import Results

NUMBER, SEGMENTS, PER_SEGMENT = 60, 4, 3
BOARDS = generate_sudokus(4, NUMBER, seed=0).boards


def spectrum_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Solved runs settle and contract, with exceptions; they are solved one after the other."""
    rng = np.random.default_rng(seed)
    first = rng.integers(1, SEGMENTS + 4, NUMBER)
    solved = np.arange(1, SEGMENTS + 1) >= first[:, None]
    still = np.where(rng.random(NUMBER) < 0.1, rng.random(NUMBER) < 0.5, solved[:, -1])
    growth = rng.normal(0, 0.3, (NUMBER, SEGMENTS * PER_SEGMENT, 2)) + 0.2
    growth -= 0.3 * np.repeat(solved, PER_SEGMENT, axis=1)[:, :, None]
    drift = 10 ** rng.normal(np.where(still, -4.0, 0.5)[:, None], 0.4, (NUMBER, SEGMENTS))
    return {
        "exponents": growth.mean(1).astype(np.float32),
        "log_growth": growth.astype(np.float32),
        "drift_z_H": drift.astype(np.float32),
        "solved": solved[:, -1],
        "solved_by_segment": solved,
        "finite": np.ones(NUMBER, bool),
        "q_halt": rng.normal(size=NUMBER).astype(np.float32),
        "inputs": to_tokens(BOARDS).astype(np.uint8),
    }


def spectrum_results(
    arrays: dict[str, np.ndarray] | None = None, kind: Experiment = SPECTRUM, **facts: Any
) -> Results:
    """Returns a spectrum of these arrays on 4 × 4 Sudokus."""
    record = {
        "answer": "z_H",
        "model": {"name": "m", "sha256": "ab" * 32, "provenance": {}},
        "options": {"seed": 0, "attribution": False, "num_puzzles": NUMBER},
        "puzzles": {"sha256": "cd" * 32, "vocab_size": 6},
        "dimension": 256,
    }
    return kind.results(arrays or spectrum_arrays(), record | facts)
