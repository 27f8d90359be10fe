"""How uncertain one exponent is: along time, and between initial frames.

Between puzzles see `rrjax.analysis.intervals` and `rrjax.analysis.separation`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array


class SplitHalf(NamedTuple):
    """The exponents of both halves of a run, each (..., k) in nats per step.

    Attributes:
      first: Exponents of the first half.
      second: Exponents of the second half.
      difference: second − first.
    """

    first: Any
    second: Any
    difference: Any


class FrameSpread(NamedTuple):
    """Exponents from several initial frames, each field of shape (...).

    Attributes:
      mean: Mean over the frames.
      standard_deviation: Spread of one frame's exponent (n − 1 in the denominator).
      smallest: Smallest over the frames.
      largest: Largest over the frames.
    """

    mean: Any
    standard_deviation: Any
    smallest: Any
    largest: Any


def block_standard_error(log_growth: ArrayLike, num_blocks: int = 8, period: int = 1) -> Any:
    """Returns the standard error of an exponent along time, by batch means.

      se² = Σ_b n_b (m_b − λ)² / ((B − 1) T),  m_b the mean growth in block b of n_b steps

    The blocks are contiguous and as equal as whole periods allow. With B = T this is the naive
    error σ/√T, which takes the steps for independent. Growth is correlated in time, as a rule
    positively: blocks must be much longer than the correlation time or the error is too small,
    and B must not be too small or it is itself uncertain (by a share of about 1/√(2(B − 1))).
    Compare two numbers of blocks: an error that grows with longer blocks is not yet right.

    It answers "how far would λ move if this run were sampled again in the same regime". Of a run
    that is still settling the growth has a trend, which is counted as if it were chance.

    Args:
      log_growth: (..., steps, k) ln R_ii of each step, in nats.
      num_blocks: B.
      period: Steps after which the schedule repeats (the updates of a segment); blocks hold whole
        periods, because updates of different kinds grow differently.

    Returns:
      (..., k) in nats per step; NaN where the growth holds NaN or infinities.

    Raises:
      ValueError: The steps are not whole periods, or there are fewer than 2 blocks or more blocks
        than periods.

    Source: Schmeiser 1982, Oper. Res. 30, 556; Geyer 1992, Stat. Sci. 7, 473.

    Example:
      >>> growth = np.random.default_rng(0).normal(size=(800, 1))
      >>> round(float(rrjax.analysis.block_standard_error(growth)[0]), 2)
      0.02
    """
    growth, num_periods = _checked(log_growth, period)
    if not 2 <= num_blocks <= num_periods:
        raise ValueError(
            f"num_blocks must lie in 2..{num_periods}, the periods of log_growth; got {num_blocks}"
        )
    edges = period * (np.arange(num_blocks + 1) * num_periods // num_blocks)
    sizes, total = np.diff(edges)[:, None], edges[-1]
    with np.errstate(invalid="ignore"):
        sums = np.add.reduceat(growth, edges[:-1], axis=-2)
        exponents = sums.sum(axis=-2, keepdims=True) / total
        between = (sizes * (sums / sizes - exponents) ** 2).sum(axis=-2)
    return np.sqrt(between / ((num_blocks - 1) * total))


def split_half(log_growth: ArrayLike, period: int = 1) -> SplitHalf:
    """Returns the exponents of the first and the second half of a run.

    A systematic difference over many runs is a transient that has not ended. Of one stationary
    run half of |difference| is the standard error with one degree of freedom.

    Args:
      log_growth: (..., steps, k) ln R_ii of each step, in nats.
      period: Steps after which the schedule repeats; the cut lies between periods, and the middle
        one of an odd number belongs to the second half.

    Returns:
      Three arrays (..., k) in nats per step. An annihilated direction has −inf in the half where
      it happened, and NaN as difference if in both.
    """
    growth, num_periods = _checked(log_growth, period)
    if num_periods < 2:
        raise ValueError(f"two halves need at least 2 periods of {period} steps; got {num_periods}")
    middle = period * (num_periods // 2)
    with np.errstate(invalid="ignore"):
        first = growth[..., :middle, :].mean(axis=-2)
        second = growth[..., middle:, :].mean(axis=-2)
        return SplitHalf(first, second, second - first)


def frame_spread(exponents: ArrayLike) -> FrameSpread:
    """Returns how much the exponents of one trajectory depend on the initial frame.

    The state does not depend on the frame, so all runs follow one trajectory: in the limit of long
    time their exponents agree (Oseledets), and the spread is what a finite time has not yet
    forgotten of the initial tangent vectors. It is no error bar for other initial states or
    puzzles, and the mean keeps the bias that all frames share.

    Args:
      exponents: (S, ...) one row per seed of the frame, all of the same trajectory.

    Returns:
      Four arrays (...), in the unit of `exponents`. The standard deviation is NaN for S = 1, where
      there is no spread to see, and where an exponent is infinite; NaN carries over.
    """
    exponents = as_array("exponents", exponents, ("frames", ...), least=1)
    with np.errstate(invalid="ignore"):
        mean = exponents.mean(axis=0)
        squares = ((exponents - mean) ** 2).sum(axis=0)
    freedom = len(exponents) - 1
    deviation = np.sqrt(squares / freedom) if freedom else np.full_like(squares, np.nan)[()]
    return FrameSpread(mean, deviation, exponents.min(axis=0), exponents.max(axis=0))


def largest_frame_spread(num_steps: int) -> float:
    r"""Returns the largest standard deviation of λ₁ over initial frames, in nats per step.

      T λ₁ = ln ‖M v‖ = ½ ln Σ_i σ_i² v_i²,   sd(λ₁) ≤ sd(ln |g|) / T = π / (2 √2 T) ≈ 1.11 / T

    M is the product of the T Jacobians with singular values σ_i, v the first vector of the frame,
    uniform on the unit sphere with components v_i along the singular vectors, and g ~ N(0, 1). The
    bound is reached where one direction has outgrown all others, of many. Where several grow alike,
    the spread is smaller.

    Every puzzle has a frame of its own: this spread is part of what intervals over puzzles cover.
    """
    return math.pi / (2 * math.sqrt(2) * num_steps)


def _checked(log_growth: ArrayLike, period: int) -> tuple[np.ndarray, int]:
    """Returns the growth, and how many whole periods it has."""
    growth = as_array("log_growth", log_growth, (..., "steps", "k"))
    if period < 1:
        raise ValueError(f"period must be at least 1 step; got {period}")
    num_periods, rest = divmod(growth.shape[-2], period)
    if rest:
        raise ValueError(
            f"log_growth must have whole periods of {period} steps; it has {growth.shape[-2]}"
        )
    return growth, num_periods
