"""Tables on the terminal, and figures in a folder, where matplotlib is there."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from rrjax.analysis.table import Table
from rrjax.plots.canvas import Draw, save_figure

WIDTH = 80
"""Columns of a table that is no terminal's."""


def print_table(table: Table) -> None:
    """Prints a table, with what the reader must know below it.

    A terminal that is narrower than a table breaks its lines; no number is broken or left out.
    """
    _print(table, Console(width=max(WIDTH, Console().width)))


def table_text(table: Table) -> str:
    """Returns a table as plain text of `WIDTH` columns, with its notes below it."""
    text = io.StringIO()
    _print(table, Console(file=text, width=WIDTH, color_system=None, force_jupyter=False))
    return text.getvalue()


def _print(table: Table, console: Console) -> None:
    grid = Grid(title=table.headline)
    for place, header in enumerate(table.headers):
        # in a table that is too wide, words are broken and intervals are not
        is_measured = any(" to " in row[place] for row in table.rows)
        grid.add_column(header, no_wrap=is_measured, overflow="fold")
    for row in table.rows:
        grid.add_row(*row)
    console.print(grid)
    for note in table.notes:
        console.print(note, highlight=False, markup=False)


def draw_results(folder: Path, figures: Mapping[str, Draw]) -> None:
    """Draws all figures of a folder's results, saves them as NAME.png, and says where they are.

    Where matplotlib is missing or broken it says so; the results are whole without figures.
    """
    article, plural = ("a ", "") if len(figures) == 1 else ("", "s")
    try:
        drawn = {name: draw() for name, draw in figures.items()}
    except ImportError as error:
        print(f"no figure{plural}: {error}; results are in {folder}", file=sys.stderr)
        return
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    print(f"results and {article}figure{plural} are in {folder}")
