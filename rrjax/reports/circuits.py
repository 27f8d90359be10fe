"""Circuits of naked singles in words: what ablations take away, beside random cells."""

from rrjax.analysis import format as words
from rrjax.analysis.circuits import CircuitSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def tables(summary: CircuitSummary) -> list[Table]:
    """Returns a table of effects for each run, and one of the rows of the mixing."""
    methods = dict.fromkeys(each.method for each in summary.effects)
    made = [_effect_table(summary, run, how) for run in summary.clean_right for how in methods]
    return [*made, _share_table(summary)]


def _effect_table(summary: CircuitSummary, run: str, method: str) -> Table:
    rows = [
        (
            each.ablation,
            *(words.percent(each.right[place].value, 0) for place in ("target", "control")),
            words.interval(each.margin_change["target"], ".1f"),
            words.interval(each.against_control, ".1f"),
        )
        for each in summary.effects
        if (each.run, each.method) == (run, method)
    ]
    headers = ("ablated", "right", "control", "change of margin,\n95 %", "less the control's")
    singles = words.count(summary.num_singles, "naked single")
    headline = (
        f"{singles} of {words.count(summary.num_puzzles, 'puzzle')} after "
        f"{words.count(summary.num_segments, 'segment')}, {run} weights, {method} values put in"
    )
    notes = [
        f"Without an ablation {words.percent_interval(summary.clean_right[run])} are right, with a "
        f"margin of {words.interval(summary.clean_margin[run], '.1f')}. All are read at the single,"
        f" which has {summary.num_sources:.1f} given peers on average; the control ablates as many "
        "random cells that are no peers of it."
    ]
    return Table(headline, headers, rows, notes)


def _share_table(summary: CircuitSummary) -> Table:
    rows = [
        (
            run,
            stage,
            words.interval(share),
            words.interval(summary.share_against_control[run][stage], "+.3f"),
        )
        for run, stages in summary.peer_share.items()
        for stage, share in stages.items()
    ]
    notes = [
        "Share: p / (p + o) of the mean strengths from peers and from other cells in the first "
        "update after the run, 1/2 where both write as strongly."
    ]
    headers = ("weights", "sub-layer", "share of peers (95 %)", "less the control cell's")
    return Table("Strengths into naked singles, from peers and from others", headers, rows, notes)


def findings(results: Results, summary: CircuitSummary) -> list[str]:
    """Returns in sentences what the trained model's naked singles need."""
    return [
        f"With {each.method} values for its {each.ablation} a naked single is right in "
        f"{words.percent_in_words(each.right['target'])} of {summary.num_puzzles} puzzles, against "
        f"{words.percent(each.right['control'].value)} with random cells ablated."
        for each in summary.effects
        if each.run == "trained" and each.method == "resampled"
    ]
