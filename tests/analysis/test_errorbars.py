"""Error bars along time and between frames: processes whose error is known exactly."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrjax.analysis.errorbars import (
    block_standard_error,
    frame_spread,
    largest_frame_spread,
    split_half,
)

GROWTH = hnp.arrays(
    np.float64, st.tuples(st.integers(4, 30), st.just(2)), elements=st.floats(-9, 9)
)


def autoregressive(phi, num_runs, num_steps, seed=0):
    """Runs (num_runs, num_steps, 1) of x' = φx + noise, stationary with variance 1."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(num_steps, num_runs)) * np.sqrt(1 - phi**2)
    x = np.empty((num_steps, num_runs))
    x[0] = rng.normal(size=num_runs)
    for t in range(1, num_steps):
        x[t] = phi * x[t - 1] + noise[t]
    return x.T[..., None]


def test_independent_growth_has_the_error_sigma_over_root_t():
    growth = np.random.default_rng(0).normal(0.1, [0.5, 2.0], size=(600, 96, 2))
    for num_blocks in (2, 8, 12, 96):
        mean_square = (block_standard_error(growth, num_blocks) ** 2).mean(axis=0)
        # 600 runs with B − 1 degrees of freedom: relative error √(2/(600 (B − 1))), times 5
        tolerance = 5 * np.sqrt(2 / (600 * (num_blocks - 1)))
        np.testing.assert_allclose(mean_square, np.array([0.25, 4.0]) / 96, rtol=tolerance)


def test_unequal_blocks_are_unbiased_too():
    growth = np.random.default_rng(1).normal(size=(4000, 21, 1))
    mean_square = (block_standard_error(growth, 8) ** 2).mean()
    assert mean_square == pytest.approx(1 / 21, rel=5 * np.sqrt(2 / (4000 * 7)))


def test_correlated_growth_needs_blocks():
    phi, num_steps = 0.8, 2048
    growth = autoregressive(phi, num_runs=400, num_steps=num_steps)
    t = np.arange(1, num_steps)
    exact = np.sqrt((1 + 2 * np.sum((1 - t / num_steps) * phi**t)) / num_steps)
    blocks = np.sqrt((block_standard_error(growth, 16) ** 2).mean())
    naive = np.sqrt((block_standard_error(growth, num_steps) ** 2).mean())
    assert growth.mean(axis=1).std() == pytest.approx(exact, rel=0.12)
    assert blocks == pytest.approx(exact, rel=0.06)
    assert naive == pytest.approx(1 / np.sqrt(num_steps), rel=0.03)
    assert exact > 2.9 * naive


def test_one_step_a_block_is_the_naive_error():
    growth = np.random.default_rng(2).normal(size=(3, 50, 4))
    np.testing.assert_allclose(
        block_standard_error(growth, 50), growth.std(axis=1, ddof=1) / np.sqrt(50), rtol=1e-12
    )


