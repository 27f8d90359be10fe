"""The tables of a run: CSV files with a row for each logged step, and the numbers of a row."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from rrjax.store import write_bytes_atomically
from rrjax.store.reading import read_text

EVALUATED = "test/"
"""Prefix of the names of test metrics."""

RUN_FORMAT = ("training run", 1)
"""Kind and version of `config.json` in a run folder."""

Row = dict[str, float | int]

METRICS = "metrics.csv"
RECURSION = "recursion_metrics.csv"
LATENTS = "latent_stats.csv"
FLOSS = "floss.csv"


def writes() -> bool:
    """Returns whether this process writes the run's files: of all processes the first does."""
    return jax.process_index() == 0


class Logs:
    """The tables of a run folder, by file name. Only the process that writes changes them."""

    def __init__(self, folder: Path):
        self._logs = {name: CsvLog(folder / name) for name in (METRICS, RECURSION, LATENTS, FLOSS)}

    def keep(self, step: int) -> None:
        """Drops what was logged after the checkpoint that a run resumes from."""
        for log in self._logs.values() if writes() else ():
            log.keep(step)

    def write(self, name: str, *rows: Row) -> None:
        """Appends rows to a table; each has a `step`."""
        if writes():
            self._logs[name].append(rows)

    def best(self) -> float:
        """Returns the highest exact accuracy on the test set so far, −1 before the first.

        It is read from the file, so that a resumed run knows what the run before it knew.
        """
        name = f"{EVALUATED}exact_accuracy"
        rows = self._logs[METRICS].rows()
        return max((row[name] for row in rows if name in row), default=-1.0)

    def last_evaluation(self) -> Row:
        """Returns the test metrics logged last; none where there are none."""
        for row in reversed(self._logs[METRICS].rows()):
            names = [name for name in row if name.startswith(EVALUATED)]
            if names:
                return {name.removeprefix(EVALUATED): row[name] for name in names}
        return {}


class CsvLog:
    """A CSV file with a header. A cell is empty if its row lacks the number of the column.

    Numbers are written so that reading them gives the same bits. The first column is `step`.
    """

    def __init__(self, path: Path):
        self._path = path

    def keep(self, step: int) -> None:
        """Drops the rows of later steps, and a line that a kill cut short."""
        columns, rows = _read(self._path)
        if columns:
            if "step" not in columns:
                raise ValueError(f"{self._path} is damaged: it has no column step")
            self._rewrite(columns, [row for row in rows if row["step"] <= step])

    def append(self, new: Sequence[Row]) -> None:
        """Appends rows, and a column for each new name."""
        columns: list[str] = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                columns = next(csv.reader(file), [])
        names = list(dict.fromkeys([*columns, *(name for row in new for name in row)]))
        if names != columns:
            self._rewrite(names, self.rows())
        with self._path.open("a", newline="") as file:
            file.write(_encoded(names, new))

    def rows(self) -> list[Row]:
        """Returns all rows, without the empty cells."""
        return _read(self._path)[1]

    def _rewrite(self, columns: list[str], rows: Iterable[Row]) -> None:
        header = {name: name for name in columns}
        write_bytes_atomically(self._path, _encoded(columns, [header, *rows]).encode())


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Returns the columns of a table by name, (rows,) float64 each, NaN for an empty cell."""
    columns, rows = _read(path)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in columns}


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Returns header and rows, without a last line that a kill cut short."""
    text = read_text(path) if path.exists() else ""
    try:
        header, *lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))) or [[]]
        rows = [
            {name: float(cell) for name, cell in zip(header, line, strict=True) if cell}
            for line in lines
        ]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return header, rows


def _encoded(columns: list[str], rows: Iterable[Mapping[str, float | int | str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def _cell(value: float | int | str) -> str:
    """Returns the same for 5 and 5.0, so that a table read and written again keeps its bytes."""
    return value if isinstance(value, str) else repr(float(value)).removesuffix(".0")
