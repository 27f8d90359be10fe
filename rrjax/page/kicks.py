"""Kicks on the page: what is solved after them by direction and length, beside a random one."""

from collections.abc import Sequence

from rrjax.analysis.kicks import Kick, KickSummary
from rrjax.page.panels import Panel, interval_chart, interval_row
from rrjax.results.results import Results


def panels(results: Results, summary: KickSummary) -> list[Panel]:
    """Returns the shares that are solved after kicks of failures and of solved runs."""
    groups = (
        ("failures", summary.failed, summary.num_failed),
        ("solved runs", summary.solved, summary.num_puzzles - summary.num_failed),
    )
    return [
        Panel(
            f"Kicks of {name}",
            f"{number} {name} are kicked after {summary.segment} segments and run on for "
            f"{summary.num_segments}. Shares with the 95 % intervals of Clopper and Pearson. Sizes "
            "are shares of the norm of the state. The line stands for no kick.",
            interval_chart(_rows(kicks), "share solved at the end", kicks[-1].solved.value),
        )
        for name, kicks, number in groups
        if kicks
    ]


def _rows(kicks: Sequence[Kick]) -> list[dict]:
    return [
        interval_row(f"size {each.size:g}", each.direction, each.solved)
        for each in kicks
        if each.direction != "nothing"
    ]
