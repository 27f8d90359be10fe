"""Words for numbers: intervals, percentages and ranges, as tables and figures print them."""

import math

from rrjax.analysis.intervals import Interval
from rrjax.analysis.separation import MIN_GROUP

UNDEFINED_WORD = "undefined"
NO_INTERVAL = "no interval"


def number(value: float, form: str = ".3g") -> str:
    """Returns a number in a format such as `.3f`, or "undefined" for NaN."""
    return UNDEFINED_WORD if math.isnan(value) else format(value, form)


def interval(estimate: Interval, form: str = ".3f") -> str:
    """Returns an estimate with the ends of its interval, as in "0.850 (0.750 to 0.930)".

    NaN is "undefined", and an estimate without ends, of too few values, has "(no interval)".
    """
    if math.isnan(estimate.value):
        return UNDEFINED_WORD
    value, low, high = (number(end, form) for end in estimate.ends)
    if math.isnan(estimate.low):
        return f"{value} ({NO_INTERVAL})"
    return f"{value} ({low} to {high})"


def interval_in_words(estimate: Interval, form: str = ".3f") -> str:
    """Returns an estimate as a sentence has it: "0.850 (95 % interval 0.750 to 0.930)"."""
    text = interval(estimate, form)
    return text if NO_INTERVAL in text else text.replace("(", "(95 % interval ", 1)


def percent(fraction: float, digits: int = 1) -> str:
    """Returns a fraction in %, or "undefined" for NaN."""
    return UNDEFINED_WORD if math.isnan(fraction) else f"{100 * fraction:.{digits}f} %"


def percent_interval(fraction: Interval, digits: int = 1) -> str:
    """Returns a fraction in % with its interval, as in "85.0 % (75.0 to 93.0)"."""
    return interval(fraction.map(lambda end: 100 * end), f".{digits}f").replace(" (", " % (", 1)


def value_range(low: float, high: float, form: str = ".3g") -> str:
    """Returns the two ends of a range, or the one number that it holds."""
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"


def few_runs(num_solved: int, num_failed: int) -> list[str]:
    """Returns a note on groups that are empty or too small for an interval; none elsewhere."""
    total = num_solved + num_failed
    if total == 0:
        return ["No run could be measured: medians and AUC are undefined."]
    if num_failed == 0:
        return [f"All {total} puzzles were solved: the AUC is undefined."]
    if num_solved == 0:
        return [f"None of the {total} puzzles was solved: the AUC is undefined."]
    smaller, name = min((num_solved, "solved"), (num_failed, "failed"))
    if smaller >= MIN_GROUP:
        return []
    few = "There is only 1" if smaller == 1 else f"There are only {smaller}"
    runs = "run" if smaller == 1 else "runs"
    return [f"{few} {name} {runs}: an AUC needs {MIN_GROUP} in each group for an interval."]


def not_finite(number_of_runs: int, total: int, consequence: str) -> list[str]:
    """Returns a note on runs that were not finite; none without any."""
    note = f"{number_of_runs} of {total} runs were not finite: {consequence}."
    return [note] if number_of_runs else []
