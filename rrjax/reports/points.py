"""Fixed points in words: what becomes of trajectories, and the certificates of the points."""

from rrjax.analysis import format as words
from rrjax.analysis.points import NEAR, Certificate, Group, PointSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def tables(summary: PointSummary) -> list[Table]:
    """Returns what failures and successes do, and what the points are."""
    return [_fate_table(summary), _point_table(summary)]


def _fate_table(summary: PointSummary) -> Table:
    columns = [
        [f"{fate.number}: {words.percent_interval(fate.share)}" for fate in group.fates]
        for group in summary.groups
    ]
    names = [fate.name for fate in summary.groups[0].fates]
    rows = [row for row in zip(names, *columns, strict=True) if not _is_empty(row[1:])]
    for label, name in _SHARES.items():
        shares = [words.percent_interval(getattr(group, name)) for group in summary.groups]
        rows.append((label, *shares))
    headers = (
        f"after {words.count(summary.num_segments, 'segment')}",
        *(
            f"{group.name} at segment {summary.readout_segment}\n(n = {group.number}, 95 %)"
            for group in summary.groups
        ),
    )
    notes = []
    for group in summary.groups:
        settled = sum(fate.number for fate in group.fates[:3])
        if settled:
            notes.append(
                f"Of the {settled} {group.name} that rest or cycle {group.num_arrived} have arrived"
                f" at a certified point up to round-off, {group.num_returning} stand still or come "
                "back where none is stable, and the others still approach one."
            )
    notes.append(
        "A trajectory wanders near a saddle if in its second half it comes closer to an unstable "
        f"point than {summary.radius:g} of its own spread, or than {NEAR:.0%} of its norm."
    )
    return Table(f"Where {words.count(summary.num_puzzles, 'puzzle')} go", headers, rows, notes)


_SHARES = {
    "some point was found": "with_point",
    "only unstable points were found": "only_unstable",
    "a stable wrong point was found": "wrong_stable",
}


def _is_empty(cells: tuple[str, ...]) -> bool:
    return all(cell.startswith("0:") for cell in cells)


def _point_table(summary: PointSummary) -> Table:
    labels = {
        "searches that converged": lambda c: f"{c.num_converged} of {c.num_searches}",
        "largest residual": lambda c: words.number(c.residual, ".1e"),
        "Newton's steps, median": lambda c: words.number(c.iterations, "g"),
        "distinct points": lambda c: str(c.num_points),
        "stable": lambda c: words.percent_interval(c.stable),
        "one unstable direction": lambda c: words.percent_interval(c.one),
        "two": lambda c: words.percent_interval(c.two),
        "more": lambda c: words.percent_interval(c.more),
        "leading |μ|, median": lambda c: words.interval(c.modulus),
        "leading pair is complex": lambda c: words.percent_interval(c.complex),
        "right answer": lambda c: words.percent_interval(c.right),
        "trained map keeps its answer": lambda c: words.percent_interval(c.kept),
        "trained map's distance then": lambda c: words.interval(c.drift, ".1e"),
        "largest residual of an eigenvalue": lambda c: words.number(c.ritz, ".1e"),
    }
    # periods that no trajectory has would make the table too wide for a terminal
    reached = [c for c in summary.certificates if c.num_points] or summary.certificates[:1]
    others = [c for c in summary.certificates if c not in reached]
    rows = [(label, *map(cell, reached)) for label, cell in labels.items()]
    headers = ("", *(f"period {_period(c, summary.clock)}" for c in reached))
    notes = [
        "Each point counts once for a puzzle, at the smallest period that reached it. μ is of the "
        "Jacobian over the period. Distances are relative to the norm of the state."
    ]
    if others:
        listed = ", ".join(f"{_period(c, summary.clock)} ({c.num_searches})" for c in others)
        notes.append(f"No further point was reached with period (searches): {listed}.")
    return Table("The points that Newton's method reaches", headers, rows, notes)


def _period(certificate: Certificate, clock: str) -> str:
    return words.count(certificate.period, clock)


def findings(results: Results, summary: PointSummary) -> list[str]:
    """Returns in sentences what becomes of failures and of successes."""
    sentences = [_fate_sentence(group, summary) for group in summary.groups if group.number]
    failed = summary.groups[0]
    if failed.number:
        sentences.append(
            "A stable point with a wrong answer was found for "
            f"{words.percent_in_words(failed.wrong_stable)} of the failures, whether or not they "
            "go there."
        )
    return sentences


def _fate_sentence(group: Group, summary: PointSummary) -> str:
    most = max(group.fates, key=lambda fate: fate.number)
    number = group.number
    runs = {
        "failed": words.count(number, "failure"),
        "solved": words.count(number, "solved puzzle"),
    }
    return (
        f"The most frequent fate of {runs[group.name]} at segment {summary.readout_segment} "
        f"is “{most.name}” after {words.count(summary.num_segments, 'segment')}: "
        f"{words.percent_in_words(most.share)}."
    )
