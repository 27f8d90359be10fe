"""Long rollouts in words: accuracy against compute, escape of the failures, early halting."""

from rrjax.analysis import format as words
from rrjax.analysis.rollouts import RolloutSummary
from rrjax.analysis.table import Table


def tables(summary: RolloutSummary) -> list[Table]:
    """Returns accuracy, escapes where segments follow the readout, and halting by given rules."""
    escape = [_escape_table(summary)] if summary.escape.segments_watched else []
    halting = [_halting_table(summary)] if summary.halting else []
    return [_accuracy_table(summary), *escape, *halting]


def _accuracy_table(summary: RolloutSummary) -> Table:
    at_end = summary.at_end
    is_last = summary.at_readout.segment == at_end.segment
    readouts = (at_end,) if is_last else (summary.at_readout, at_end)
    notes = words.not_finite(summary.num_not_finite, summary.num_puzzles, "counted as failed")
    if summary.num_lost:
        notes.append(
            f"{words.count(summary.num_lost, 'puzzle')} solved at segment "
            f"{summary.at_readout.segment} {'is' if summary.num_lost == 1 else 'are'} not solved "
            f"at segment {at_end.segment}."
        )
    columns = {"solved\n(95 % interval)": [words.percent_interval(at.solved) for at in readouts]}
    if at_end.violations is not None:
        columns["violations\nof failures"] = [
            words.number(at.violations, "g") for at in readouts if at.violations is not None
        ]
        notes.append("Violations: digits missing in a row, column or box, median of the failures.")
    if at_end.valid_path is not None:
        columns["valid paths\n(95 % interval)"] = [
            words.percent_interval(at.valid_path) for at in readouts if at.valid_path
        ]
        notes.append("A valid path joins S to G, whether it is the labelled one or not.")
    columns["tokens\nright"] = [words.percent(at.token_accuracy) for at in readouts]
    rows = [
        (f"at segment {at.segment}", *(cells[row] for cells in columns.values()))
        for row, at in enumerate(readouts)
    ]
    some = words.percent_interval(summary.solved_at_some)
    if is_last:
        notes.append(f"There is no segment after {at_end.segment}: nothing is known of escapes.")
    rows.append(("at some segment", some, *[""] * (len(columns) - 1)))
    headline = (
        f"{words.count(summary.num_puzzles, 'puzzle')} over "
        f"{words.count(at_end.segment, 'segment')} of "
        f"{words.count(summary.updates_per_segment, 'update')}"
    )
    return Table(headline, ("read out", *columns), rows, notes)


def _escape_table(summary: RolloutSummary) -> Table:
    escape, left = summary.escape, summary.escape.still_failing
    headline = (
        f"Of {words.count(escape.num_failures, 'failure')} at segment "
        f"{summary.at_readout.segment}, {escape.num_escaped} escaped in "
        f"{words.count(escape.segments_watched, 'more segment')}"
    )
    rows = [
        (f"still failing at segment {summary.at_end.segment}", words.percent_interval(left)),
        ("escapes per moving segment", words.interval(escape.rate_per_segment, ".3g")),
        ("escapes per update", words.interval(escape.rate_per_update, ".3g")),
    ]
    return Table(headline, ("failures", "95 % interval"), rows, _escape_notes(summary))


def _escape_notes(summary: RolloutSummary) -> list[str]:
    escape, readout, end = summary.escape, summary.at_readout.segment, summary.at_end.segment
    notes = []
    if escape.num_solved_before:
        notes.append(
            f"{escape.num_solved_before} of the failures had been solved before segment {readout}."
        )
    if lost := escape.num_escaped - escape.num_kept:
        notes.append(
            f"{lost} of {escape.num_escaped} that escaped lost the answer again by the end."
        )
    notes.append(
        f"At rest at a wrong answer by segment {end}: {escape.num_at_rest} of "
        f"{words.count(escape.num_failures, 'failure')}. A run whose residual is round-off cannot "
        "escape."
    )
    if escape.late_over_early.high < 1 or escape.late_over_early.low > 1:  # neither holds for NaN
        change = "falls" if escape.late_over_early.high < 1 else "rises"
        ratio = words.interval_in_words(escape.late_over_early, ".2g")
        notes.append(f"The rate {change} with time: late over early half, {ratio}.")
    if escape.last_escape is not None:
        notes.append(f"The last escape is at segment {readout + escape.last_escape}.")
    return [
        *notes,
        f"Rates are those of segments {readout + 1} to {end}. They count the segments in which a "
        f"failed run moves: {escape.segments_moving} of "
        f"{words.count(escape.segments_failing, 'segment')}.",
    ]


def _halting_table(summary: RolloutSummary) -> Table:
    rows = [
        (
            rule.name,
            str(rule.num_halted),
            words.percent_interval(rule.accuracy),
            f"{rule.mean_segments:.1f}",
            words.percent(rule.saved),
        )
        for rule in summary.halting
    ]
    full = words.percent(summary.at_end.solved.value)
    headers = (
        "halts where",
        f"halted\nof {summary.num_puzzles}",
        "solved\n(95 % interval)",
        "mean\nsegments",
        "compute\nsaved",
    )
    note = f"Without halting, {full} are solved after {summary.at_end.segment} segments."
    return Table("Early halting, from the same runs", headers, rows, [note])
