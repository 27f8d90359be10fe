"""Meaning and dynamics in words: overlaps of vectors, where they lie, and what a fall goes with."""

import math

import numpy as np

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.table import Table
from rrjax.analysis.vectors import CELLS, GROUPS, MeaningSummary, Overlap
from rrjax.results.results import Results


def tables(summary: MeaningSummary) -> list[Table]:
    """Returns overlaps with what probes read and with the code, places of vectors, and falls."""
    made = [_location_table(summary)]
    vectors = dict.fromkeys(e.vector for e in summary.overlaps if e.vector != "random")
    made += [_overlap_table(summary, vector, kind) for vector in vectors for kind in _TITLES]
    return [*made, _fall_table(summary)]


_TITLES = {"read": "what a probe reads", "code": "how states differ between classes"}


def _shown(summary: MeaningSummary) -> list[int]:
    """Returns an early, a middle and the last segment, counted from 0."""
    last = summary.num_segments - 1
    return sorted({min(1, last), last // 2, last})


def _known(estimate: Interval, form: str = ".2f") -> str:
    text = words.number(estimate.value, form)
    return "–" if text == words.UNDEFINED_WORD else text


def _overlap_table(summary: MeaningSummary, vector: str, kind: str) -> Table:
    segments = _shown(summary)
    rows = [
        (
            each.target,
            each.field,
            group,
            _known(each.medians[group][segments[-1]], ".2g"),
            *(words.interval(each.over_shuffled[group][s], ".2g") for s in segments),
        )
        for each in summary.overlaps
        for group in GROUPS
        if (each.vector, each.kind) == (vector, kind)
    ]
    headers = (
        "target",
        "field",
        "group",
        f"after\n{segments[-1] + 1}",
        *(f"over shuffled,\nafter {s + 1}" for s in segments),
    )
    random = [
        each.medians[group][s].value
        for each in summary.overlaps
        for group in GROUPS
        for s in segments
        if (each.vector, each.kind) == ("random", kind)
    ]
    low, high = np.nanmin(random), np.nanmax(random)
    notes = [
        "Medians over puzzles, in units of what a random direction has on average (the medians of "
        f"random vectors are {low:.2f} to {high:.2f}). Over shuffled: each puzzle's overlap over "
        "that with probes of labels that were permuted within puzzles."
    ]
    return Table(f"Overlap of {vector} with {_TITLES[kind]}", headers, rows, notes)


def _location_table(summary: MeaningSummary) -> Table:
    first = summary.fields[0]
    rows = [
        (
            each.vector,
            each.group,
            str(segment + 1),
            _known(each.in_field[first][segment]),
            *(_known(each.on_cells[name][segment]) for name in CELLS),
            _known(each.along_answer[segment], ".3g"),
        )
        for each in summary.locations
        for segment in _shown(summary)
    ]
    headers = ("vector", "group", "segment", f"in {first}", *CELLS, "along the answer")
    notes = [
        f"Medians over {summary.num_solved} solved and "
        f"{summary.num_puzzles - summary.num_solved} failed puzzles. Given, right, wrong: share of "
        "the squared norm per cell, in units of an even spread. Along the answer: squared cosine "
        "with the gradient of the margin after the next segment, times the dimension."
    ]
    return Table("Where leading vectors lie", headers, rows, notes)


def _fall_table(summary: MeaningSummary) -> Table:
    rows = [
        (
            each.target,
            each.field,
            _known(each.own, "+.3f"),
            _known(each.others, "+.3f"),
            words.interval(each.excess, "+.3f"),
        )
        for each in summary.falls
    ]
    headers = ("target", "field", "rise", "of others", "excess")
    notes = [
        "Rise of the share of cells that a probe reads right, in the segment in which the growth "
        f"of the first covariant vector falls most (median {summary.fall_segment:g}). Of others: "
        "mean rise of other puzzles of the same outcome in that segment. Excess: the difference, "
        "with Student's interval over puzzles."
    ]
    return Table("What becomes readable when growth falls", headers, rows, notes)


def findings(results: Results, summary: MeaningSummary) -> list[str]:
    """Returns in sentences how far the leading vector follows digits, and what falls go with."""
    first = summary.overlaps[0].vector
    digits = [
        each
        for each in summary.overlaps
        if (each.vector, each.kind) == (first, "read") and each.target in ("digit", "on path")
    ]
    return [*filter(None, map(_overlap_sentence, digits)), *_fall_sentences(summary)]


def _overlap_sentence(overlap: Overlap) -> str:
    ratios = {group: overlap.over_shuffled[group][-1] for group in GROUPS}
    parts = [
        f"{words.interval_in_words(ratio, '.2g')} times in {group} puzzles"
        for group, ratio in ratios.items()
        if not math.isnan(ratio.value)
    ]
    if not parts:
        return ""
    return (
        f"After the last segment {overlap.vector} overlaps with what a probe of “{overlap.target}” "
        f"reads from {overlap.field} {' and '.join(parts)} as much as with probes of permuted "
        "labels (medians)."
    )


def _fall_sentences(summary: MeaningSummary) -> list[str]:
    """Returns how many readings rise with the fall of growth; none without an interval."""
    known = [each.excess for each in summary.falls if not math.isnan(each.excess.low)]
    if not known:
        return []
    sure = sum(excess.excludes(0) for excess in known)
    return [
        f"The growth falls most in segment {summary.fall_segment:g} (median); {sure} of "
        f"{words.count(len(known), 'reading')} change in that segment by more or less than in "
        "other puzzles of the same outcome (intervals without 0), where one in twenty would by "
        "chance."
    ]
