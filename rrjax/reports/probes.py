"""Probes in words: what is read from which state, by outcome, and what it forecasts."""

import math

from rrjax.analysis import format as words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.probes import ProbeSummary, Reading
from rrjax.analysis.table import Table
from rrjax.results.results import Results

_DECIDED = ("digit", "last answer", "on path")
"""The targets that are shown by outcome: what has to be found."""


def tables(summary: ProbeSummary) -> list[Table]:
    """Returns tables of what probes read, by outcome too, of its forecasts, and of low ranks."""
    shown = [_reading_table(summary), _control_table(summary), *_outcome_tables(summary)]
    if summary.forecasts:
        shown += [_forecast_table(summary, kind) for kind in ("all", "open")]
    low = [reading for reading in summary.readings if reading.low_rank]
    return [*shown, _rank_table(low)] if low else shown


def _shown_segments(number: int) -> list[int]:
    """Returns some segments, counted from 0: 1, 2, 4, 8 … and the last."""
    powers = [2**i for i in range(20) if 2**i < number]
    return [segment - 1 for segment in [*powers, number]]


def _few(estimate: Interval) -> str:
    return words.interval(estimate, ".2f").replace(" (no interval)", "")


def _reading_table(summary: ProbeSummary) -> Table:
    segments = _shown_segments(summary.num_segments)
    rows = [
        (
            reading.target,
            reading.field,
            words.number(reading.chance, ".2f"),
            *(words.number(reading.scores["all"][s].value, ".2f") for s in segments[:-1]),
            _few(reading.scores["all"][segments[-1]]),
        )
        for reading in summary.readings
    ]
    after = (f"after\n{segment + 1}" for segment in segments)
    notes = [
        "Accuracies balanced between classes; of candidates and distances the share of the spread "
        "that is explained. Cells to be found alone count, except for given."
    ]
    notes += [f"Left out: {name}, because {reason}." for name, reason in summary.left_out.items()]
    headline = (
        f"What linear probes read, fitted on {words.count(summary.num_train, 'puzzle')} and scored "
        f"on {summary.num_held_out} others ({summary.num_solved} of them solved)"
    )
    return Table(headline, ("target", "field", "chance", *after), rows, notes)


def _control_table(summary: ProbeSummary) -> Table:
    rows = [
        (
            reading.target,
            reading.field,
            words.number(reading.scores["all"][-1].value, ".2f"),
            _known(words.number(reading.control[-1].value, ".2f")),
            _known(_few(reading.selectivity[-1])),
            words.number(reading.permuted[-1], ".2f"),
            words.number(reading.p[-1], ".2g"),
            _last(reading.untrained),
        )
        for reading in summary.readings
    ]
    headers = ("target", "field", "score", "control", "selectivity", "permuted", "p", "fresh")
    notes = [
        f"Control: random labels for each cell and input token. p: of {summary.num_permutations} "
        "permutations of the labels within puzzles (of distance and solved, among puzzles). Fresh: "
        "the same cell with fresh weights."
    ]
    return Table("The same probes after the last segment, against controls", headers, rows, notes)


def _last(intervals: list[Interval] | None) -> str:
    return "–" if intervals is None else _known(words.number(intervals[-1].value, ".2f"))


def _known(text: str) -> str:
    return "–" if text == words.UNDEFINED_WORD else text


def _outcome_tables(summary: ProbeSummary) -> list[Table]:
    return [
        _outcome_table(summary, target, group)
        for target in _DECIDED
        for group in ("solved", "failed")
        if any(reading.target == target for reading in summary.readings)
    ]


def _outcome_table(summary: ProbeSummary, target: str, group: str) -> Table:
    readings = [reading for reading in summary.readings if reading.target == target]
    is_last = target == "last answer"
    own = summary.kept if is_last else summary.answer
    rows = [
        (
            str(segment + 1),
            _few(own[group][segment]),
            *(_few(reading.scores[group][segment]) for reading in readings),
        )
        for segment in _shown_segments(summary.num_segments)
    ]
    headers = ("segment", "own answer", *(f"{target}\nfrom {r.field}" for r in readings))
    what = "equal to the last one" if is_last else "right"
    notes = [f"Own answer: the share of cells at which the answer after the segment is {what}."]
    return Table(f"{target.capitalize()}, {group} puzzles", headers, rows, notes)


def _forecast_table(summary: ProbeSummary, kind: str) -> Table:
    """Returns the AUCs of `all` puzzles, or of the `open` ones."""
    forecasts = summary.forecasts
    names = ["conflicts" if f.source == "conflicts" else f"probe of {f.source}" for f in forecasts]
    rows = [
        (
            str(segment + 1),
            *(_few(getattr(each, kind)[segment]) for each in forecasts),
            *(() if kind == "all" else map(str, forecasts[0].num_open[segment])),
        )
        for segment in _shown_segments(summary.num_segments)
    ]
    numbers = () if kind == "all" else ("solved later", "failed")
    note = "Rank AUC of the outcome after the last segment."
    if "conflicts" in names:  # a maze has none
        note += " Conflicts: fewer cells of the answer that repeat a digit."
    which = "" if kind == "all" else ", among those whose answer is not yet right"
    headline = f"What tells solved from failed puzzles{which}"
    return Table(headline, ("segment", *names, *numbers), rows, [note])


def _rank_table(readings: list[Reading]) -> Table:
    ranks = list(readings[0].low_rank)
    rows = [
        (
            reading.target,
            reading.field,
            *(words.number(reading.low_rank[rank][-1], ".2f") for rank in ranks),
            words.number(reading.scores["all"][-1].value, ".2f"),
        )
        for reading in readings
    ]
    headers = ("target", "field", *(f"rank {rank}" for rank in ranks), "full rank")
    notes = ["Balanced accuracy after the last segment of probes that see so many directions."]
    return Table("Probes of low rank", headers, rows, notes)


def findings(results: Results, summary: ProbeSummary) -> list[str]:
    """Returns in sentences what is read of what has to be found, and whether that foretells."""
    to_find = [reading for reading in summary.readings if reading.target in ("digit", "on path")]
    return [*map(_reading_sentence, to_find), *_forecast_sentences(summary)]


def _reading_sentence(reading: Reading) -> str:
    selectivity = words.interval_in_words(reading.selectivity[-1], "+.2f")
    what = "whether a cell is on the path" if reading.target == "on path" else "the digit of cells"
    sentence = (
        f"After the last segment a linear probe of {reading.field} reads {what} in held-out "
        "puzzles with a balanced accuracy of "
        f"{words.interval_in_words(reading.scores['all'][-1], '.2f')}, where a guess has "
        f"{reading.chance:.2f}; its selectivity against random labels of cells is {selectivity}"
    )
    if reading.untrained is None:
        return f"{sentence}."
    fresh = words.interval_in_words(reading.untrained[-1], ".2f")
    return f"{sentence}, and with fresh weights a probe has {fresh}."


def _forecast_sentences(summary: ProbeSummary) -> list[str]:
    """Returns how well each source tells the outcome halfway, where that can be measured."""
    half = summary.num_segments // 2
    if not half:
        return []
    parts = [
        f"{words.interval_in_words(forecast.all[half - 1], '.2f')} by "
        + (
            "the digits that repeat"
            if forecast.source == "conflicts"
            else f"a probe of {forecast.source}"
        )
        for forecast in summary.forecasts
        if not math.isnan(forecast.all[half - 1].value)
    ]
    if not parts:
        return []
    after = words.count(half, "segment")
    return [f"The AUC of the outcome after {after} is {', '.join(parts)}."]
