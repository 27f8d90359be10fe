"""Escape from failure: how long puzzles that were read out wrong stay wrong."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rrjax.analysis.arrays import as_array
from rrjax.analysis.compute import check_solved
from rrjax.analysis.intervals import TAIL, Interval


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


def rest_segments(residual: ArrayLike, tolerance: float) -> np.ndarray:
    """Returns (N,) the segments after which each run is at rest to the end of the run.

    A run is at rest where its residual (N, segments), the step of a segment over the size of the
    state, is at most the tolerance. A run that is not at rest after the last segment has the
    number of segments, which says that it moves throughout. NaN is no rest.
    """
    residual = as_array("residual", residual, ("N", "segments"))
    moving = ~(residual <= tolerance)
    return np.where(moving.any(axis=1), moving.shape[1] - moving[:, ::-1].argmax(axis=1), 0)


def rest_tolerance(dtype: str) -> float:
    """Returns the residual up to which a run of states of this type is at rest.

    The residuals of runs of the bundled models at rest are 2 to 4 units of round-off. In types
    narrower than float32 that many units are a large step, and runs are at rest that repeat to the
    bit.
    """
    return 8 * float(np.finfo(dtype).eps) if dtype in ("float32", "float64") else 0.0


def while_moving(waits: Waits, failed: np.ndarray, rest: np.ndarray, readout_segment: int) -> Waits:
    """Returns the waits of failures, censored where a run comes to rest and cannot escape any more.

    Args:
      waits: Those of `escapes`.
      failed: (N,) booleans, the failures at the readout.
      rest: (N,) from `rest_segments`.
      readout_segment: Counted from 1.

    Returns:
      Waits for a rate. A survival curve needs those of `escapes`: runs at rest go on failing.
    """
    left = np.maximum(0, rest[failed] - readout_segment)
    return Waits(
        np.minimum(waits.durations, np.where(waits.observed, np.inf, left)), waits.observed
    )


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
    The intervals are those of the beta product: the upper end at t is the 97.5 % quantile of
    Π B(nᵢ − dᵢ + 1, dᵢ), the lower one the 2.5 % quantile of that times B(n₊, 1), where n₊ are
    still waited for after t. A product of beta variables has the beta law of its first two moments.
    Without censoring this is the interval of Clopper and Pearson. Greenwood's has no width before
    the first event and covers too little where events are few. The intervals hold at each time,
    not for the curve as a whole.

    Args:
      durations: (n,) non-negative times to event or censoring, in any unit.
      observed: (n,) booleans, False where censored.

    Returns:
      A `SurvivalCurve`. Without anything to wait for, S is NaN at time 0.

    Raises:
      ValueError: The shapes do not fit, or a time is negative or not finite.

    Source: Kaplan and Meier 1958, J. Am. Stat. Assoc. 53, 457; Fay, Brittain and Proschan 2013,
    Biostatistics 14, 723.

    Example:
      >>> curve = rrjax.analysis.kaplan_meier([1, 2, 2, 4], [True, True, False, False])
      >>> curve.times, curve.survival.value
      (array([0., 1., 2.]), array([1.  , 0.75, 0.5 ]))
    """
    durations, observed = _checked(durations, observed)
    times = np.unique(np.append(durations[observed], 0))
    ascending, events = np.sort(durations), np.sort(durations[observed])
    at_risk = len(durations) - np.searchsorted(ascending, times)
    happened = np.searchsorted(events, times, "right") - np.searchsorted(events, times)
    end = float(ascending[-1]) if len(ascending) else 0.0
    left = len(durations) - np.searchsorted(ascending, times, "right")
    return SurvivalCurve(times, at_risk, happened, _product_limit(at_risk, happened, left), end)


def _product_limit(at_risk: np.ndarray, happened: np.ndarray, left: np.ndarray) -> Interval:
    """Returns S after each time, `left` being how many are still waited for after it."""
    if at_risk[0] == 0:
        undefined = np.full(1, np.nan)
        return Interval(undefined, undefined, undefined)
    mean, square = map(np.cumprod, _moments(at_risk - happened + 1, happened))
    next_mean, next_square = _moments(left, np.ones(len(left)))
    low = _quantile(mean * next_mean, square * next_square, TAIL)
    high = _quantile(mean, square, 1 - TAIL)
    return Interval(np.cumprod(1 - happened / at_risk), low, high)


def _moments(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first two moments of beta variables."""
    mean = a / (a + b)
    return mean, mean * (a + 1) / (a + b + 1)


def _quantile(mean: np.ndarray, square: np.ndarray, probability: float) -> np.ndarray:
    """Returns a quantile of the beta variables with these two moments; of a constant itself."""
    variance = square - mean**2
    fixed = variance <= 1e-15
    size = mean * (1 - mean) / np.where(fixed, 1, variance) - 1
    a, b = (np.where(fixed, 1, part * size) for part in (mean, 1 - mean))
    return np.where(fixed, mean, scipy.special.betaincinv(a, b, probability))


def _checked(durations: ArrayLike, observed: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    durations = as_array("durations", durations, ("n",))
    observed = as_array("observed", observed, durations.shape, bool)
    if not (np.isfinite(durations) & (durations >= 0)).all():
        raise ValueError("durations must be finite and not negative")
    return durations, observed
