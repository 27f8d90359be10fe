"""The numbers behind the main findings of a run, as shares of its puzzles."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.arrays import largest_first
from rrjax.analysis.intervals import Interval, fraction_interval
from rrjax.analysis.rivals import Rival, rivals
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.survival import rest_segments


@dataclass(frozen=True)
class Share:
    """How many of some puzzles have a property.

    Attributes:
      count: Number of puzzles that have it.
      total: Number of puzzles of which it is known.
      num_unknown: Number of further puzzles.
    """

    count: int
    total: int
    num_unknown: int = 0

    @property
    def fraction(self) -> Interval:
        """The fraction of the puzzles with its exact interval; NaN for none."""
        return fraction_interval(self.count, self.total)


def share(property_holds: np.ndarray, known: np.ndarray | None = None) -> Share:
    """Returns how many of some puzzles (n,) have a property, of those in which it is known."""
    known = np.ones(len(property_holds), bool) if known is None else known
    return Share(int(property_holds[known].sum()), int(known.sum()), int(np.sum(~known)))


def at_rest(residual: np.ndarray, tolerance: float, group: np.ndarray) -> Share:
    """Returns how many runs of a group (N,) do not move any more after the last segment.

    Args:
      residual: (N, segments) the step of a segment over the size of the state, or (N, 1) of the
        last ones.
      tolerance: Residual up to which a run is at rest.
      group: (N,) booleans.
    """
    return share(rest_segments(residual[group], tolerance) < residual.shape[1])


def positive_lambda1(exponents: np.ndarray, finite: np.ndarray, group: np.ndarray) -> Share:
    """Returns how many runs of a group (N,) have λ₁ > 0; it is unknown where it is NaN.

    Args:
      exponents: (N, k) in any unit of time; −inf is negative.
      finite: (N,) whether a run was finite; of the others nothing is known.
      group: (N,) booleans.
    """
    lambda1 = largest_first(exponents)[group, 0]
    return share(lambda1 > 0, finite[group] & ~np.isnan(lambda1))


def lambda1_of_runs(
    exponents: np.ndarray, solved: np.ndarray, difficulty: Mapping[str, np.ndarray]
) -> tuple[Interval, list[Rival]]:
    """Returns the AUC of −λ₁ for "solved", and what λ₁ adds to each difficulty.

    Args:
      exponents: (N, k); runs of which λ₁ is NaN are left out.
      solved: (N,) booleans.
      difficulty: Integers (N,) by name.
    """
    lambda1 = largest_first(exponents)[:, 0]
    known = ~np.isnan(lambda1)
    scores = {name: values[known] for name, values in difficulty.items()}
    among = lambda1[known], solved[known]
    return auc_interval(-among[0], among[1]), rivals(*among, scores)


def freed(solved: np.ndarray, sigma: np.ndarray, failed: np.ndarray) -> Share:
    """Returns how many failures (N,) some restart solves, after any of its segments.

    Args:
      solved: (N, runs, segments) booleans.
      sigma: (runs,) the noise of each start; 0 is no restart.
      failed: (N,) booleans.
    """
    return share(np.asarray(solved[failed][:, sigma > 0].any(axis=(1, 2))))
