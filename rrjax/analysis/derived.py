"""What follows from a spectrum: Kaplan–Yorke dimension, entropy rate, counts and sums.

Only part of a spectrum is known as a rule: k of n exponents, and of those the directions below the
round-off floor hold NaN. All functions use the exponents before the first NaN and assume of the
others that they are no larger than these, and say where that is not enough.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array, largest_first, updates_per_segment
from rrjax.analysis.errorbars import block_standard_error

NONE_KNOWN = "no exponent is known"
NOT_CROSSED = "the known exponents add up to 0 or more, so that more are needed"
UNRESOLVED = "an exponent is below the round-off floor"
COLLAPSED = "λ₁ is −inf"
NOT_CROSSED_ABOVE_FLOOR = "the exponents above the round-off floor add up to 0 or more"


class KaplanYorke(NamedTuple):
    """A dimension, or why there is none.

    Attributes:
      value: (...) the dimension; NaN where it is undefined.
      reason: (...) why it is undefined; empty where it is defined.
    """

    value: Any
    reason: Any


class KnownPart(NamedTuple):
    """A number from the known exponents, and whether the unknown ones could change it.

    Attributes:
      value: (...) the number; NaN where no exponent is known.
      complete: (...) whether it is that of the whole spectrum.
    """

    value: Any
    complete: Any


def kaplan_yorke(exponents: ArrayLike, dimension: int | None = None) -> KaplanYorke:
    """Returns the Kaplan–Yorke (Lyapunov) dimension.

      D = j + (λ_1 + … + λ_j) / |λ_{j+1}|,  j the last with λ_1 + … + λ_j ≥ 0

    for λ_1 ≥ λ_2 ≥ …; a copy is sorted, since finite-time exponents need not come in order.
    Exponents after the crossing do not matter: neither whether they are known nor their value.

    Args:
      exponents: (..., k) the leading exponents in any unit of time; NaN marks a direction below
        the round-off floor, −inf one that is annihilated.
      dimension: Dimension n of the state. With k = n a sum that stays non-negative is D = n.

    Returns:
      D in 0..n and the reasons, arrays (...); a number and a string for exponents (k,). D = 0 for
      λ_1 < 0, and j where λ_{j+1} = −inf. NaN where the known exponents do not reach the crossing:
      D is then at least their number, except that a sum of exactly 0 with a negative last exponent
      is the crossing.

      D jumps by 1 where λ_1 changes sign: near a cycle or a fixed point it tells no more than the
      sign of a number that is zero up to its error.

    Raises:
      ValueError: There is no exponent, there are more than n of them, or one is +inf.

    Source: Kaplan and Yorke 1979, Lect. Notes Math. 730, 204.

    Example:
      >>> round(float(rrjax.analysis.kaplan_yorke([0.419, -1.623]).value), 3)
      1.258
      >>> rrjax.analysis.kaplan_yorke([0.419]).reason
      np.str_('the known exponents add up to 0 or more, so that more are needed')
    """
    values, known = _checked(exponents, dimension)
    k, num_known = values.shape[-1], known.sum(axis=-1)
    ordered = largest_first(values)
    sums = np.cumsum(ordered, axis=-1)
    j = (sums >= 0).sum(axis=-1)
    # Where nothing is crossed the last known exponent stands in for λ_{j+1}.
    after = _at(ordered, np.clip(j, 0, np.maximum(num_known - 1, 0)))
    before = np.where(j > 0, _at(sums, np.maximum(j - 1, 0)), 0.0)
    whole = num_known == dimension
    crossed = (j < num_known) | ((num_known > 0) & (before == 0) & (after < 0))
    share = np.divide(before, -after, out=np.zeros_like(before), where=crossed)
    value = np.where(crossed | (whole & (j == num_known)), j + share, np.nan)
    reason = np.select(
        [~np.isnan(value), num_known == 0, num_known < k],
        ["", NONE_KNOWN, NOT_CROSSED_ABOVE_FLOOR],
        NOT_CROSSED,
    )
    return KaplanYorke(value[()], reason[()])


def entropy_rate(exponents: ArrayLike, dimension: int | None = None) -> KnownPart:
    """Returns the sum of the positive exponents, by Pesin's formula the entropy rate.

      h = Σ max(λ_i, 0)

    It is the entropy rate of an SRB measure, and of any other invariant measure an upper bound
    (Ruelle). Of a single finite run that still settles it is the growth rate of volume along the
    expanding directions, no more.

    Args:
      exponents: (..., k) the leading exponents; NaN marks a direction below the round-off floor.
      dimension: Dimension n of the state, which makes k = n known as the whole spectrum.

    Returns:
      h in the unit of `exponents`, and where it is complete: all n exponents are known, or one of
      them is not positive. Elsewhere h is a lower bound of the sum.

    Raises:
      ValueError: There is no exponent, there are more than n of them, or one is +inf.

    Source: Pesin 1977, Russ. Math. Surv. 32, 55; Ruelle 1978, Bol. Soc. Bras. Mat. 9, 83.

    Example:
      >>> rate = rrjax.analysis.entropy_rate([0.3, 0.1, -0.2])
      >>> round(float(rate.value), 3), bool(rate.complete)
      (0.4, True)
    """
    values, known = _checked(exponents, dimension)
    return _known_part(np.where(values > 0, values, 0.0).sum(axis=-1), values, known, dimension)


def num_positive(exponents: ArrayLike, dimension: int | None = None) -> KnownPart:
    """Returns how many exponents are positive.

    Args:
      exponents: (..., k) the leading exponents; NaN marks a direction below the round-off floor.
      dimension: Dimension n of the state, which makes k = n known as the whole spectrum.

    Returns:
      The number, as a float, and where it is complete: all n exponents are known, or one of them
      is not positive. Elsewhere it is a lower bound.
    """
    values, known = _checked(exponents, dimension)
    return _known_part((values > 0).sum(axis=-1), values, known, dimension)


def exponent_sum(exponents: ArrayLike, dimension: int | None = None) -> KnownPart:
    """Returns the sum of the k exponents, which is the mean growth rate of a k-volume.

      Σ λ_i = ⟨ln |det J|⟩  if all n are known

    Args:
      exponents: (..., k) the leading exponents.
      dimension: Dimension n of the state.

    Returns:
      The sum in the unit of `exponents`, and where it is complete: all n are known. NaN where an
      exponent is NaN, since a sum over fewer would be another quantity; −inf where one is −inf.
    """
    values, known = _checked(exponents, dimension)
    complete = known.all(axis=-1) & (values.shape[-1] == dimension)
    return KnownPart(values.sum(axis=-1)[()], complete[()])


def _checked(exponents: ArrayLike, dimension: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the exponents, NaN from the first NaN on, and which of them are known."""
    values = as_array("exponents", exponents, (..., "k"))
    if dimension is not None and dimension < values.shape[-1]:
        raise ValueError(
            f"dimension, of the state, must be at least the {values.shape[-1]} exponents; "
            f"got {dimension}"
        )
    if np.isposinf(values).any():
        raise ValueError(
            "exponents must be below +inf, which only a run that blew up has: drop such runs and "
            "report how many there were"
        )
    known = ~np.logical_or.accumulate(np.isnan(values), axis=-1)
    return np.where(known, values, np.nan), known


