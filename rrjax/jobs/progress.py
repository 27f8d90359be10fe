"""A progress bar with the time left, on standard error or in a notebook; lines in log files."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_QUIET_SECONDS = 30.0
"""Without a bar a line is printed at most this often, so that log files stay readable."""

_SPEED_SECONDS = 3600.0
"""The time left follows from the speed of the last hour: a single unit may take minutes."""


class Bar:
    """A bar that `progress` opened; `report` moves it."""

    def __init__(self, bars: Progress, label: str, total: int, shown: bool, drawn: bool):
        self._bars, self._label, self._total = bars, label, total
        self._shown, self._lines = shown, shown and not drawn
        self._task = bars.add_task(label, total=total, note="")
        self._printed, self._note = float("-inf"), ""

    def start(self, done: int) -> None:
        """Shows that `done` units were done before; they do not count in the speed."""
        self._bars.update(self._task, completed=done)

    def report(self, done: int, numbers: dict[str, float]) -> None:
        """Shows that `done` units of the total are done, and some named numbers.

        Without numbers those of the last report stay.
        """
        if numbers:
            self._note = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        note = self._note
        self._bars.update(self._task, completed=done, note=note)
        if not self._lines:
            return
        now = time.monotonic()
        if now - self._printed >= _QUIET_SECONDS or done == self._total:
            self._printed = now
            left = self._bars.tasks[0].time_remaining
            time_left = f", {duration(left)} left" if left else ""
            line = f"{self._label}: {done}/{self._total}{time_left}  {note}"
            self.tell(line)

    def tell(self, line: str) -> None:
        """Prints a line beside the bar."""
        if self._shown:
            self._bars.console.print(line, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def progress(label: str, total: int, shown: bool = True) -> Iterator[Bar]:
    """Opens a bar for `total` units of work.

    It is drawn in a terminal, and in a notebook that has ipywidgets; anywhere else lines are
    printed now and then. Nothing appears unless `shown`.
    """
    console = Console(stderr=True)
    drawn = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    drawing = {"console": console, "disable": not (shown and drawn)}
    with Progress(*columns, speed_estimate_period=_SPEED_SECONDS, **drawing) as bars:
        yield Bar(bars, label, total, shown, drawn)


def duration(seconds: int | float) -> str:
    """Returns a duration in words, to two digits or so: "0.36 s", "48 s", "12 min", "2 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"
