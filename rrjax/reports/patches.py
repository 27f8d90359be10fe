"""Patches between trajectories in words: sufficiency and necessity, against controls."""

from rrjax.analysis import format as words
from rrjax.analysis.patches import Effect, PatchSummary
from rrjax.analysis.table import Table

_DONORS = {"start": "other start", "copy": "moved copy", "puzzle": "other puzzle"}


def tables(summary: PatchSummary) -> list[Table]:
    """Returns what solved donors do to failures, and failed donors to solved puzzles."""
    failed = words.count(summary.num_failed, "failure")
    names = {"start": "another start", "copy": "a moved copy"}
    notes = [
        f"Of {failed} of {words.count(summary.num_puzzles, 'puzzle')}, "
        + "; ".join(
            f"{words.percent_interval(share)} are solved from {names[name]}"
            for name, share in summary.some_solves.items()
        )
        + "."
    ]
    titles = "Solved states into failures (sufficiency)", "Failed states into successes (necessity)"
    pairs = zip(titles, (summary.denoising, summary.noising), strict=True)
    made = [table for title, effects in pairs if effects for table in _tables(title, effects)]
    made[0] = made[0]._replace(notes=[*notes, *made[0].notes, *_map_notes(summary)])
    return made


def _tables(title: str, effects: list[Effect]) -> list[Table]:
    rows = [
        (
            _DONORS[each.donor],
            str(each.segment),
            each.part,
            str(each.num_pairs),
            words.percent(each.solved["patch"].value, 0),
            words.percent(each.solved["control"].value, 0),
            words.percent(each.solved["nothing"].value, 0),
            words.interval(each.against_control.map(lambda end: 100 * end), "+.0f"),
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
        "nothing changed. After: segments before the patch."
    ]
    first = Table(title, headers, rows, notes)
    return [first, _effect_table(title, effects)]


def _effect_table(title: str, effects: list[Effect]) -> Table:
    rows = [
        (
            _DONORS[each.donor],
            str(each.segment),
            each.part,
            words.interval(each.effect, ".2f"),
            words.number(each.control_effect.value, ".2f"),
            words.number(each.margin_effect.value, ".2f"),
            words.number(each.margin_control.value, ".2f"),
            _pair(each.lambda1, "+.3f"),
            _pair(each.time, ".0f"),
        )
        for each in effects
    ]
    headers = (
        "donor",
        "after",
        "part",
        "effect on solved\n(95 %)",
        "control",
        "on margin",
        "control",
        "λ1 patch /\ncontrol",
        "time patch /\ncontrol",
    )
    notes = [
        "Effects: 0 is what happens without a patch, 1 the donor's own outcome. λ1 from the patch "
        "on, medians in nats per update. Time: median of segments until the first right answer, of "
        "the runs that have one."
    ]
    return Table(f"{title}: effects", headers, rows, notes)


def _pair(values: dict, form: str) -> str:
    if not values:
        return ""
    return " / ".join(words.number(values[kind].value, form) for kind in ("patch", "control"))


def _map_notes(summary: PatchSummary) -> list[str]:
    cells = summary.cells
    if cells is None:
        return []
    return [
        f"Single cells ({words.count(cells.num_pairs, 'pair')}): the best cell moves the margin "
        f"towards the donor's by {words.interval(cells.largest)}, its control by "
        f"{words.interval(cells.largest_control)}; a cell on average by "
        f"{words.interval(cells.mean)}, its control by {words.interval(cells.mean_control)}."
    ]
