"""Progress with the time left: a bar in a terminal or a notebook, lines in log files."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_QUIET_SECONDS = 30.0
"""Without a bar a line is printed at most this often, so that log files stay readable."""

_QUIET_SHARE = 0.05
"""Nor more often than after this share of the time so far: a day of work is some hundred lines."""

_DRAWN_SECONDS = 0.5
"""A bar in a notebook is drawn anew at most this often: each drawing is a message to a browser."""

_SPEED_SECONDS = 3600.0
"""The time left follows from the speed of the last hour: a single unit may take minutes."""


class Bar:
    """How far a job is; `progress` opens it and shows it.

    Attributes:
      label: what is being done.
      total: number of units of work.
      done: number of units that are done.
    """

    def __init__(self, label: str, total: int):
        """Begins with nothing done; nothing is shown."""
        self.label, self.total, self.done = label, total, 0
        self._numbers, self._activity = "", ""
        self._samples: deque[tuple[float, int]] = deque()

    def start(self, done: int) -> None:
        """Starts the clock of the speed, after `done` units that do not count in it."""
        self.done, self._activity = done, ""
        self._samples = deque([(time.monotonic(), done)])
        self._show()

    def say_doing(self, activity: str) -> None:
        """Says what is done before the first unit, such as "compiling", until units are done."""
        self._activity = activity
        self._show()

    def report(self, done: int, numbers: dict[str, float] | None = None) -> None:
        """Shows that `done` units of the total are done, and some named numbers.

        Without numbers those of the last report stay.
        """
        if numbers:
            self._numbers = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        self.done, self._activity = done, ""
        now = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] < now - _SPEED_SECONDS:
            self._samples.popleft()
        self._show()

    def tell(self, line: str) -> None:
        """Prints a line beside the bar."""

    @property
    def status(self) -> str:
        """The time left, what is being done, and the numbers reported last, as far as known."""
        left = self._seconds_left()
        time_left = f"{duration(left)} left" if left else ""
        return "  ".join(filter(None, (time_left, self._activity, self._numbers)))

    def _seconds_left(self) -> float | None:
        if len(self._samples) < 2:
            return None
        (since, before), (now, done) = self._samples[0], self._samples[-1]
        return (now - since) / (done - before) * (self.total - done) if done > before else None

    def _show(self) -> None:
        """Brings what the user sees up to date."""


class _TerminalBar(Bar):
    """A bar that rich draws in a terminal."""

    def __init__(self, label: str, total: int, bars: Progress):
        super().__init__(label, total)
        self._bars = bars
        self._task = bars.add_task(label, total=total, status="")

    def tell(self, line: str) -> None:
        self._bars.console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _show(self) -> None:
        self._bars.update(self._task, completed=self.done, status=self.status)


class _NotebookBar(_TerminalBar):
    """A bar that is drawn in a cell's output, in one place; it needs no widgets."""

    def __init__(self, label: str, total: int, bars: Progress):
        super().__init__(label, total, bars)
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self._drawn = time.monotonic()
        self._handle: Any = display(bars, display_id=True)

    def _show(self) -> None:
        super()._show()
        now = time.monotonic()
        if now - self._drawn >= _DRAWN_SECONDS or self.done == self.total or self._activity:
            self._drawn = now
            self._handle.update(self._bars)


class _Lines(Bar):
    """Lines now and then, also while nothing is reported, as long as `speaking` runs."""

    def __init__(self, label: str, total: int, console: Console):
        super().__init__(label, total)
        self._console = console
        self._began, self._printed = time.monotonic(), 0.0

    def say_doing(self, activity: str) -> None:
        self.tell(f"{self.label}: {activity}…")
        super().say_doing(activity)

    def tell(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    @contextmanager
    def speaking(self) -> Iterator["_Lines"]:
        """Lets a thread print the lines that are due while the block reports nothing."""
        is_over = Event()

        def speak() -> None:
            while not is_over.wait(_QUIET_SECONDS):
                self._print_if_due()

        Thread(target=speak, daemon=True).start()
        try:
            yield self
        finally:
            is_over.set()

    def _show(self) -> None:
        if self.done == self.total:
            self._print(f"in {duration(time.monotonic() - self._began)}")
        else:
            self._print_if_due()

    def _print_if_due(self) -> None:
        so_far = time.monotonic() - self._began
        if so_far - self._printed >= max(_QUIET_SECONDS, _QUIET_SHARE * so_far):
            self._print("" if self._seconds_left() else f"after {duration(so_far)}")

    def _print(self, time_so_far: str) -> None:
        self._printed = time.monotonic() - self._began
        status = "  ".join(filter(None, (time_so_far, self.status)))
        self.tell(f"{self.label}: {self.done}/{self.total}  {status}")


@contextmanager
def progress(label: str, total: int, shown: bool = True) -> Iterator[Bar]:
    """Opens a bar for `total` units of work.

    It is drawn in a terminal and in a notebook; anywhere else lines are printed now and then, on
    standard error. Nothing appears unless `shown`.
    """
    console = Console(stderr=True)
    if not console.width:  # COLUMNS=0: it is no terminal
        console = Console(stderr=True, width=80, force_terminal=False)
    if not shown:
        yield Bar(label, total)
    elif console.is_jupyter:
        yield _NotebookBar(label, total, _drawing(console, disable=True))
    elif console.is_terminal:
        with _drawing(console) as bars:
            yield _TerminalBar(label, total, bars)
    else:
        with _Lines(label, total, console).speaking() as lines:
            yield lines


def _drawing(console: Console, disable: bool = False) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
    )
    return Progress(*columns, console=console, disable=disable)


def duration(seconds: int | float) -> str:
    """Returns a duration in words, to two digits or so: "0.36 s", "48 s", "12 min", "2 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"
