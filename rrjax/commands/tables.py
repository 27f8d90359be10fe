"""Tables on the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as Grid

from rrjax.analysis.report import Table


def print_table(table: Table, more_notes: Iterable[str] = ()) -> None:
    """A table in words, with what the reader must know below it."""
    grid = Grid(*table.headers, title=table.headline)
    for row in table.rows:
        grid.add_row(*row)
    console = Console()
    console.print(grid)
    for note in (*table.notes, *more_notes):
        console.print(note, highlight=False, markup=False)
