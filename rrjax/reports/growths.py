"""Growth by part in words: signed contributions by outcome, and where the vectors lie."""

from collections.abc import Iterable

from rrjax.analysis import format as words
from rrjax.analysis.growths import Contribution, GrowthSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results

_SIGNED = "+.3f"
_HEADERS = ("solved", "failed", "failed − solved (95 %)")


def tables(summary: GrowthSummary) -> list[Table]:
    """Returns the contributions to λ₁ and of cells, where vectors lie, and how steps grow."""
    made = [_stage_table(summary), _cell_table(summary), _location_table(summary)]
    return [*made, _stretch_table(summary)] if summary.stretches else made


def _rows(contributions: Iterable[Contribution], form: str = _SIGNED) -> list[tuple[str, ...]]:
    return [
        (
            each.name,
            words.number(each.solved.value, form),
            words.number(each.failed.value, form),
            words.interval(each.difference, form),
        )
        for each in contributions
    ]


def _stage_table(summary: GrowthSummary) -> Table:
    rows = _rows(summary.stages)
    rows += [(f"all {name}", *cells) for name, *cells in _rows(summary.sums)]
    rows += [(f"field {name}", *cells) for name, *cells in _rows(summary.fields)]
    rows += _rows([summary.lambda1])
    for kind, parts in (("alignment", summary.alignment), ("size", summary.size)):
        rows += [(f"{kind} of {name}", *cells) for name, *cells in _rows(parts)]
    number = words.count(summary.num_puzzles, "puzzle")
    headline = (
        f"λ₁ of {number} by stage, in nats per update ({summary.num_solved} solved and "
        f"{summary.num_failed} failed after {words.count(summary.num_segments, 'segment')})"
    )
    notes = words.not_finite(summary.num_not_finite, summary.num_puzzles, "left out")
    notes += [
        f"The stages add up to λ₁, and so do the fields; no exponent differs from the sum of its "
        f"parts by more than {summary.largest_gap:.1g}.",
        "Means over puzzles, and Welch's interval. A residual sum is x + f(x) with its branch f; "
        "alignment and size are its two parts.",
    ]
    return Table(headline, ("contribution of", *_HEADERS), rows, notes)


def _cell_table(summary: GrowthSummary) -> Table:
    rows = _rows(summary.cells, "+.4f")
    return Table(
        "Contribution to λ₁ of one cell, in nats per update",
        ("of", *_HEADERS),
        rows,
        ["Means over the cells of a kind in each puzzle that has some."],
    )


def _location_table(summary: GrowthSummary) -> Table:
    rows = [
        (
            f"v{each.number}",
            *(words.interval(each.answer_share[group], ".2f") for group in ("solved", "failed")),
            *(words.number(each.along_loss[group].value) for group in ("solved", "failed")),
        )
        for each in summary.locations
    ]
    random = (words.number(summary.random_along_loss[g].value) for g in ("solved", "failed"))
    share = f"{summary.answer_dimension:.2f}"
    rows.append(("random", share, share, *random))
    headers = (
        "vector",
        f"in {summary.answer},\nsolved",
        f"in {summary.answer},\nfailed",
        "along the loss,\nsolved",
        "along the loss,\nfailed",
    )
    notes = [
        "Medians after the last segment. In: share of the squared norm. Along the loss: squared "
        "cosine with its gradient, times the dimension of the state, of which the mean is 1 for "
        "random vectors (their median is 0.45)."
    ]
    return Table("Where the leading vectors lie", headers, rows, notes)


def _stretch_table(summary: GrowthSummary) -> Table:
    rows = [
        (
            each.name,
            str(each.num_puzzles),
            words.interval(each.natural, ".3g"),
            words.percent(each.above_one, 0),
            words.number(each.singular_value.value),
            words.number(each.right_answer_share.value, ".2f"),
            words.number(each.left_answer_share.value, ".2f"),
        )
        for each in summary.stretches
    ]
    headers = (
        "solved first",
        "n",
        "γ of the last\nstep",
        "γ > 1",
        "σ of a\nsegment",
        f"v₁ in\n{summary.answer}",
        f"u₁ in\n{summary.answer}",
    )
    followed = words.count(summary.num_followed, "segment")
    notes = [
        f"Medians. Early: within the run of {words.count(summary.num_segments, 'segment')}; late: "
        f"in the {followed} after it; never: in neither. γ and σ are factors of the segment after "
        "the run, v₁ and u₁ its right and left singular vectors."
    ]
    return Table("How a segment stretches the last step and the worst vector", headers, rows, notes)


def findings(results: Results, summary: GrowthSummary) -> list[str]:
    """Returns in sentences how λ₁ differs by outcome, and which stage differs most."""
    if not (summary.num_solved and summary.num_failed):
        return []
    stage = max(summary.stages, key=lambda each: abs(each.difference.value))
    return [
        f"λ₁ of {words.count(summary.num_failed, 'failed run')} less that of "
        f"{summary.num_solved} solved is "
        f"{words.interval_in_words(summary.lambda1.difference, _SIGNED)} nats per update.",
        f"The stage that differs most is {stage.name}: "
        f"{words.interval_in_words(stage.difference, _SIGNED)} nats per update.",
    ]
