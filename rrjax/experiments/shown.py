"""What terminals and notebooks show of a result: its tables and its figures."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrjax.analysis.table import Table
from rrjax.plots.canvas import save_figure
from rrjax.reports.terminal import table_text

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True, repr=False)
class Summary:
    """The numbers of a result and their tables; its text form is the tables.

    Every number is an attribute too: `summary.num_solved` is `summary.numbers.num_solved`.

    Attributes:
      numbers: A dataclass of all numbers.
      tables: What of them is shown.
      find: Returns the sentences of `findings`.
    """

    numbers: Any
    tables: Sequence[Table]
    find: Callable[[], list[str]] = list

    def findings(self) -> list[str]:
        """Returns what the result shows, in at most five sentences; none for some experiments."""
        return self.find()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "numbers":  # asked for by copy and pickle
            raise AttributeError(name)
        return getattr(self.numbers, name)

    def __repr__(self) -> str:
        return "\n".join(map(table_text, self.tables))

    def as_record(self) -> dict[str, Any]:
        """Returns all numbers as nested dictionaries, for a JSON file."""
        return asdict(self.numbers)


class Figures(dict[str, "matplotlib.figure.Figure"]):
    """Figures by name, which a notebook shows one below the other."""

    def save(self, folder: str | Path) -> None:
        """Writes every figure as NAME.png into a folder, which is made if it is not there.

        Each file is whole or absent.

        Raises:
          OSError: A file cannot be written.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, figure in self.items():
            save_figure(figure, Path(folder) / f"{name}.png")

    def _repr_html_(self) -> str:
        return "\n".join(f'<img alt="{name}" src="{_source(self[name])}">' for name in self)


def _source(figure: "matplotlib.figure.Figure") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
