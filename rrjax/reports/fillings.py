"""Accuracy by blank cells and segments in words."""

from rrjax.analysis import format as words
from rrjax.analysis.fillings import BlankLevel, BlankSummary
from rrjax.analysis.table import Table
from rrjax.results.results import Results


def blank_cells(level: BlankLevel) -> str:
    """Returns the number of blank cells, or its range over puzzles."""
    return words.value_range(float(level.num_blank[0]), float(level.num_blank[1]))


def tables(summary: BlankSummary) -> list[Table]:
    """Returns the table of accuracies, with intervals after the last segment."""
    segments = summary.levels[0].segments
    rows = [
        (
            blank_cells(level),
            *(words.percent(share.value, 0) for share in level.cells_right[:-1]),
            words.percent_interval(level.cells_right[-1], 0),
            words.percent_interval(level.solved[-1], 0),
        )
        for level in summary.levels
    ]
    headers = (
        "blank\ncells",
        *(f"after\n{segment}" for segment in segments[:-1]),
        f"after {segments[-1]}\n(95 %)",
        "solved\n(95 %)",
    )
    notes = [
        "Share of the blank cells that are right. Every board has one solution: it is the same "
        "puzzle with more of its cells filled in; the last row is the puzzle itself."
    ]
    number = words.count(summary.num_puzzles, "puzzle")
    return [Table(f"Accuracy by blank cells and segments, {number}", headers, rows, notes)]


def findings(results: Results, summary: BlankSummary) -> list[str]:
    """Returns in sentences what is solved with the fewest and with all cells blank."""
    levels = [*summary.levels[:1], *summary.levels[1:][-1:]]
    puzzles = words.count(summary.num_puzzles, "puzzle")
    return [
        f"With {blank_cells(level)} of the cells blank, "
        f"{words.percent_in_words(level.solved[0])} of {puzzles} are solved after "
        f"{words.count(level.segments[0], 'segment')} and "
        f"{words.percent_in_words(level.solved[-1])} after {level.segments[-1]}."
        for level in levels
    ]
