"""Tables on the terminal, and figures in a folder, where matplotlib is there."""

import io
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid

from rrjax.analysis.table import Table
from rrjax.plots.canvas import Draw, save_figure

WIDTH = 80
"""Columns of a table that is no terminal's."""

_INTERVAL = re.compile(r"\([^()]* to [^()]*\)|^\S+ to \S+$", re.MULTILINE)
"""In parentheses, or a line of a cell. Sentences with the word are broken as others are."""


def print_table(table: Table) -> None:
    """Prints a table, with what the reader must know below it.

    A table that is wider than the terminal is shown in parts of its columns; no number is broken or
    left out.
    """
    _print(table, Console(width=max(WIDTH, Console().width)))


def table_text(table: Table) -> str:
    """Returns a table as plain text of `WIDTH` columns, with its notes below it."""
    text = io.StringIO()
    _print(table, Console(file=text, width=WIDTH, color_system=None, force_jupyter=False))
    return text.getvalue()


def _print(table: Table, console: Console) -> None:
    for part in _parts(table, console.width):
        console.print(_grid(part))
    for note in table.notes:
        console.print(note, highlight=False, markup=False)


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.headline)
    for place, header in enumerate(table.headers):
        # in a table that is too wide, words are broken and intervals are not
        grid.add_column(header, no_wrap=_is_measured(table, place), overflow="fold")
    for row in table.rows:
        grid.add_row(*row)
    return grid


def _parts(table: Table, width: int) -> list[Table]:
    """Returns the table, or parts of its columns that fit, each behind those that name the rows."""
    places = range(len(table.headers))
    needs = [_least_width(table, place) + 3 for place in places]
    if sum(needs) + 1 <= width:
        return [table]
    # the columns before the first interval name a row
    first = next((place for place in places[1:] if _is_measured(table, place)), 1)
    names = list(range(first)) if sum(needs[:first]) <= width / 2 else [0]
    groups: list[list[int]] = [[]]
    for place in places[len(names) :]:
        taken = 1 + sum(needs[other] for other in (*names, *groups[-1]))
        if groups[-1] and taken + needs[place] > width:
            groups.append([])
        groups[-1].append(place)
    return [
        table._replace(
            headline=table.headline if group is groups[0] else f"{table.headline} (continued)",
            headers=tuple(table.headers[place] for place in (*names, *group)),
            rows=[tuple(row[place] for place in (*names, *group)) for row in table.rows],
        )
        for group in groups
    ]


def _least_width(table: Table, place: int) -> int:
    """Returns the columns of the longest word of a column, or of its longest interval."""
    is_measured = _is_measured(table, place)
    cells = [row[place] for row in table.rows]
    pieces = table.headers[place].split()
    pieces += [
        part for cell in cells for part in (cell.splitlines() if is_measured else cell.split())
    ]
    return max(map(cell_len, pieces), default=0)


def _is_measured(table: Table, place: int) -> bool:
    return any(_INTERVAL.search(row[place]) for row in table.rows)


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
