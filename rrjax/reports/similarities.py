"""Similarities of segments in words."""

from rrjax.analysis import format as words
from rrjax.analysis.similarities import SimilaritySummary
from rrjax.analysis.table import Table
from rrjax.reports.foretelling import foretelling_sentences, foretelling_table
from rrjax.results.results import Results

_NAMES = {
    "cka": "Unbiased CKA",
    "correlation": "RSA by 1 − Pearson",
    "euclidean": "RSA by Euclidean distance",
}


def tables(summary: SimilaritySummary) -> list[Table]:
    """Returns the mean similarities by outcome, and what a puzzle's own steadiness foretells."""
    made = [_table(summary, measure) for measure in _NAMES]
    taus = ", ".join(
        f"{words.number(tau, '.2f')} {name.replace('_', ' ', 1)}"
        for name, tau in summary.taus.items()
    )
    notes = [
        f"{words.count(summary.num_puzzles, 'puzzle')}, {summary.num_solved} solved; the control "
        "is split by the outcome of the trained model.",
        f"Kendall's τ_a of successive segments, Euclidean, at most 64 puzzles: {taus}.",
        *made[0].notes,
    ]
    made[0] = made[0]._replace(notes=notes)
    return [*made, foretelling_table(summary.foretelling)] if summary.foretelling else made


def _table(summary: SimilaritySummary, measure: str) -> Table:
    rows = [
        (
            state_name(each.model, each.field) if each.group == "all" else "",
            each.group,
            words.interval(each.mean, ".2f"),
            words.number(each.successive.value, ".2f"),
            words.number(each.first_last, ".2f"),
        )
        for each in summary.similarities
        if each.measure == measure
    ]
    headers = ("states", "puzzles", "mean (95 %)", "successive", "first, last")
    notes = [
        "Of blank cells; puzzles are the samples. Mean: of all pairs of different "
        "segments. CKA may be negative; RSA is Spearman's correlation."
    ]
    headline = (
        f"{_NAMES[measure]} of the states after {words.count(summary.num_segments, 'segment')}"
    )
    return Table(headline, headers, rows, notes if measure == "cka" else [])


def state_name(model: str, field: str) -> str:
    """Returns what a row calls the states of a field; the untrained model has fresh weights."""
    return field if model == "trained" else f"{field}, fresh"


def findings(results: Results, summary: SimilaritySummary) -> list[str]:
    """Returns in sentences how alike segments are, trained and fresh, and what that foretells."""
    means = {
        (each.model, each.field): each.mean
        for each in summary.similarities
        if (each.group, each.measure) == ("all", "cka")
    }
    sentences = []
    for field in dict.fromkeys(field for _, field in means):
        trained, fresh = means["trained", field], means.get(("untrained", field))
        sentence = (
            f"The mean unbiased CKA of {field} after two different segments is "
            f"{words.interval_in_words(trained, '.2f')}"
        )
        if fresh is not None:
            sentence += f"; with fresh weights it is {words.interval_in_words(fresh, '.2f')}"
        sentences.append(f"{sentence}.")
    return [*sentences, *foretelling_sentences(summary.foretelling)]
