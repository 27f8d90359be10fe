"""Patches between trajectories in words: sufficiency and necessity, against controls."""

from rrjax.analysis import format as words
from rrjax.analysis.patches import CellMap, Effect, PatchSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results

_DONORS = {
    "start": "another start",
    "copy": "a moved copy",
    "digits": "a copy with exchanged digits",
    "puzzle": "another puzzle",
}


def tables(summary: PatchSummary) -> list[Table]:
    """Returns what solved donors do to failures, and failed donors to solved puzzles."""
    failed = words.count(summary.num_failed, "failure")
    notes = [
        f"Of {failed} of {words.count(summary.num_puzzles, 'puzzle')}, "
        + "; ".join(
            f"{words.percent_interval(share)} are solved from {_DONORS[name]}"
            for name, share in summary.some_solves.items()
        )
        + "."
    ]
    titles = "Solved states into failures (sufficiency)", "Failed states into successes (necessity)"
    pairs = zip(titles, (summary.denoising, summary.noising), strict=True)
    made = [table for title, effects in pairs if effects for table in _tables(title, effects)]
    made[0] = made[0]._replace(notes=[*notes, *made[0].notes, *_map_notes(summary)])
    return [*made, _map_table(summary.cells)] if summary.cells and summary.cells.classes else made


def _tables(title: str, effects: list[Effect]) -> list[Table]:
    rows = [
        (
            each.donor,
            str(each.segment),
            each.part,
            str(each.num_pairs),
            words.percent(each.solved["patch"].value, 0),
            words.percent(each.solved["control"].value, 0),
            words.percent(each.solved["nothing"].value, 0),
            words.interval(each.against_control.percent, "+.0f"),
        )
        for each in effects
    ]
    headers = (
        "donor",
        "after",
        "part",
        "n",
        "patch",
        "control",
        "nothing",
        "patch − control, %\n(95 %)",
    )
    notes = [
        "Solved at the end, with the patch, with an equal step along a random direction, and with "
        "nothing changed. Donors: another start, a moved copy, another puzzle, a copy with "
        "exchanged digits. After: segments before the patch."
    ]
    made = [
        Table(title, headers, rows, notes),
        _effect_table(title, effects),
        _change_table(title, effects),
        _run_table(title, effects),
    ]
    return [*made, _digit_table(title, effects)] if effects[0].donated else made


def _effect_table(title: str, effects: list[Effect]) -> Table:
    rows = [
        (
            f"{each.donor} {each.segment} {each.part}",
            words.interval(each.effect, ".2f"),
            words.number(each.control_effect.value, ".2f"),
            words.interval(each.margin_effect, ".2f"),
            words.number(each.margin_control.value, ".2f"),
        )
        for each in effects
    ]
    headers = (
        "donor after part",
        "effect on\nsolved (95 %)",
        "control",
        "effect on\nmargin (95 %)",
        "control",
    )
    notes = [
        "0 is what happens without a patch, 1 the donor's own outcome; the ends are those of the "
        "numerator."
    ]
    return Table(f"{title}: effects", headers, rows, notes)


def _change_table(title: str, effects: list[Effect]) -> Table:
    units = list(effects[0].changes)[1:]
    rows = [
        (
            f"{each.donor} {each.segment} {each.part}",
            words.interval(each.changes["cells"]["patch"].percent, "+.0f"),
            _change(each, "cells", "control"),
            *(
                ", ".join(_change(each, unit, kind) for kind in ("patch", "control"))
                for unit in units
            ),
        )
        for each in effects
    ]
    headers = ("donor after part", "cells (95 %)", "control", *units)
    notes = [
        "Change of the share that is right at the end, in %, against nothing: cells to be found, "
        "and units with such a cell that hold every digit once. A unit has two numbers, that of "
        "the patch and that of the control."
    ]
    return Table(f"{title}: cells and units", headers, rows, notes)


def _change(each: Effect, name: str, kind: str) -> str:
    return words.number(100 * each.changes[name][kind].value, "+.0f")