def _known_part(
    total: Any, values: np.ndarray, known: np.ndarray, dimension: int | None
) -> KnownPart:
    """Returns a sum over the positive exponents, which is complete where one is not positive."""
    num_known = known.sum(axis=-1)
    complete = (values <= 0).any(axis=-1) | (num_known == dimension)
    return KnownPart(np.where(num_known > 0, total, np.nan)[()], complete[()])


def _at(values: np.ndarray, index: Any) -> np.ndarray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


class Quantity(NamedTuple):
    """One number a puzzle.

    Attributes:
      name: What it is.
      values: (N,), NaN where undefined.
      reasons: (N,) why a value is undefined; empty where it is not.
      is_bound: (N,) whether the true value may be larger; False if it never is.
    """

    name: str
    values: np.ndarray
    reasons: np.ndarray
    is_bound: np.ndarray | bool = False


def spectrum_quantities(exponents: np.ndarray, dimension: int | None) -> Iterator[Quantity]:
    """Yields the number of positive exponents, entropy rate, sum and Kaplan–Yorke dimension.

    Args:
      exponents: (N, k), λ₁ known; NaN below the round-off floor.
      dimension: Dimension n of the state; None if unknown.
    """
    for name, function in (("num_positive", num_positive), ("entropy_rate", entropy_rate)):
        part = function(exponents, dimension)
        yield Quantity(name, part.value, np.full(part.value.shape, ""), ~part.complete)
    total = exponent_sum(exponents, dimension).value
    yield Quantity("sum", total, np.where(np.isnan(total), UNRESOLVED, ""))
    yield Quantity("kaplan_yorke", *kaplan_yorke(exponents, dimension))


def error_quantity(lambda1_growth: np.ndarray, num_segments: int, num_blocks: int) -> Quantity:
    """Returns the standard error of λ₁ along time from its growth ln R_11 (N, updates).

    The blocks hold whole segments; there are at least 2, and at most as many as segments.
    """
    period = updates_per_segment("log_growth", lambda1_growth.shape[1], num_segments)
    error = block_standard_error(lambda1_growth[..., None], num_blocks, period)[:, 0]
    return Quantity("standard_error", error, np.where(np.isnan(error), COLLAPSED, ""))
