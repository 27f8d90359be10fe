"""Terms of logits in words: stages, channels, and gradients by the clues."""

from rrjax.analysis import format as words
from rrjax.analysis.logit_terms import LogitRun, LogitSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def tables(summary: LogitSummary) -> list[Table]:
    """Returns what stages and channels add to margins, and how gradients follow the peers."""
    made = [_stage_table(summary)]
    for run in summary.runs:
        made += [_channel_table(summary, run), _saliency_table(summary, run), _clue_table(run)]
    return made


def _stage_table(summary: LogitSummary) -> Table:
    trained, *control = summary.runs
    rows = [
        (
            stage.name,
            *(words.interval(term, "+.1f") for term in stage.terms.values()),
            *(words.number(run.stages[place].terms["wrong"].value, "+.1f") for run in control),
        )
        for place, stage in enumerate(trained.stages)
    ]
    headers = (
        "stage",
        "right cells (95 %)",
        "wrong cells (95 %)",
        *(f"{run.name},\nwrong" for run in control),
    )
    number = words.count(summary.num_puzzles, "puzzle")
    notes = [
        "Margin: logit of the label less the largest other at the end, which `before` and the "
        f"stages add up to. Means over blank cells and puzzles, in segment {summary.num_segments}."
    ]
    return Table(f"What the last segment adds to the margin, {number}", headers, rows, notes)


def _channel_table(summary: LogitSummary, run: LogitRun) -> Table:
    rows = [(str(each.number), words.interval(each.term, "+.3f")) for each in run.top]
    notes = [
        "Terms of the margin after the last segment. The channels are chosen on the first half of "
        f"the puzzles and measured on the second. A cell's margin is spread over "
        f"{words.interval(run.num_channels, '.1f')} of {summary.num_channels} channels, "
        f"(Σ|c|)² / Σc², and in a random basis over {words.interval(run.num_turned, '.1f')}."
    ]
    headline = f"The largest and smallest terms of the margin by channel, {run.name} weights"
    return Table(headline, ("channel", "term (95 %)"), rows, notes)


def _saliency_table(summary: LogitSummary, run: LogitRun) -> Table:
    rows = [
        (
            each.start,
            each.measure,
            words.percent(each.share.value),
            words.percent(each.expected),
            words.interval(each.excess.percent, "+.1f"),
        )
        for each in run.saliencies
    ]
    headers = ("segment", "gradient", "on peers", "expected", "excess, % (95 %)")
    notes = [
        f"Gradient of the margin of {summary.num_targets} random blank cells of each puzzle by the "
        "embedded input during a segment, whose first state is held. Expected: givens and blanks "
        "each at random places. Removal: a blank in the place of the clue."
    ]
    headline = f"Where the gradient of a cell's margin lies, {run.name} weights"
    return Table(headline, headers, rows, notes)


def _clue_table(run: LogitRun) -> Table:
    rows = [
        (
            each.start,
            each.measure,
            words.number(each.peers.value, "+.3f"),
            words.number(each.others.value, "+.3f"),
            words.interval(each.difference, "+.3f"),
        )
        for each in run.clues
    ]
    headers = ("segment", "gradient", "a peer", "another", "difference (95 %)")
    notes = ["Linear effect of one clue on the margin of a blank cell, in logits."]
    headline = f"What a clue does to a cell's margin, {run.name} weights"
    return Table(headline, headers, rows, notes)


def findings(results: Results, summary: LogitSummary) -> list[str]:
    """Returns in sentences how far gradients follow the peers, trained and untrained."""
    sentences = []
    for run in summary.runs:
        first = next(each for each in run.saliencies if each.start == "first")
        share = words.percent(first.share.value)
        sentences.append(
            f"With {run.name} weights {share} of the gradient of a blank cell's margin after one "
            f"segment lies on its peers, where {words.percent(first.expected)} is expected."
        )
    return sentences
