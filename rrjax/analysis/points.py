"""What becomes of trajectories, by the fixed points and cycles that were found near them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rrjax.analysis.intervals import Interval, fraction_interval, median_interval

RIGHT, WRONG, CYCLE, SADDLE, WANDERS, NOT_FINITE = FATES = (
    "rests at a right point",
    "rests at a wrong point",
    "on a cycle",
    "wanders near a saddle",
    "wanders",
    "not finite",
)
"""What a trajectory does; each does exactly one."""

ARRIVED = 1e-4
"""A trajectory is at a point that is no farther from its end, relative to the norm of the point. At
rest in float32 the distance to the float64 point is 10⁻⁶ to 10⁻⁵."""

APPROACHING, FALL = 5e-2, 0.9
"""It still approaches one that is no farther than this, if the largest distance of the last quarter
of its segments is at most this part of that of the quarter before."""

NEAR = 1e-2
"""A trajectory that hardly moves is near a saddle that is no farther than this, relative to the
norm of the saddle: its own spread is then no measure."""

SETTLED = 1e-6
"""A trajectory stands still or comes back where it has moved by no more, relative to its norm: by a
few units of float32's round-off."""


@dataclass(frozen=True)
class Fate:
    """How many trajectories of a group do one thing.

    Attributes:
      name: One of `FATES`.
      number: The number of trajectories.
      share: Its share of the group, with the interval of Clopper and Pearson.
    """

    name: str
    number: int
    share: Interval


@dataclass(frozen=True)
class Group:
    """The trajectories of one outcome at the readout.

    Attributes:
      name: failed or solved.
      number: Number of trajectories.
      fates: One for each of `FATES`.
      num_arrived: Number of those that rest or cycle whose end is the point up to round-off; the
        others still approach it.
      num_returning: Number of those that stand still or come back in their own type, but at no
        stable point that a search found.
      with_point: Share of trajectories for which some point was found.
      only_unstable: Share for which points were found, and all are unstable.
      wrong_stable: Share for which a stable point with a wrong answer was found, whether or not the
        trajectory goes there.
      num_points: Median number of distinct points of a trajectory.
    """

    name: str
    number: int
    fates: list[Fate]
    num_arrived: int
    num_returning: int
    with_point: Interval
    only_unstable: Interval
    wrong_stable: Interval
    num_points: Interval


@dataclass(frozen=True)
class Certificate:
    """The searches of one period.

    Attributes:
      period: The period that was searched.
      num_searches, num_converged: Numbers of searches that were made, and that converged.
      residual: The largest residual of those that converged.
      iterations: Median number of Newton's steps of those that converged.
      stable, one, two, more: Shares of the distinct points with 0, 1, 2 and more unstable
        directions.
      complex: Share of the points whose leading eigenvalue is one of a complex pair.
      modulus: Median modulus of the leading eigenvalue.
      right: Share of the points that give the right answer.
      kept: Share of the points from which the trained map still gives that answer.
      drift: Median distance from the point then, relative to its norm.
      ritz: The largest residual of a leading eigenvalue.
    """

    period: int
    num_searches: int
    num_converged: int
    residual: float
    iterations: float
    num_points: int
    stable: Interval
    one: Interval
    two: Interval
    more: Interval
    complex: Interval
    modulus: Interval
    right: Interval
    kept: Interval
    drift: Interval
    ritz: float


@dataclass(frozen=True)
class PointSummary:
    """Numbers of a search of fixed points.

    Attributes:
      num_puzzles: Number of puzzles.
      num_segments: Segments of each trajectory.
      readout_segment: Segment at which outcomes count.
      radius: What is near a saddle, in units of the trajectory's spread.
      fate: What each trajectory does, as an index of `FATES`.
      failed: Whether each fails at the readout.
      groups: Failures and successes.
      certificates: One for each period.
      clock: What the map F is.
    """

    num_puzzles: int
    num_segments: int
    readout_segment: int
    radius: float
    fate: list[int]
    failed: list[bool]
    groups: list[Group]
    certificates: list[Certificate]
    clock: str


def summarize_points(results: Any, readout_segment: int, radius: float) -> PointSummary:
    """Returns the numbers of a search of fixed points.

    Args:
      results: The arrays of `rrjax.experiments.fixed_points`, and their record.
      readout_segment: Segment at which outcomes count, from 1.
      radius: As in `fates`.
    """
    facts = _facts(results)
    fate = fates(results, radius)
    failed = ~results["solved"][:, readout_segment - 1]
    return PointSummary(
        num_puzzles=len(fate),
        num_segments=results["solved"].shape[1],
        readout_segment=readout_segment,
        radius=radius,
        fate=fate.tolist(),
        failed=failed.tolist(),
        groups=[
            _group(name, group, fate, facts)
            for name, group in (("failed", failed), ("solved", ~failed))
        ],
        certificates=[
            _certificate(results, int(period)) for period in np.unique(results["period"])
        ],
        clock=results.record["options"]["clock"],
    )


def fates(results: Mapping[str, np.ndarray], radius: float = 1.0) -> np.ndarray:
    """Returns what each trajectory does, as an index of `FATES`.

    It rests or cycles where it has arrived at a stable point or still approaches one, or where it
    stands still or comes back in its own type. Otherwise it wanders: near a saddle, if in the
    second half of its segments it comes closer to an unstable point than `radius` times its spread,
    or than `NEAR`.

    Args:
      results: The arrays of `rrjax.experiments.fixed_points`.
      radius: See above.
    """
    facts = _facts(results)
    fate = np.full(len(facts["finite"]), FATES.index(WANDERS))
    near = np.maximum(radius * results["spread"], NEAR)
    fate[facts["closest"] <= near] = FATES.index(SADDLE)
    fate[facts["on_cycle"] | facts["returns"]] = FATES.index(CYCLE)
    fate[facts["rests"] & ~facts["right"]] = FATES.index(WRONG)
    fate[facts["rests"] & facts["right"]] = FATES.index(RIGHT)
    fate[~facts["finite"]] = FATES.index(NOT_FINITE)
    return fate


