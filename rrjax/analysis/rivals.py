"""What else tells solved from failed puzzles, and what λ₁ adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.controls import auc_given, auc_near
from rrjax.analysis.intervals import Interval
from rrjax.analysis.separation import auc_interval


@dataclass(frozen=True)
class Rival:
    """A score beside λ₁.

    Attributes:
      name: What it is; larger speaks for "solved".
      auc: AUC of the score for "solved".
      lambda1_given: AUC of −λ₁ among puzzles alike in the score; ½ where λ₁ adds nothing.
    """

    name: str
    auc: Interval
    lambda1_given: Interval


def rivals(
    lambda1: np.ndarray, solved: np.ndarray, scores: Mapping[str, np.ndarray]
) -> list[Rival]:
    """Returns the AUC of each score, and that of −λ₁ given it.

    Args:
      lambda1: (N,) of each puzzle.
      solved: (N,) booleans.
      scores: Arrays (N,) by name. Puzzles are alike in whole numbers where these are equal
        (`auc_given`), in other numbers where they are near (`auc_near`). NaN leaves a puzzle out.
    """
    made = []
    for name, values in scores.items():
        known = ~np.isnan(values)
        among = (-lambda1[known], solved[known], values[known])
        given = auc_given if values.dtype.kind in "iu" else auc_near
        made.append(Rival(name, auc_interval(values[known], solved[known]), given(*among)))
    return made
