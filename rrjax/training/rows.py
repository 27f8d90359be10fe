"""The rows of a run's metrics: fetched late, watched, and written."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from rrjax.training import logs
from rrjax.training.monitor import Monitor

Report = Callable[[int, dict[str, float]], None]
"""Called with the step and its metrics after each logged row, in the process that writes."""


class Closed(NamedTuple):
    """A row that waits to be written: its step, its steps' metrics and further numbers."""

    step: int
    metrics: list[dict[str, Any]]
    numbers: dict[str, Any]


class Rows:
    """Collects metrics on the device, and writes a row of them when asked to.

    The metrics of a row come to the host in one transfer. The loop asks for it when the next step
    is on the device already.
    """

    def __init__(self, log: logs.Logs, monitor: Monitor, report: Report, batch_size: int):
        """Starts the clock of the first row."""
        self._log, self._monitor, self._report = log, monitor, report
        self._batch_size = batch_size
        self._metrics: list[dict[str, Any]] = []
        self._closed: Closed | None = None
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leaves the time until now out of the next row's seconds per step."""
        self._since = time.monotonic()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Keeps the sums of a step on the device."""
        self._metrics.append(metrics)

    def close(self, step: int, numbers: dict[str, Any]) -> None:
        """Ends the row of a step, with some numbers beside the metrics; it waits to be written."""
        self._closed, self._metrics = Closed(step, self._metrics, numbers), []

    def write_closed(self) -> None:
        """Writes and reports the row that waits; does nothing where there is none."""
        if self._closed is not None:
            self.write(*self.take())

    def take(self) -> tuple[int, logs.Row]:
        """Returns the step and the numbers of the row that waits.

        Raises:
          FloatingPointError: if the run cannot go on with these numbers.
        """
        assert self._closed is not None
        step, metrics, numbers = self._closed
        self._closed = None
        metrics, numbers = jax.device_get((metrics, numbers))
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        row = means(metrics, self._batch_size, seconds)
        row |= {name: float(value) for name, value in numbers.items()}
        if complaint := self._monitor.complaint(row):
            raise FloatingPointError(f"{complaint} at step {step}")
        return step, row

    def write(self, step: int, row: logs.Row) -> None:
        """Writes and reports a row."""
        self._log.write(logs.METRICS, {"step": step, **row})
        if logs.writes():
            self._report(step, row)


def means(metrics: list[dict[str, Any]], batch_size: int, seconds: float) -> logs.Row:
    """Returns means over steps (losses per slot, norms per step, others per halted slot) and speed.

    Before any slot has halted the others are left out.

    Args:
      metrics: sums over the slots, of each step.
      batch_size: slots of a step.
      seconds: time that all steps took.
    """
    steps = len(metrics)
    totals = {name: float(np.sum([part[name] for part in metrics])) for name in metrics[0]}
    halted = totals.pop("count")
    divisors = {"loss": steps * batch_size, "norm": steps}
    kinds = {name: name.rpartition("_")[2] for name in totals}
    row = {
        name: total / divisors.get(kinds[name], halted)
        for name, total in totals.items()
        if halted or kinds[name] in divisors
    }
    seconds /= steps
    return row | {"seconds_per_step": seconds, "examples_per_second": batch_size / seconds}
