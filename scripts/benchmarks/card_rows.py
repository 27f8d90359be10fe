"""What is measured on a card: rows, the files that keep them, and the table that shows them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rrjax.store import write_json

Side = Literal["rrjax", "PyTorch"]


@dataclass(frozen=True)
class Row:
    """One measured number.

    Attributes:
      what: What was measured; rows of both sides with the same words stand beside each other.
      unit: The unit of the value.
      value: The number; None if it could not be measured.
      side: Whose program was measured.
      note: What else is to be said, such as why there is no number.
      goal: What the number should be.
    """

    what: str
    unit: str
    value: float | None
    side: Side = "rrjax"
    note: str = ""
    goal: str = ""


@dataclass
class Recorder:
    """Collects the rows of a section and writes them to its file, each as soon as it is there."""

    path: Path
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        what: str,
        unit: str,
        value: float | None,
        side: Side = "rrjax",
        note: str = "",
        goal: str = "",
    ) -> None:
        """Adds a row, whose values are those of `Row`."""
        self.rows.append(Row(what, unit, value, side, note, goal))
        write_json(self.path, {"rows": [asdict(row) for row in self.rows]})

    @contextmanager
    def attempt(self, what: str, side: Side = "rrjax") -> Iterator[None]:
        """Records an error inside the block as a row without a number, and goes on."""
        try:
            yield
        except Exception as error:  # whatever happens, the next rows are measured
            self.add(what, "", None, side, f"failed: {first_line(str(error) or repr(error))}")


def first_line(text: str) -> str:
    """Returns the first line of a text, shortened."""
    return text.strip().partition("\n")[0][:200]


def table(record: Mapping[str, Any]) -> str:
    """Returns the record of a run as Markdown: a table for each section."""
    lines = [f"# {record['device']}", "", record["summary"]]
    for name, section in record["sections"].items():
        lines += ["", f"## {name}: {section['status']}, {section['seconds']:.0f} s", ""]
        lines += ["| what | unit | rrjax | PyTorch | goal | note |", "|---|---|---|---|---|---|"]
        merged: dict[tuple[str, str], dict[str, Any]] = {}
        for row in section["rows"]:
            key = row["what"], row["unit"]
            cells = merged.setdefault(key, {"goal": "", "note": []})
            cells[row["side"]] = "-" if row["value"] is None else f"{row['value']:.4g}"
            cells["goal"] = cells["goal"] or row["goal"]
            cells["note"] += [row["note"]] if row["note"] else []
        for (what, unit), cells in merged.items():
            values = [cells.get(side, "") for side in ("rrjax", "PyTorch")]
            shown = [what, unit, *values, cells["goal"], "; ".join(cells["note"])]
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in shown) + " |")
    return "\n".join(lines) + "\n"