@given(GROWTH, st.data())
def test_blocks_by_loop_shift_and_scale(growth, data):
    num_blocks = data.draw(st.integers(2, len(growth)))
    found = block_standard_error(growth, num_blocks)
    edges = [b * len(growth) // num_blocks for b in range(num_blocks + 1)]
    blocks = [growth[a:b] for a, b in pairwise(edges)]
    between = sum(len(b) * (b.mean(axis=0) - growth.mean(axis=0)) ** 2 for b in blocks)
    expected = np.sqrt(between / ((num_blocks - 1) * len(growth)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    moved = block_standard_error(3 * growth + 1, num_blocks)
    np.testing.assert_allclose(moved, 3 * found, rtol=1e-9, atol=1e-12)


def test_blocks_of_whole_periods_do_not_see_the_schedule():
    # An answer update grows unlike the latent updates, the same in every segment.
    growth = np.tile([1.0, 1.0, -5.0], 10)[:, None]
    assert block_standard_error(growth, 5, period=3) == pytest.approx(0, abs=1e-14)
    assert block_standard_error(growth, 4, period=3) == pytest.approx(0, abs=1e-14)
    assert block_standard_error(growth, 4) > 0.05
    assert split_half(growth[:27], period=3).difference == pytest.approx(0, abs=1e-14)
    assert abs(split_half(growth[:27]).difference) > 0.1


@given(GROWTH)
def test_half_the_difference_of_halves_is_the_error_of_two_blocks(growth):
    growth = growth[: len(growth) // 2 * 2]
    halves = split_half(growth)
    np.testing.assert_allclose(
        np.abs(halves.difference) / 2, block_standard_error(growth, 2), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose((halves.first + halves.second) / 2, growth.mean(axis=0), atol=1e-12)


def test_halves_show_a_transient():
    growth = np.exp(-np.arange(100) / 10)[None, :, None]
    first, second, difference = split_half(growth)
    assert first.shape == second.shape == difference.shape == (1, 1)
    assert second < first
    assert difference == second - first
    odd = split_half(np.array([[1.0], [2.0], [6.0]]))
    assert (odd.first, odd.second, odd.difference) == (1, 4, 3)


def test_many_runs_are_many_single_ones():
    growth = np.random.default_rng(3).normal(size=(5, 24, 3)).astype(np.float32)
    together, halves = block_standard_error(growth, 6, period=2), split_half(growth, period=2)
    assert together.shape == (5, 3)
    assert together.dtype == np.float64
    for i, run in enumerate(growth):
        np.testing.assert_array_equal(together[i], block_standard_error(run, 6, period=2))
        np.testing.assert_array_equal(halves.difference[i], split_half(run, period=2).difference)


def test_a_direction_that_is_annihilated_or_unknown_has_no_error():
    growth = np.random.default_rng(4).normal(size=(20, 3))
    growth[3, 1], growth[17, 2] = -np.inf, np.nan
    error = block_standard_error(growth, 4)
    assert np.isnan(error).tolist() == [False, True, True]
    halves = split_half(growth)
    assert halves.first[1] == -np.inf
    assert np.isfinite(halves.second[1])
    assert halves.difference[1] == np.inf
    assert np.isnan(halves.difference[2])
    growth[18, 1] = -np.inf
    assert np.isnan(split_half(growth).difference[1])


def test_constant_growth_has_no_error():
    assert block_standard_error(np.full((16, 1), 0.25), 8) == 0


@pytest.mark.parametrize(
    ("shape", "num_blocks", "period", "message"),
    [
        (
            (16,),
            4,
            1,
            r"log_growth must be numbers of shape \(\.\.\., steps, k\); got float64 of \(16,\)",
        ),
        ((16, 2), 1, 1, r"num_blocks must lie in 2\.\.16, the periods of log_growth; got 1"),
        ((16, 2), 17, 1, "got 17"),
        ((16, 2), 5, 4, r"num_blocks must lie in 2\.\.4,"),
        ((16, 2), 4, 3, "whole periods of 3 steps; it has 16"),
        ((16, 2), 4, 0, "period must be at least 1"),
        ((0, 2), 2, 1, "num_blocks must lie in"),
    ],
)
def test_blocks_that_cannot_be_are_refused(shape, num_blocks, period, message):
    with pytest.raises(ValueError, match=message):
        block_standard_error(np.zeros(shape), num_blocks, period)


@pytest.mark.parametrize(
    ("shape", "period", "message"),
    [
        ((1, 2), 1, "two halves need at least 2 periods of 1 steps; got 1"),
        ((6, 2), 6, "two halves need at least 2 periods of 6 steps; got 1"),
        ((6, 2), 4, "whole periods of 4 steps"),
        ((6,), 1, "log_growth must be numbers of shape"),
    ],
)
def test_halves_that_cannot_be_are_refused(shape, period, message):
    with pytest.raises(ValueError, match=message):
        split_half(np.zeros(shape), period)


def test_the_spread_over_frames():
    exponents = np.array([[0.1, -1.0], [0.3, -1.0], [0.2, -1.0]])
    spread = frame_spread(exponents)
    np.testing.assert_allclose(spread.mean, [0.2, -1.0])
    np.testing.assert_allclose(spread.standard_deviation, [0.1, 0.0], atol=1e-15)
    np.testing.assert_array_equal(spread.smallest, [0.1, -1.0])
    np.testing.assert_array_equal(spread.largest, [0.3, -1.0])


def test_frames_are_forgotten_like_one_over_time():
    # diag(2, ½): a frame at angle θ has λ₁ = ln|(2^T cos θ, 2^−T sin θ)| / T.
    angles = np.linspace(0.1, 1.4, 8)
    stretched = [
        np.log(np.hypot(2.0**steps * np.cos(angles), 2.0**-steps * np.sin(angles))) / steps
        for steps in (20, 40)
    ]
    short, long = (frame_spread(exponents[:, None]) for exponents in stretched)
    assert long.standard_deviation == pytest.approx(short.standard_deviation / 2, rel=1e-6)
    # all frames start off the leading direction: the mean is biased towards smaller values
    assert long.largest < np.log(2)


def test_few_frames_and_odd_numbers():
    single = frame_spread([[0.1, 0.2]])
    np.testing.assert_array_equal(single.mean, [0.1, 0.2])
    assert np.isnan(single.standard_deviation).all()
    odd = frame_spread([[-np.inf, np.nan], [0.5, 0.5]])
    assert (odd.mean[0], odd.smallest[0], odd.largest[0]) == (-np.inf, -np.inf, 0.5)
    assert np.isnan(odd.standard_deviation).all()
    assert np.isnan([odd.mean[1], odd.smallest[1], odd.largest[1]]).all()
    for empty in (np.zeros((0, 3)), np.array(0.5)):
        with pytest.raises(
            ValueError, match=r"exponents must be numbers of shape \(frames, \.\.\.\)"
        ):
            frame_spread(empty)


@pytest.mark.parametrize(("growth", "share"), [(0.0, 0.0), (0.3, 0.3), (30.0, 1.0)])
def test_the_spread_over_frames_has_a_bound_that_a_dominant_direction_reaches(growth, share):
    """ln ‖M v‖ over random v; the singular values are e^(growth · i)."""
    v = np.random.default_rng(0).normal(size=(20_000, 30))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    lengths = np.linalg.norm(v * np.exp(growth * np.arange(30) - growth * 29), axis=1)
    bound = largest_frame_spread(num_steps=10)
    spread = np.std(np.log(lengths) / 10)
    assert spread < 1.02 * bound
    assert spread == pytest.approx(share * bound, abs=0.15 * bound)
