"""Variance over puzzles, starts and relabellings: planted components, and pass@k beyond K."""

import numpy as np
import pytest

from rrjax.analysis.variance import fit_beta_binomial, variance_shares


def test_outcomes_that_one_factor_decides_are_its_alone():
    rng = np.random.default_rng(0)
    flags = rng.random((200, 4, 5)) < 0.5
    by_puzzle = np.broadcast_to(flags[:, :1, :1], flags.shape)
    by_start = np.broadcast_to(flags[:, :, :1], flags.shape)
    by_relabelling = np.broadcast_to(flags[:, :1], flags.shape)
    for outcomes, name in (
        (by_puzzle, "puzzle"),
        (by_start, "start"),
        (by_relabelling, "relabelling"),
        (flags, "interaction"),
    ):
        shares = variance_shares(np.array(outcomes))
        for other in ("puzzle", "start", "relabelling", "interaction"):
            share = getattr(shares, other)
            assert share.value == pytest.approx(float(other == name), abs=0.08)
            assert share.low <= share.value <= share.high
        assert shares.total == pytest.approx(0.25, abs=0.03)


def test_the_interval_covers():
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # P(solved) is .2 or .8 by puzzle: variance .09 of puzzles, .16 within
        chance = rng.choice([0.2, 0.8], size=(60, 1, 1))
        share = variance_shares(rng.random((60, 3, 3)) < chance).puzzle
        covered += share.low <= 0.36 <= share.high
    assert covered >= 53  # of 60, where 57 are expected


def test_outcomes_that_are_all_the_same_have_no_shares():
    shares = variance_shares(np.ones((5, 2, 2), bool))
    assert np.isnan(shares.puzzle.value)
    assert shares.total == 0
    with pytest.raises(ValueError, match="at least 3 puzzles"):
        variance_shares(np.ones((2, 2, 2), bool))


def test_a_planted_beta_law_is_found_and_extrapolates():
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 2.0, 4000)
    law = fit_beta_binomial(rng.random((4000, 8)) < chance[:, None])
    assert (law.a, law.b) == pytest.approx((0.5, 2.0), rel=0.08)
    assert law.pass_at(64) == pytest.approx(np.mean(1 - (1 - chance) ** 64), abs=0.01)
    with pytest.raises(ValueError, match="right and wrong ones"):
        fit_beta_binomial(np.ones((4, 3), bool))
