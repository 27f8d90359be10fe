"""Dimensions of recorded states in words."""

from rrjax.analysis import format as words
from rrjax.analysis.dimensions import Dimension, DimensionSummary
from rrjax.analysis.table import Table
from rrjax.reports.foretelling import foretelling_sentences, foretelling_table
from rrjax.reports.similarities import state_name
from rrjax.results.results import Results

_NAMES = {"participation": "Participation ratio", "two_nn": "TwoNN", "mle": "Likelihood"}


def tables(summary: DimensionSummary) -> list[Table]:
    """Returns the dimensions by outcome, by the number of points, and what they foretell."""
    made = [_table(summary, measure) for measure in _NAMES]
    each, number = summary.num_each, words.count(summary.num_puzzles, "puzzle")
    notes = [
        f"{number}; {each} solved stand against {each} failed, because an estimate depends on the "
        "number of points. The control is split by the outcome of the trained model.",
        "Of blank cells; each puzzle is one point. The participation ratio is linear and free of "
        "bias; TwoNN and likelihood (10 neighbours) are intrinsic.",
    ]
    made[0] = made[0]._replace(notes=notes)
    made.append(_scale_table(summary))
    return [*made, foretelling_table(summary.foretelling)] if summary.foretelling else made


def _table(summary: DimensionSummary, measure: str) -> Table:
    rows = [
        (
            state_name(each.model, each.field),
            str(each.segment),
            *(words.interval(interval, ".0f") for interval in each.by_group.values()),
        )
        for each in summary.dimensions
        if each.measure == measure
    ]
    headers = ("states", "seg-\nment", "all (95 %)", "solved", "failed")
    return Table(f"{_NAMES[measure]} of the states", headers, rows, [])


def _scale_table(summary: DimensionSummary) -> Table:
    sizes = list(next(iter(summary.by_scale.values())))
    rows = [
        (
            state_name(*name.partition("_")[::2]),
            *(words.interval(scales[size], ".0f") for size in sizes),
        )
        for name, scales in summary.by_scale.items()
    ]
    notes = [
        "Fewer points are farther apart. A dimension that keeps changing with their number is not "
        "that of a manifold, but of the scale at which it is looked at."
    ]
    headers = ("states", *(f"{size}\npoints" for size in sizes))
    return Table("TwoNN after the last segment, by the number of points", headers, rows, notes)


def findings(results: Results, summary: DimensionSummary) -> list[str]:
    """Returns in sentences the dimensions after the last segment, and what they foretell."""
    last = max(each.segment for each in summary.dimensions)
    at_end = {
        (each.field, each.measure): each
        for each in summary.dimensions
        if (each.model, each.segment) == ("trained", last)
    }
    sentences = [
        _dimension_sentence(at_end[field, "participation"], at_end[field, "two_nn"], summary)
        for field in dict.fromkeys(field for field, _ in at_end)
    ]
    return [*sentences, *foretelling_sentences(summary.foretelling)]


def _dimension_sentence(linear: Dimension, intrinsic: Dimension, summary: DimensionSummary) -> str:
    ratio = {group: words.interval_in_words(each, ".0f") for group, each in linear.by_group.items()}
    sentence = (
        f"After segment {linear.segment} the states of {linear.field} have a participation ratio "
        f"of {ratio['all']} and by TwoNN "
        f"{words.interval_in_words(intrinsic.by_group['all'], '.0f')} dimensions, of "
        f"{summary.num_puzzles} puzzles"
    )
    if words.UNDEFINED_WORD in (ratio["solved"], ratio["failed"]):
        return f"{sentence}."
    return (
        f"{sentence}; the participation ratio of {summary.num_each} solved puzzles is "
        f"{ratio['solved']}, and of as many failed ones {ratio['failed']}."
    )
