"""Several runs of each puzzle in words: what they solve, and which to believe."""

import numpy as np

from rrjax.analysis.intervals import Estimate
from rrjax.analysis.selection import Selection

RULES = {
    "majority": "majority vote",
    "best_q": "highest q_halt",
    "smallest_residual": "smallest residual",
    "smallest_lambda1": "smallest λ1",
}
"""Rules that choose one run without knowing the answer, in words; the last if λ1 was measured."""
LEGEND = (
    "pass@k: some of k runs is right; majority: of whole answers; agreement: % of pairs of runs "
    "with the same answer; 95 % intervals: Wilson's for pass@{K} and rules, where a puzzle is one "
    "trial, else whole puzzles resampled"
)


def describe(selection: Selection) -> dict[str, str]:
    """The rows of a table: by what is believed, % of puzzles, or of runs, with its interval."""
    rows = {_passed(k): estimate for k, estimate in selection.pass_at.items()}
    rows |= {RULES[name]: estimate for name, estimate in selection.rules.items()}
    rows |= {"agreement": selection.agreement}
    return {name: percent(estimate) for name, estimate in rows.items()}


def percent(estimate: Estimate) -> str:
    """In %, without the sign."""
    if np.isnan(estimate.value):
        return "undefined"
    value, low, high = (100 * end for end in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _passed(k: str) -> str:
    return "one run" if k == "1" else f"pass@{k}"
