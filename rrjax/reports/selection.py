"""Several runs of each puzzle in words: what they solve, and which to believe."""

RULES = {
    "majority": "majority vote",
    "best_q": "highest q_halt",
    "smallest_residual": "smallest residual",
    "smallest_lambda1": "smallest λ₁",
}
"""Names of the rules that choose one run without knowing the answer."""

PASSED = "pass@k: one of k runs is right."


def passed(k: str) -> str:
    """Returns the name of pass@k; the one for k = 1 is the fraction of all runs."""
    return "one run" if k == "1" else f"pass@{k}"
