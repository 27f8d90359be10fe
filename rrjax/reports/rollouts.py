"""Long rollouts in words: accuracy against compute, escape of the failures, early halting."""

import numpy as np

from rrjax.analysis.format import bracketed
from rrjax.analysis.intervals import SMALL_GROUP, Estimate
from rrjax.analysis.rollouts import RolloutSummary
from rrjax.analysis.table import Table


def tables(summary: RolloutSummary) -> list[Table]:
    """The tables in words: accuracy, escape, and halting where a rule was given."""
    both = [_accuracy_table(summary), _escape_table(summary)]
    return [*both, _halting_table(summary)] if summary.halting else both


def _accuracy_table(summary: RolloutSummary) -> Table:
    readouts = (summary.at_readout, summary.at_end)
    headers = tuple(f"segment {r.segment}" for r in readouts)
    rows = [
        ("evaluations", *(str(r.evaluations) for r in readouts), ""),
        ("solved", *(_percent(r.solved) for r in readouts), _percent(summary.solved_at_some)),
        ("right tokens", *(_share(r.token_accuracy) for r in readouts), ""),
    ]
    if summary.at_end.violations is not None:
        rows.append(("violations", *(_violated(r.violations) for r in readouts), ""))
    valid = [r.valid_path for r in readouts if r.valid_path is not None]
    if valid:
        rows.append(("valid paths", *map(_percent, valid), ""))
    headline = (
        f"{summary.num_puzzles} puzzles, {summary.at_end.segment} segments of "
        f"{summary.updates_per_segment} module evaluations"
    )
    return Table(headline, ("", *headers, "some segment"), rows, _accuracy_notes(summary))


def _accuracy_notes(summary: RolloutSummary) -> list[str]:
    notes = []
    if summary.num_not_finite:
        notes.append(
            f"{summary.num_not_finite} of {summary.num_puzzles} runs were not finite: not solved"
        )
    if summary.num_lost:
        notes.append(
            f"{summary.num_lost} solved at segment {summary.at_readout.segment} are not at "
            f"segment {summary.at_end.segment}"
        )
    legend = "solved: with 95 % Wilson intervals"
    if summary.at_end.valid_path is not None:
        legend += ", as are valid paths, which join S to G whether labelled or not"
    if summary.at_end.violations is not None:
        legend += "; violations: digits missing in a row, column or box, median of the failures"
    return [*notes, legend]


def _escape_table(summary: RolloutSummary) -> Table:
    escape = summary.escape
    headline = (
        f"Of {escape.num_failures} failures at segment {summary.at_readout.segment}, "
        f"{escape.num_escaped} escaped in {escape.segments_watched} more segments"
    )
    rows = [
        ("still failing at the end", _percent(escape.still_failing)),
        ("escapes per segment", _number(escape.rate_per_segment)),
        ("escapes per module evaluation", _number(escape.rate_per_update)),
        ("per segment, first half", _number(escape.early_rate)),
        ("per segment, second half", _number(escape.late_rate)),
    ]
    return Table(headline, ("failures", "value [95 % interval]"), rows, _escape_notes(summary))


def _escape_notes(summary: RolloutSummary) -> list[str]:
    escape, readout = summary.escape, summary.at_readout.segment
    notes = []
    if escape.segments_watched == 0:
        notes.append(f"no segment after {readout}: nothing is known of escapes")
    elif escape.num_failures < SMALL_GROUP:
        notes.append(f"only {escape.num_failures} failures: too few for the curve's intervals")
    if escape.num_solved_before:
        notes.append(
            f"{escape.num_solved_before} of the failures had been solved before segment {readout}"
        )
    if escape.num_kept < escape.num_escaped:
        notes.append(
            f"{escape.num_escaped - escape.num_kept} of {escape.num_escaped} escaped lost the "
            "answer again by the end"
        )
    early, late = escape.early_rate, escape.late_rate
    if late.high < early.low or late.low > early.high:
        change = "falls" if late.high < early.low else "rises"
        notes.append(f"the rate {change} with time: one exponential does not describe it")
    legend = "Kaplan–Meier with Greenwood's log-log interval; rates: escapes / time waited, Garwood"
    return [*notes, legend]


def _halting_table(summary: RolloutSummary) -> Table:
    rows = [
        (
            rule.name,
            str(rule.num_halted),
            _percent(rule.accuracy),
            f"{rule.mean_segments:.1f}",
            f"{100 * rule.saved:.1f} %",
        )
        for rule in summary.halting
    ]
    full = _percent(summary.at_end.solved)
    headers = ("halts where", "halted", "solved", "segments", "saved")
    note = (
        f"halted: of {summary.num_puzzles}, before the end; segments: mean; saved: of all module "
        f"evaluations; without halting {full} after {summary.at_end.segment} segments"
    )
    return Table("Early halting, from the same runs", headers, rows, [note])


def _percent(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return "undefined"
    numbers = (100 * end for end in (estimate.value, estimate.low, estimate.high))
    value, low, high = ("undefined" if np.isnan(number) else f"{number:.1f}" for number in numbers)
    return f"{value} % [{low}, {high}]"


def _number(estimate: Estimate) -> str:
    return bracketed(estimate.value, estimate.low, estimate.high, ".3g")


def _share(fraction: float) -> str:
    return "unknown" if np.isnan(fraction) else f"{100 * fraction:.1f} %"


def _violated(number: float | None) -> str:
    return "no failures" if number is None or np.isnan(number) else f"{number:g}"
