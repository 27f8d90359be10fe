"""Escape from failure: how long puzzles that were read out wrong stay wrong."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.compute import check_solved
from rrjax.analysis.intervals import TAIL, UNDEFINED, Interval, Z


class Waits(NamedTuple):
    """How long each of n was waited for, and whether it happened.

    Attributes:
      durations: (n,) time to the event, or to the end of watching.
      observed: (n,) booleans, whether the event came; False is censored.
    """

    durations: np.ndarray
    observed: np.ndarray


def escapes(solved: ArrayLike, readout_segment: int) -> Waits:
    """Returns the segments from the readout to the first right answer of each failure there.

    Those that are wrong to the end are censored there. A puzzle that was right before the readout
    and lost the answer is a failure like any other; what happens after an escape does not count.
    `solved` are booleans (N, segments), and the readout is counted from 1. The waits are whole
    segments, one for each failure, in the order of the puzzles.
    """
    solved = check_solved(solved)
    num_segments = solved.shape[1]
    if not 1 <= readout_segment <= num_segments:
        raise ValueError(
            f"readout_segment must lie in 1..{num_segments}, the segments of the run; "
            f"got {readout_segment}"
        )
    after = solved[~solved[:, readout_segment - 1], readout_segment:]
    observed = np.asarray(after.any(axis=1))
    left = num_segments - readout_segment
    first = after.argmax(axis=1) + 1 if left else np.zeros(len(after), np.int64)
    return Waits(np.where(observed, first, left), observed)


@dataclass(frozen=True)
class SurvivalCurve:
    """A Kaplan–Meier estimate: constant from each of its times to the next.

    Attributes:
      times: (m,) 0 and the distinct times of events, ascending.
      num_at_risk: (m,) how many were still waited for just before.
      num_events: (m,) how many events there were.
      survival: Arrays (m,), the probability that the event comes later.
      end: The longest time that anything was waited for; the curve says nothing beyond.
    """

    times: np.ndarray
    num_at_risk: np.ndarray
    num_events: np.ndarray
    survival: Interval
    end: float


def kaplan_meier(durations: ArrayLike, observed: ArrayLike) -> SurvivalCurve:
    """Returns the survival curve of waiting times, some of which are censored.

      S(t) = Π_{tᵢ ≤ t} (1 − dᵢ/nᵢ),  V(t) = Σ_{tᵢ ≤ t} dᵢ / (nᵢ (nᵢ − dᵢ))

    with dᵢ events among the nᵢ still waited for at tᵢ; censored at tᵢ itself counts as waited for.
    The intervals are S^exp(±z √V / ln S): Greenwood's variance V of ln S on the scale of
    ln(−ln S), which keeps them inside 0..1. They hold at each time, not for the curve as a whole.

    Args:
      durations: (n,) non-negative times to event or censoring, in any unit.
      observed: (n,) booleans, False where censored.

    Returns:
      A `SurvivalCurve`. Before the first event the interval is 1..1, which knows no spread; where
      S = 0 its ends are NaN. Without anything to wait for, S is NaN at time 0.

    Raises:
      ValueError: The shapes do not fit, or a time is negative or not finite.

    Source: Kaplan and Meier 1958, J. Am. Stat. Assoc. 53, 457; Kalbfleisch and Prentice 1980.
    """
    durations, observed = _checked(durations, observed)
    times = np.unique(np.append(durations[observed], 0))
    ascending, events = np.sort(durations), np.sort(durations[observed])
    at_risk = len(durations) - np.searchsorted(ascending, times)
    happened = np.searchsorted(events, times, "right") - np.searchsorted(events, times)
    end = float(ascending[-1]) if len(ascending) else 0.0
    return SurvivalCurve(times, at_risk, happened, _product_limit(at_risk, happened), end)


def exponential_rate(
    durations: ArrayLike, observed: ArrayLike, start: float = 0.0, stop: float = np.inf
) -> Interval:
    """Returns the rate of a memoryless event by maximum likelihood: events over time waited.

      r = d / E,  E = Σ (time waited in start..stop),  d events at start < t ≤ stop

    of S(t) = exp(−r t). The ends are those of a Poisson count (Garwood): χ²(2d)/2E and
    χ²(2d + 2)/2E at the tails. Waiting times in whole steps give the probability per step of a
    geometric law by the same formula. Rates of two windows tell whether one rate fits both.

    Args:
      durations: (n,) non-negative times to event or censoring.
      observed: (n,) booleans, False where censored.
      start: Start of the window, at least 0.
      stop: End of the window.

    Returns:
      Numbers per unit of `durations`. Without an event 0 with an upper end; NaN, all three,
      where nothing was waited for.

    Source: Garwood 1936, Biometrika 28, 437.
    """
    durations, observed = _checked(durations, observed)
    exposure = float((np.clip(durations, start, stop) - start).sum())
    if exposure <= 0:
        return UNDEFINED
    num_events = int(np.sum(observed & (durations > start) & (durations <= stop)))
    low = float(scipy.special.gammaincinv(num_events, TAIL)) if num_events else 0.0
    high = float(scipy.special.gammaincinv(num_events + 1, 1 - TAIL))
    return Interval(num_events / exposure, low / exposure, high / exposure)


def _product_limit(at_risk: np.ndarray, happened: np.ndarray) -> Interval:
    if at_risk[0] == 0:
        undefined = np.full(1, np.nan)
        return Interval(undefined, undefined, undefined)
    survival = np.cumprod(1 - happened / at_risk)
    # At S = 1 and S = 0 the formula is 0/0 and ∞/∞.
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(happened / (at_risk * (at_risk - happened)))
        reach = Z * np.sqrt(variance) / np.log(survival)
        low, high = survival ** np.exp(-reach), survival ** np.exp(reach)
    ends = [np.where(survival == 1, 1.0, np.where(survival == 0, np.nan, x)) for x in (low, high)]
    return Interval(survival, *ends)


def _checked(durations: ArrayLike, observed: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    durations = as_array("durations", durations, ("n",))
    observed = as_array("observed", observed, durations.shape, bool)
    if not (np.isfinite(durations) & (durations >= 0)).all():
        raise ValueError("durations must be finite and not negative")
    return durations, observed
