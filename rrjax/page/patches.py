"""Patches on the page: what they free and break, beside their controls, and the map of cells."""

from collections.abc import Sequence

import numpy as np

from rrjax.analysis.patches import Effect, PatchSummary
from rrjax.page.panels import Panel, board_chart, interval_chart, interval_row
from rrjax.results.results import Results

_KINDS = {"patch": "patched", "control": "random step of equal length", "nothing": "nothing"}
_DONORS = {
    "start": "another start",
    "copy": "a copy with moved cells",
    "puzzle": "another puzzle",
    "digits": "a copy with exchanged digits",
}
MOST_MAPS = 8
"""Pairs whose maps are drawn."""


def panels(results: Results, summary: PatchSummary) -> list[Panel]:
    """Returns what patches change by donor, segment and part, and the maps of single cells."""
    titles = (
        ("Solved states put into failures", summary.denoising),
        ("Failed states put into successes", summary.noising),
    )
    made = [_effects(title, effects) for title, effects in titles if effects]
    if summary.cells is not None:
        made.append(_maps(results))
    return made


def _effects(title: str, effects: Sequence[Effect]) -> Panel:
    numbers = {each.donor: each.num_pairs for each in effects}
    rows = [
        interval_row(
            f"{each.part} after {each.segment}",
            words,
            each.solved[kind],
            facet=f"donor: {_DONORS[each.donor]} (n = {each.num_pairs})",
        )
        for each in effects
        for kind, words in _KINDS.items()
    ]
    sizes = ", ".join(f"{_DONORS[donor]} {number}" for donor, number in numbers.items())
    return Panel(
        title,
        f"Pairs by donor: {sizes}. Shares with the 95 % intervals of Clopper and Pearson. "
        "A line says which field of the state is replaced, and after how many segments.",
        interval_chart(rows, "share solved at the end", rule=None),
    )


def _maps(results: Results) -> Panel:
    change = results["map_margin"] - results["map_nothing"][:, None, None]
    maps = {}
    is_solved = results["recipient_solved"][results["map_pair"]]
    for place in np.argsort(is_solved, kind="stable")[:MOST_MAPS]:  # failures first
        pair = results["map_pair"][place]
        outcome = "solved" if results["recipient_solved"][pair] else "failed"
        puzzle = results["recipient"][pair]
        maps[f"puzzle {puzzle} ({outcome})"] = change[place, 0]
        maps[f"puzzle {puzzle}, random step"] = change[place, 1]
    vocab_size = results.record["puzzles"]["vocab_size"]
    words = (
        "Each cell of the donor is put in alone; the control moves that cell's state as far along "
        f"a random direction. {len(maps) // 2} of {len(change)} pairs are drawn. Squares are as "
        "large as the change of the mean margin of the logits at the end; hollow ones fall."
    )
    return Panel(
        "One cell patched alone", words, board_chart(maps, "change of the margin", vocab_size)
    )