def num_unstable(results: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the number of known eigenvalues outside of the unit circle; 0 without a point."""
    return np.sum(_moduli(results) > 1, axis=2)


def _moduli(results: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.hypot(results["eigenvalue_real"], results["eigenvalue_imag"])


def _facts(results: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns by name what is true of each trajectory."""
    has_point = np.isfinite(results["norm"])
    is_stable = has_point & (num_unstable(results) == 0) & np.isfinite(_moduli(results)[..., 0])
    with np.errstate(invalid="ignore"):
        far = results["distance"] / results["norm"][..., None]
    at = is_stable & _not_above(far[..., -1], ARRIVED)
    near = at | (is_stable & _approaches(far))
    is_fixed = results["least_period"] == 1
    comes_back = results["returns"] <= SETTLED
    is_certain = (near & is_fixed).any(1)
    on_cycle = (near & ~is_fixed).any(1) & ~is_certain
    rests = is_certain | (comes_back[:, 0] & ~on_cycle)
    at_right = (near & is_fixed & results["point_solved"]).any(1)
    right = np.where(is_certain, at_right, results["solved"][:, -1])
    later = far[..., far.shape[-1] // 2 :].min(-1)
    unstable = np.where(has_point & ~is_stable & np.isfinite(later), later, np.inf)
    return {
        "finite": np.isfinite(results["step"]).all(1),
        "rests": rests,
        "right": right,
        "on_cycle": on_cycle,
        "returns": comes_back.any(1),
        "arrived": at.any(1),
        "near": near.any(1),
        "closest": unstable.min(1),
        "has_point": has_point.any(1),
        "only_unstable": has_point.any(1) & ~is_stable.any(1),
        "wrong_stable": (is_stable & ~results["point_solved"]).any(1),
        "num_points": results["point_id"].max(1) + 1,
    }


def _approaches(far: np.ndarray) -> np.ndarray:
    """Returns which trajectories still come closer to which points, from distances by segment."""
    quarter = max(1, far.shape[-1] // 4)
    last, before = far[..., -quarter:].max(-1), far[..., -2 * quarter : -quarter]
    if not before.shape[-1]:
        return np.zeros(last.shape, bool)
    falls = _not_above(last, FALL * before.max(-1))
    return falls & _not_above(far[..., -1], APPROACHING)


def _not_above(values: np.ndarray, limit: Any) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return values <= limit  # neither holds for NaN


def _group(name: str, chosen: np.ndarray, fate: np.ndarray, facts: dict[str, Any]) -> Group:
    number = int(chosen.sum())

    def share(events: np.ndarray) -> Interval:
        return fraction_interval(int(events[chosen].sum()), number)

    settled = facts["near"]
    uncertified = facts["returns"] & ~facts["near"]
    return Group(
        name=name,
        number=number,
        fates=[
            Fate(label, int(np.sum(fate[chosen] == index)), share(fate == index))
            for index, label in enumerate(FATES)
        ],
        num_arrived=int(np.sum((settled & facts["arrived"])[chosen])),
        num_returning=int(uncertified[chosen].sum()),
        with_point=share(facts["has_point"]),
        only_unstable=share(facts["only_unstable"]),
        wrong_stable=share(facts["wrong_stable"]),
        num_points=median_interval(facts["num_points"][chosen]),
    )


def _certificate(results: Any, period: int) -> Certificate:
    searched = results["period"] == period
    converged = results["point_id"][:, searched] >= 0
    is_first = _first_of_each(results["point_id"]) & searched
    values = _moduli(results)[is_first]
    unstable = np.sum(values > 1, axis=1)
    number = len(values)

    def share(events: np.ndarray) -> Interval:
        return fraction_interval(int(events.sum()), number)

    residuals = results["residual"][:, searched][converged]
    ritz = results["eigenvalue_residual"][is_first][:, 0]
    return Certificate(
        period=int(period),
        num_searches=int(np.sum(~np.isnan(results["residual"][:, searched]))),
        num_converged=int(converged.sum()),
        residual=float(residuals.max(initial=0)) if len(residuals) else np.nan,
        iterations=_median(results["iterations"][:, searched][converged]),
        num_points=number,
        stable=share(unstable == 0),
        one=share(unstable == 1),
        two=share(unstable == 2),
        more=share(unstable > 2),
        complex=share(results["eigenvalue_imag"][is_first][:, 0] != 0),
        modulus=median_interval(values[:, 0][np.isfinite(values[:, 0])]),
        right=share(results["point_solved"][is_first]),
        kept=share(results["kept_answer"][is_first]),
        drift=median_interval((results["kept"] / results["norm"])[is_first]),
        ritz=float(ritz.max(initial=0)) if number else np.nan,
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _first_of_each(labels: np.ndarray) -> np.ndarray:
    """Returns which searches (N, K) are the first of their puzzle that reached their point."""
    first = [
        [label >= 0 and label not in row[:place] for place, label in enumerate(row)]
        for row in labels.tolist()
    ]
    return np.array(first, bool).reshape(labels.shape)
