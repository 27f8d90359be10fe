"""The numbers that the main table derives from each puzzle's spectrum."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rrjax.analysis.derived import (
    UNRESOLVED,
    KnownPart,
    entropy_rate,
    exponent_sum,
    kaplan_yorke,
    num_positive,
)
from rrjax.analysis.errorbars import block_standard_error

COLLAPSED = "λ1 is −inf"


class Quantity(NamedTuple):
    """One number a puzzle.

    Attributes:
      name: what it is.
      values: (N,), NaN where undefined.
      reasons: (N,) why a value is undefined; empty where it is not.
      is_bound: (N,) whether the true value may be larger.
    """

    name: str
    values: np.ndarray
    reasons: np.ndarray
    is_bound: np.ndarray


def spectrum_quantities(exponents: np.ndarray, dimension: int | None) -> Iterator[Quantity]:
    """Number of positive exponents, entropy rate, sum and Kaplan–Yorke dimension.

    Args:
      exponents: (N, k), λ1 known; NaN below the round-off floor.
      dimension: n of the state; None if unknown.
    """
    yield _lower_bound("num_positive", num_positive(exponents, dimension=dimension))
    yield _lower_bound("entropy_rate", entropy_rate(exponents, dimension))
    total = exponent_sum(exponents, dimension).value
    yield _exact("sum", total, np.where(np.isnan(total), UNRESOLVED, ""))
    yield _exact("kaplan_yorke", *kaplan_yorke(exponents, dimension))


def error_quantity(lambda1_growth: np.ndarray, num_segments: int, num_blocks: int) -> Quantity:
    """The standard error of λ1 along time, from blocks of whole segments.

    Args:
      lambda1_growth: (N, updates) ln R_11.
      num_segments: of the run.
      num_blocks: at least 2, at most the segments.
    """
    period = lambda1_growth.shape[1] // num_segments
    error = block_standard_error(lambda1_growth[..., None], num_blocks, period)[:, 0]
    return _exact("standard_error", error, np.where(np.isnan(error), COLLAPSED, ""))


def _lower_bound(name: str, part: KnownPart) -> Quantity:
    return Quantity(name, part.value, np.full(part.value.shape, ""), ~part.complete)


def _exact(name: str, values: np.ndarray, reasons: np.ndarray) -> Quantity:
    return Quantity(name, values, reasons, np.zeros(values.shape, dtype=bool))
