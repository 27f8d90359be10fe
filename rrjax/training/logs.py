"""The tables of a run: CSV files with a row for each logged step, and what goes into a row."""

import csv
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from rrjax.store import write_bytes_atomically

EVALUATED = "test/"
"""What the names of test metrics begin with."""

Row = dict[str, float | int]


METRICS = "metrics.csv"
RECURSION = "recursion_metrics.csv"
LATENTS = "latent_stats.csv"
FLOSS = "floss.csv"


class Logs:
    """The tables of a run folder; only the process that writes has any."""

    def __init__(self, folder: Path, writes: bool):
        """Write nothing yet."""
        names = (METRICS, RECURSION, LATENTS, FLOSS) if writes else ()
        self._tables = {name: Table(folder / name) for name in names}

    def keep(self, step: int) -> None:
        """Drop what was logged after the checkpoint that a run resumes from."""
        for table in self._tables.values():
            table.keep(step)

    def write(self, step: int, means: Row) -> None:
        """Append a row to the metrics."""
        for table in self._tables_of(METRICS):
            table.append([{"step": step, **means}])

    def write_segments(self, step: int, tables: Mapping[str, Sequence[Row]]) -> None:
        """Append the rows of an evaluation's segments to other tables, by file name."""
        for name, rows in tables.items():
            for table in self._tables_of(name):
                table.append([{"step": step, **row} for row in rows])

    def write_flossing(self, row: Row) -> None:
        """Append the row of a flossing step; its `step` is the training step that follows."""
        for table in self._tables_of(FLOSS):
            table.append([row])

    def best(self) -> float:
        """The highest exact accuracy on the test set so far; −1 before the first evaluation.

        Read from the file, so that a resumed run knows what the checkpoint's run knew.
        """
        name = f"{EVALUATED}exact_accuracy"
        return max((row[name] for row in self._metrics() if name in row), default=-1.0)

    def last_evaluation(self) -> Row:
        """The test metrics logged last; empty where there are none."""
        for row in reversed(self._metrics()):
            names = [name for name in row if name.startswith(EVALUATED)]
            if names:
                return {name.removeprefix(EVALUATED): row[name] for name in names}
        return {}

    def _metrics(self) -> list[Row]:
        return [row for table in self._tables_of(METRICS) for row in table.rows()]

    def _tables_of(self, name: str) -> list["Table"]:
        return [self._tables[name]] if name in self._tables else []


class Table:
    """A CSV file with a header; a cell is empty where a row has no such number.

    Numbers are written so that reading them gives the same bits. The first column is `step`.
    """

    def __init__(self, path: Path):
        """Read nothing yet."""
        self._path = path

    def keep(self, step: int) -> None:
        """Drop the rows of later steps, and a line that a kill cut short."""
        columns, rows = _read(self._path)
        if columns:
            if "step" not in columns:
                raise ValueError(f"{self._path} is damaged: it has no column step")
            self._rewrite(columns, [row for row in rows if row["step"] <= step])

    def append(self, new: Sequence[Row]) -> None:
        """Append rows; a number of a new name gets a column."""
        columns = _read_header(self._path)
        names = list(dict.fromkeys([*columns, *(name for row in new for name in row)]))
        if names != columns:
            self._rewrite(names, self.rows())
        with self._path.open("a", newline="") as file:
            file.write(_encoded(names, new))

    def rows(self) -> list[Row]:
        """All rows, without the empty cells."""
        return _read(self._path)[1]

    def _rewrite(self, columns: list[str], rows: Iterable[Row]) -> None:
        header = {name: name for name in columns}
        write_bytes_atomically(self._path, _encoded(columns, [header, *rows]).encode())


def read_table(path: Path) -> dict[str, np.ndarray]:
    """The columns of a table by name, each (rows,) float64 with NaN for an empty cell."""
    columns, rows = _read(path)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in columns}


def _read_header(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Header and rows; a last line that a kill cut short is none."""
    text = path.read_text() if path.exists() else ""
    header, *lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))) or [[]]
    try:
        rows = [
            {name: float(cell) for name, cell in zip(header, line, strict=True) if cell}
            for line in lines
        ]
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return header, rows


def _encoded(columns: list[str], rows: Iterable[Mapping[str, float | int | str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def _cell(value: float | int | str) -> str:
    """The same for 5 and 5.0, so that a table that is read and written again keeps its bytes."""
    return value if isinstance(value, str) else repr(float(value)).removesuffix(".0")


class Window:
    """Metrics summed since the last logged row."""

    def __init__(self):
        """Start the clock."""
        self._sums: list[dict[str, jax.Array]] = []
        self._start = time.monotonic()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Keep one step's sums, on the device: nothing waits for them here."""
        self._sums.append(metrics)

    def close(self, batch_size: int) -> Row:
        """Means: losses per slot, norms per step, the others per halted slot; and the speed.

        Before any slot has halted there is nothing to say of those.
        """
        steps = len(self._sums)
        host = jax.device_get(self._sums)
        totals = {name: float(np.sum([m[name] for m in host])) for name in host[0]}
        halted = totals.pop("count")
        divisors = {"loss": steps * batch_size, "norm": steps}
        kinds = {name: name.rpartition("_")[2] for name in totals}
        means = {
            name: total / divisors.get(kinds[name], halted)
            for name, total in totals.items()
            if halted or kinds[name] in divisors
        }
        seconds = (time.monotonic() - self._start) / steps
        return means | {"seconds_per_step": seconds, "examples_per_second": batch_size / seconds}
