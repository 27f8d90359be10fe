"""Results made by hand or drawn at random, for the tests of numbers, tables and figures."""

import numpy as np

SIGMA = np.array([0, 0.1, 0.1, 1.0, 1.0])
SEGMENTS, READOUT = 5, 3
ALWAYS, LATER, NEVER, LOST, BY_CHANCE = range(5)


def spectra(num_solved, num_failed, num_exponents=3, num_segments=6):
    """Returns exponents, solved, drift and finite of so many puzzles; failures are more chaotic."""
    rng = np.random.default_rng(num_solved)
    n = num_solved + num_failed
    solved = np.arange(n) < num_solved
    exponents = rng.normal(0.1, 0.05, (n, num_exponents)) - 0.08 * solved[:, None]
    drift = np.exp(rng.normal(size=(n, num_segments))) * np.where(solved, 0.1, 1.0)[:, None]
    return exponents, solved, drift, np.ones(n, dtype=bool)


def restarts() -> dict[str, np.ndarray]:
    """Returns five puzzles by what becomes of them."""
    solved = np.zeros((5, 5, SEGMENTS), bool)
    solved[ALWAYS, :, 1:] = True
    solved[LATER, :, 4:] = True  # from every start, after the readout
    solved[LOST, 0, 0] = True  # only z0, which loses the answer at once
    solved[BY_CHANCE, 2, 2:] = True
    solved[BY_CHANCE, 3, 2] = True
    drift = np.where(solved[:, :, -1], 1e-4, 3.0)
    drift[NEVER, 4] = np.nan
    return {
        "sigma": SIGMA,
        "solved": solved,
        "answers": solved[:, :, -1:].astype(np.uint8),
        "q_halt": solved[:, :, -1].astype(np.float32),
        "residual": drift / 10,
        "late_drift": drift,
    }


def noisy() -> dict[str, np.ndarray]:
    """Returns four puzzles, one run without noise and four with; solved at the end only."""
    end = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 0, 0, 1]], bool)
    solved = np.zeros((4, 5, 3), bool)
    solved[:, :, -1] = end
    solved[:, :, 0] = ~end
    q = np.array([[1, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 4, 3, 2, 1], [0, 3, 1, 2, 4]], float)
    return {
        "sigma": np.array([0, 0.3, 0.3, 0.3, 0.3]),
        "solved": solved,
        "answers": end[:, :, None].astype(np.uint8),
        "q_halt": q,
        "residual": -q,
        "exponents": np.stack([np.full_like(q, -9), -q], axis=2),
    }


def rollouts(solved, **arrays) -> dict[str, np.ndarray]:
    """Returns the arrays of a rollout that solves as told."""
    solved = np.asarray(solved, dtype=bool)
    same = {"token_accuracy": 0.5 + solved / 2, "residual": np.full(solved.shape, 0.1)}
    return {"solved": solved, **same, **arrays}
