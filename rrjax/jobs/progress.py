"""A progress bar with time left, on standard error; silent lines where there is no terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_QUIET_SECONDS = 30.0
"""Without a terminal a line is printed at most this often, so that log files stay readable."""


class Bar:
    """Reports how far a job is."""

    def __init__(self, bars: Progress, label: str, total: int):
        self._bars, self._label, self._total = bars, label, total
        self._task = bars.add_task(label, total=total, note="")
        self._printed = float("-inf")

    def report(self, done: int, numbers: dict[str, float]) -> None:
        """Show that `done` of the total is done, with some named numbers."""
        note = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        self._bars.update(self._task, completed=done, note=note)
        if self._bars.console.is_terminal:
            return
        now = time.monotonic()
        if now - self._printed >= _QUIET_SECONDS or done == self._total:
            self._printed = now
            left = self._bars.tasks[0].time_remaining
            print_left = f", {left:.0f} s left" if left else ""
            self._bars.console.print(
                f"{self._label}: {done}/{self._total}{print_left}  {note}", soft_wrap=True
            )


@contextmanager
def progress(label: str, total: int) -> Iterator[Bar]:
    """A bar for `total` units of work."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    bars = Progress(*columns, console=console, disable=not console.is_terminal)
    with bars:
        yield Bar(bars, label, total)
