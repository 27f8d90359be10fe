"""Scores beside λ₁: each is held fixed by its own kind, and NaN leaves a puzzle out."""

import numpy as np

from rrjax.analysis.controls import auc_given, auc_near
from rrjax.analysis.rivals import rivals
from rrjax.analysis.separation import auc_interval


def test_whole_numbers_are_held_fixed_exactly_and_others_nearly():
    rng = np.random.default_rng(0)
    solved, lambda1 = rng.random(60) < 0.5, rng.normal(size=60)
    clues, q = rng.integers(0, 4, 60), rng.normal(size=60)
    q[3] = np.nan
    first, second = rivals(lambda1, solved, {"clues": clues, "q": q})
    assert first.auc == auc_interval(clues, solved)
    assert first.lambda1_given == auc_given(-lambda1, solved, clues)
    known = np.arange(60) != 3
    assert second.auc == auc_interval(q[known], solved[known])
    assert second.lambda1_given == auc_near(-lambda1[known], solved[known], q[known])
