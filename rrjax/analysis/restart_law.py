"""When to start again: the law of escape times, the best cut-off for it, and Luby's sequence.

A start is trapped for good with probability p. Otherwise it solves its puzzle at segment d + j,
where d is a delay that every start pays and j = 1, 2, … is geometric with hazard h.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from rrjax.analysis.arrays import as_array
from rrjax.analysis.survival import Waits
from rrjax.checks import check_count


@dataclass(frozen=True)
class EscapeLaw:
    """The law of the segment at which a start first gives the right answer.

      P(T > d + j) = p + (1 − p) (1 − h)^j

    Attributes:
      trapped: p, the probability that a start never solves its puzzle.
      delay: d, in segments.
      hazard: h, the probability per segment after the delay that a start that is not trapped and
        has not solved its puzzle solves it. NaN where no start did.
    """

    trapped: float
    delay: int
    hazard: float

    def solved_by(self, segments: int | np.ndarray) -> Any:
        """Returns the probability that one start solves its puzzle within so many segments."""
        waited = np.maximum(np.asarray(segments, np.float64) - self.delay, 0)
        return (1 - self.trapped) * (1 - (1 - self.hazard) ** waited)


def fit_escape_law(waits: Waits) -> EscapeLaw:
    """Returns the law of largest likelihood for starts of which some are still unsolved at the end.

    With n starts solved at segments d + jᵢ, and all others watched for d + J:

      1 − p = (n/N) / (1 − (1 − h)^J),   mean of jᵢ = 1/h − J (1 − h)^J / (1 − (1 − h)^J)

    where that p is not negative; else p = 0 and h = n / (Σ jᵢ + (N − n) J). The delay is the one
    before the first start that solved its puzzle, which is its estimate of largest likelihood.

    Args:
      waits: `durations` (N,) are the segments of the first right answer, counted from 1, or the
        number of segments that were run; `observed` (N,) says which of both.

    Returns:
      The law. Without any solved start everything is trapped, and the hazard is NaN. Starts that
      escape as slowly as the watch is long cannot be told from trapped ones: then the mean of jᵢ is
      not below (J + 1)/2, and p = 0.

    Raises:
      ValueError: there is no start, or those that are unsolved were not watched equally long.
    """
    durations = as_array("durations", waits.durations, ("N",), least=1)
    observed = as_array("observed", waits.observed, durations.shape, bool)
    ends = np.unique(durations[~observed])
    if len(ends) > 1:
        raise ValueError(
            f"unsolved starts must be watched equally long; got {ends[0]:g} to {ends[-1]:g} "
            "segments"
        )
    solved = durations[observed]
    if not len(solved):
        return EscapeLaw(1.0, 0, np.nan)
    delay = int(solved.min()) - 1
    steps, number = solved - delay, len(durations)
    unsolved = number - len(solved)
    if not unsolved:
        return EscapeLaw(0.0, delay, float(1 / steps.mean()))
    watched = float(ends[0]) - delay
    hazard = _truncated_hazard(float(steps.mean()), watched)
    if hazard is not None:
        share = len(solved) / number / -np.expm1(watched * np.log1p(-hazard))
        if share <= 1:
            return EscapeLaw(float(1 - share), delay, hazard)
    return EscapeLaw(0.0, delay, float(len(solved) / (steps.sum() + unsolved * watched)))


def _truncated_hazard(mean: float, longest: float) -> float | None:
    """Returns the hazard of a geometric law, cut after `longest`, of this mean; None for none."""
    if mean >= (longest + 1) / 2:
        return None
    if mean <= 1:
        return 1 - 1e-12  # all at the first step; the mean is reached at 1, where logs end

    def excess(hazard: float) -> float:
        log_left = longest * np.log1p(-hazard)
        return 1 / hazard + longest * np.exp(log_left) / np.expm1(log_left) - mean

    return float(scipy.optimize.brentq(excess, 1e-7, 1 - 1e-12))


class ExponentialTest(NamedTuple):
    """A test of whether escape times have the law that was fitted to them.

    Attributes:
      distance: the largest distance between the distribution functions of the escaped starts and of
        the law, both up to the end of watching.
      p_value: the share of samples of the law, each fitted anew, of at least this distance. NaN for
        fewer than 3 escaped starts.
    """

    distance: float
    p_value: float


def exponential_test(waits: Waits, num_samples: int = 400, seed: int = 0) -> ExponentialTest:
    """Tests whether escapes after the delay are exponential (geometric in segments).

    The Kolmogorov–Smirnov distance has no table where parameters are fitted and times are whole
    numbers: its law is sampled (parametric bootstrap, Stute et al. 1993, Metrika 40, 243).

    Args:
      waits: as for `fit_escape_law`.
      num_samples: number of samples of the law.
      seed: seed of these samples.
    """
    law = fit_escape_law(waits)
    solved = waits.durations[waits.observed]
    if len(solved) < 3:
        return ExponentialTest(np.nan, np.nan)
    longest = int(waits.durations.max())
    distance = _distance(solved, law, longest)
    rng = np.random.default_rng(seed)
    further = sum(
        _distance(sample, fit_escape_law(Waits(sample, np.ones(len(sample), bool))), longest)
        >= distance - 1e-12
        for sample in (_sample(law, len(solved), longest, rng) for _ in range(num_samples))
    )
    return ExponentialTest(distance, (further + 1) / (num_samples + 1))


def _sample(law: EscapeLaw, number: int, longest: int, rng: np.random.Generator) -> np.ndarray:
    """Returns segments of escapes that come by `longest`."""
    chance = rng.random(number) * (1 - (1 - law.hazard) ** (longest - law.delay))
    steps = np.ceil(np.log1p(-chance) / np.log1p(-min(law.hazard, 1 - 1e-12)))
    return law.delay + np.clip(steps, 1, longest - law.delay)


def _distance(solved: np.ndarray, law: EscapeLaw, longest: int) -> float:
    segments = np.arange(1, longest + 1)
    empirical = np.searchsorted(np.sort(solved), segments, "right") / len(solved)
    untrapped = EscapeLaw(0.0, law.delay, law.hazard)
    expected = untrapped.solved_by(segments) / untrapped.solved_by(longest)
    return float(np.abs(empirical - expected).max())


class BestRestart(NamedTuple):
    """The cut-off that solves a puzzle soonest on average.

    Attributes:
      cutoff: segments of each start, its delay included; infinite where restarts do not help.
      expected: mean number of segments until the puzzle is solved, starts that were cut off
        included; infinite where every start is trapped.
    """

    cutoff: float
    expected: float


def best_restart(law: EscapeLaw, cost: int | float = 0) -> BestRestart:
    """Returns the best cut-off in the limit of small hazards, where segments are a continuum.

      e^x − 1 − x = a,  a = r (c + d)/p,   cut-off d + x/r,  E = (1 + p e^x/(1 − p))/r

    with the rate r = −ln(1 − h). It is the least E = 1/r + (c + d + p u)/s over cut-offs d + u of
    one start, which succeeds with probability s = (1 − p)(1 − e^(−r u)).

    Args:
      law: the law of escape times.
      cost: c, what a start costs beside its segments, in segments.

    Returns:
      Without trapped starts the cut-off is infinite and E = c + d + 1/r. Without delay and cost
      there is no best cut-off: E falls to 1/((1 − p) r) as it goes to zero, which is returned with
      the cut-off 0.
    """
    if law.trapped >= 1 or not law.hazard > 0:
        return BestRestart(np.inf, np.inf)
    rate = -np.log1p(-min(law.hazard, 1 - 1e-12))
    first = cost + law.delay
    if law.trapped == 0:
        return BestRestart(np.inf, float(first + 1 / rate))
    a = rate * first / law.trapped
    # e^x − 1 − x = a, in logarithms, since e^x overflows
    high = np.sqrt(2 * a) + np.log1p(a) + 1
    x = scipy.optimize.brentq(lambda x: x - np.log1p(a + x), np.sqrt(a) * 1e-6, high) if a else 0.0
    expected = (1 + law.trapped * np.exp(x) / (1 - law.trapped)) / rate
    return BestRestart(float(law.delay + x / rate), float(expected))


def expected_segments(law: EscapeLaw, cutoff: int, cost: int | float = 0) -> float:
    """Returns the mean number of segments until a puzzle is solved, with this whole cut-off.

      E = (c + Σ_{t < u} P(T > t)) / P(T ≤ u)

    It is exact for whole segments. Infinite where no start succeeds.
    """
    success = float(law.solved_by(cutoff))
    if not success > 0:
        return np.inf
    return (cost + float(np.sum(1 - law.solved_by(np.arange(cutoff))))) / success


def expected_luby(law: EscapeLaw, unit: int = 1, cost: int | float = 0) -> float:
    """Returns the mean number of segments until a puzzle is solved, with Luby's run lengths.

      E = Σᵢ (c + Σ_{t < uᵢ} P(T > t)) Π_{j < i} P(T > uⱼ),   uᵢ = unit · (1, 1, 2, 1, 1, 2, 4, …)

    The sequence up to the first 2ᵏ is twice that up to the first 2ᵏ⁻¹, and then 2ᵏ. So the sum
    needs no more terms than k, which grows until some start has succeeded. It is exact for whole
    segments, and infinite where no start succeeds.

    Args:
      law: the law of escape times.
      unit: segments of the shortest run.
      cost: c, what a start costs beside its segments, in segments.

    Raises:
      ValueError: the unit is not an integer of at least 1.
    """
    check_count("unit", unit, least=1)
    if law.trapped >= 1 or not law.hazard > 0:
        return np.inf
    mean, failure, length = 0.0, 1.0, unit
    while failure > 1e-300:
        # of the sequence so far: the mean until it is solved or over, and how often it fails
        mean += failure * (mean + failure * (cost + _mean_segments(law, length)))
        failure *= failure * (1 - float(law.solved_by(length)))
        length *= 2
    return mean


def _mean_segments(law: EscapeLaw, cutoff: int) -> float:
    """Returns Σ_{t < u} P(T > t), the mean number of segments of a start that is cut off at u."""
    after = max(cutoff - law.delay, 0)
    escaping = -np.expm1(after * np.log1p(-min(law.hazard, 1 - 1e-12))) / law.hazard
    return min(cutoff, law.delay) + law.trapped * after + (1 - law.trapped) * escaping


def best_whole_cutoff(law: EscapeLaw, most: int, cost: int | float = 0) -> int:
    """Returns the cut-off in 1..most of the smallest `expected_segments`, of equals the largest."""
    means = np.array([expected_segments(law, cutoff, cost) for cutoff in range(1, most + 1)])
    return int(np.flatnonzero(means <= means.min() * (1 + 1e-12))[-1]) + 1


def solved_within(law: EscapeLaw, cutoff: int, budget: int) -> float:
    """Returns the probability that a puzzle is solved within a budget of segments.

    P = 1 − (1 − s)^n (1 − s_rest),  n = ⌊B/u⌋ starts of u segments, and one of the rest
    """
    starts, rest = divmod(budget, cutoff)
    failure = (1 - float(law.solved_by(cutoff))) ** starts * (1 - float(law.solved_by(rest)))
    return 1 - failure


def luby(number: int) -> np.ndarray:
    """Returns the first terms 1, 1, 2, 1, 1, 2, 4, 1, … of the universal sequence of cut-offs.

    Whatever the law, starts of these lengths take longer on average than the best fixed cut-off by
    no more than a factor of the order of its logarithm.

    References:
      Luby, Sinclair and Zuckerman 1993, Inf. Process. Lett. 47, 173.
    """
    terms = np.ones(1, np.int64)
    while len(terms) < number:
        terms = np.concatenate([terms, terms, [2 * terms[-1]]])
    return terms[:number]
