"""What several runs of a page say beside each other."""

from collections.abc import Mapping

from rrjax.analysis import format as words
from rrjax.analysis.paired import Comparison, compare
from rrjax.results.results import Results


def introduction(results: Mapping[str, Results]) -> list[str]:
    """Returns how the first run differs from each other one, in sentences; nothing for one run."""
    if len(results) < 2:
        return []
    (first, before), *others = results.items()
    sentences = []
    for name, after in others:
        try:
            sentences += _compared(first, name, compare(before, after))
        except ValueError as error:
            sentences.append(f"{first} and {name} are not compared: {error}.")
    return sentences


def _compared(first: str, second: str, change: Comparison) -> list[str]:
    shared = words.count(change.num_puzzles, "shared puzzle")
    before, after = map(words.percent_interval, (change.before, change.after))
    difference = words.percent_interval(change.difference)
    sentences = [
        f"Of {shared} {first} solves {before} and {second} {after}; the difference is {difference} "
        f"({len(change.gained)} gained, {len(change.lost)} lost, p = {change.p_value:.2g} by "
        "McNemar's exact test)."
    ]
    if change.lambda1_change is not None:
        ranked = words.count(change.num_ranked or 0, "puzzle")
        median = words.interval_in_words(change.lambda1_change)
        sentences.append(
            f"In the median of {ranked} with a finite λ₁ in both, λ₁ changes by {median} nats per "
            "update."
        )
    return sentences
