"""The search-and-capture toy in numbers, by readout time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ToySummary:
    """The toy in numbers, one of each list for every readout time.

    Attributes:
      num_runs: Number of runs.
      times: Readout times in updates.
      num_failed: Number of runs that are not captured.
      auc: AUC of −λ₁ for solved; NaN where a group is empty.
      solved_lambda1: Median λ₁ of the solved runs in nats per update; NaN without any.
      failed_lambda1: The same of the failed runs.
    """

    num_runs: int
    times: list[int]
    num_failed: list[int]
    auc: list[float]
    solved_lambda1: list[float]
    failed_lambda1: list[float]


def summarize_toy(arrays: Mapping[str, np.ndarray]) -> ToySummary:
    """Returns the numbers of the toy.

    Args:
      arrays: `exponents` and `solved` (runs, times), `readout_times` and `auc` (times,).
    """
    solved, exponents = arrays["solved"], arrays["exponents"]
    return ToySummary(
        num_runs=len(solved),
        times=arrays["readout_times"].tolist(),
        num_failed=np.sum(~solved, axis=0).tolist(),
        auc=arrays["auc"].tolist(),
        solved_lambda1=_medians(exponents, solved),
        failed_lambda1=_medians(exponents, ~solved),
    )


def _medians(exponents: np.ndarray, group: np.ndarray) -> list[float]:
    return [
        float(np.median(column[chosen])) if chosen.any() else float("nan")
        for column, chosen in zip(exponents.T, group.T, strict=True)
    ]