def _run_table(title: str, effects: list[Effect]) -> Table:
    kinds = ("patch", "control", "nothing")
    rows = [
        (
            f"{each.donor} {each.segment} {each.part}",
            *(words.number(each.time[kind].value, ".0f") for kind in kinds),
            *(words.number(each.lambda1[kind].value, "+.3f") for kind in kinds if each.lambda1),
            words.number(each.distance),
        )
        for each in effects
    ]
    exponents = [f"λ₁,\n{kind}" for kind in kinds] if effects[0].lambda1 else []
    times = [f"time,\n{kind}" for kind in kinds]
    headers = ("donor after part", *times, *exponents, "distance")
    notes = [
        "Medians. Time: segments from the patch to the first right answer, of the runs that have "
        "one. λ₁: from the patch on, in nats per update. Distance: norm of what a patch changes."
    ]
    return Table(f"{title}: time and exponents", headers, rows, notes)


def _digit_table(title: str, effects: list[Effect]) -> Table:
    kinds = ("patch", "control", "nothing", "donor")
    rows = [
        (
            f"{each.donor} {each.segment} {each.part}",
            *(words.percent(each.donated[kind].value, 0) for kind in kinds),
        )
        for each in effects
        if each.donated["patch"].value == each.donated["patch"].value
    ]
    notes = ["Share of the cells in which the donor's answer is another that show it at the end."]
    headers = ("donor after part", "patch", "control", "nothing", "the donor")
    return Table(f"{title}: what stays of the donor's answer", headers, rows, notes)


def _map_table(cells: CellMap) -> Table:
    rows = [
        (
            each.name,
            str(each.num_pairs),
            f"{each.num_cells:.1f}",
            words.interval(each.change, "+.2f"),
            words.number(each.control.value, "+.2f"),
            words.percent(each.turns.value, 1),
            words.percent(each.control_turns.value, 1),
        )
        for each in cells.classes
    ]
    headers = ("cells", "n", "number", "margin (95 %)", "control", "free", "control")
    notes = [
        "Failures with a solved donor that stay failures without a patch. Means over pairs of the "
        "mean over the cells of a kind: how far one cell of the donor moves the margin, and how "
        "many of them free the failure. Same, other: of the cells to be found, those in which both "
        "answers at the patch are the same."
    ]
    return Table("Which single cells of a donor free a failure", headers, rows, notes)


def _map_notes(summary: PatchSummary) -> list[str]:
    cells = summary.cells
    if cells is None:
        return []
    turns, control = map(words.percent_interval, (cells.any_turns, cells.any_control))
    return [
        f"Single cells ({words.count(cells.num_pairs, 'pair')}): the best cell moves the margin "
        f"towards the donor's by {words.interval(cells.largest)}, its control by "
        f"{words.interval(cells.largest_control)}; a cell on average by "
        f"{words.interval(cells.mean)}, its control by {words.interval(cells.mean_control)}. Of "
        f"{words.count(cells.num_kept, 'pair')} that keep their outcome without a patch, some cell "
        f"alone leads to the donor's in {turns}, a control in {control}."
    ]


def findings(results: Results, summary: PatchSummary) -> list[str]:
    """Returns in sentences which patch frees most failures, and which breaks most solved runs."""
    sentences = []
    if summary.denoising:
        freeing = max(summary.denoising, key=_gain)
        sentences.append(f"Of the patches into failures {_sentence(freeing, 'solved', 'failure')}")
    if summary.noising:
        breaking = min(summary.noising, key=_gain)
        sentences.append(
            f"Of the patches into solved runs {_sentence(breaking, 'failed', 'solved run')}"
        )
    return sentences


def _gain(effect: Effect) -> float:
    """Returns the difference from the control that is sure: its end nearer to 0, 0 if it is not."""
    low, high = effect.against_control.low, effect.against_control.high
    return max(low, 0.0) + min(high, 0.0)


def _sentence(effect: Effect, outcome: str, recipient: str) -> str:
    if not effect.against_control.excludes(0):
        return "none surely differs from a random step as long."
    part = "the whole state" if effect.part == "all" else effect.part
    difference = words.interval_in_words(effect.against_control.percent, "+.0f")
    return (
        f"{part} of {_DONORS[effect.donor]}, which had {outcome}, differs most from a random step: "
        f"after {words.count(effect.segment, 'segment')} it leaves "
        f"{words.percent(effect.solved['patch'].value, 0)} of "
        f"{words.count(effect.num_pairs, recipient)} solved, {difference} points against its "
        "control."
    )
