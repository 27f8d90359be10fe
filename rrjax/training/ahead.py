"""Keeps the host ahead of the device: batches are made early, and waits come late.

Every step is a program of its own. A `lax.scan` over several steps would spare the host little, and
it is compiled to other round-off than a single step in some cells, so that the number of steps of a
program would belong to a run.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

Moved = Callable[[int, float], None]
"""Called with the number of steps done and the seconds that the last of them took."""

Item = TypeVar("Item")
Made = TypeVar("Made")

_AHEAD = 2
"""Number of items made in advance: the next one, and one more for the unlike times they take."""


def made_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Generator[Made, None, None]:
    """Yields `make(item)` in the order of the items, made in a thread before they are asked for.

    An error in the thread is raised here, in place of the item that met it. Closing the iterator
    ends the thread after the item at hand.
    """
    items = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        waiting = deque(pool.submit(make, item) for item in islice(items, _AHEAD))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in islice(items, 1))
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def wait_for(array: Any) -> None:
    """Waits until an array is computed; unlike JAX's own wait this one ends at once at Ctrl-C."""
    pause = 5e-5
    while not array.is_ready():
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


class Pace:
    """Lets the device have one step to run and one more to go on with.

    With more of them on the device, an interrupted run would have to wait for all.
    """

    def __init__(self, moved: Moved, done: int):
        """Starts the clock of the first step, which is compiled first."""
        self._moved, self._finished = moved, 0
        self._waiting: deque[tuple[int, Any]] = deque()
        self._since = time.monotonic()
        moved(done, 0.0)

    def keep(self, step: int, array: Any) -> None:
        """Waits for the step before; the first two steps wait for themselves to be timed.

        Args:
          step: the step that was started last.
          array: one of its results.
        """
        self._waiting.append((step, array))
        while len(self._waiting) > (self._finished >= 2):
            step, array = self._waiting.popleft()
            wait_for(array)
            self._finished += 1
            seconds, self._since = time.monotonic() - self._since, time.monotonic()
            self._moved(step, seconds)
