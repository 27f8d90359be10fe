"""Words for numbers: intervals, percentages and ranges, as tables and figures print them."""

import math

from rrjax.analysis.intervals import Interval
from rrjax.analysis.separation import MIN_GROUP

UNDEFINED_WORD = "undefined"
NO_INTERVAL = "no interval"


def number(value: float, form: str = ".3g") -> str:
    """Returns a number in a format such as `.3f`, or "undefined" for NaN; a last dot is dropped."""
    return UNDEFINED_WORD if math.isnan(value) else format(value, form).removesuffix(".")


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
    return interval(fraction.percent, f".{digits}f").replace(" (", " % (", 1)


def percent_in_words(fraction: Interval, digits: int = 1) -> str:
    """Returns a fraction as a sentence has it: "85.0 % (95 % interval 75.0 to 93.0)"."""
    return percent_interval(fraction, digits).replace("(", "(95 % interval ", 1)


def value_range(low: float, high: float, form: str = ".3g") -> str:
    """Returns the two ends of a range, or the one number that it holds."""
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"


def count(number: int, noun: str) -> str:
    """Returns a number with its noun, as in "1 run" or "3 runs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def few_runs(num_solved: int, num_failed: int) -> list[str]:
    """Returns a note on groups that are empty or too small for an interval; none elsewhere."""
    total = num_solved + num_failed
    if total == 0:
        return ["No run could be measured: medians and AUC are undefined."]
    if num_failed == 0:
        solved = "The only puzzle was solved" if total == 1 else f"All {total} puzzles were solved"
        return [f"{solved}: the AUC is undefined."]
    if num_solved == 0:
        return [f"None of {count(total, 'puzzle')} was solved: the AUC is undefined."]
    smaller, name = min((num_solved, "solved"), (num_failed, "failed"))
    if smaller >= MIN_GROUP:
        return []
    few = "There is only" if smaller == 1 else "There are only"
    runs = count(smaller, f"{name} run")
    return [f"{few} {runs}: an AUC needs {MIN_GROUP} in each group for an interval."]


def not_finite(number_of_runs: int, total: int, consequence: str) -> list[str]:
    """Returns a note on runs that were not finite, such as "left out"; none without any."""
    was, are = ("was", "is") if number_of_runs == 1 else ("were", "are")
    note = f"{number_of_runs} of {count(total, 'run')} {was} not finite and {are} {consequence}."
    return [note] if number_of_runs else []
