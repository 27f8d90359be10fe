"""Says what a sweep will take in time and memory, from its first chunks."""

import time
from collections.abc import Mapping

import numpy as np

from rrjax.jobs.devices import ChunkProgram
from rrjax.jobs.memory import peak_memory, size_in_words
from rrjax.jobs.progress import Bar, duration

_COPIES = 2
"""The results of all chunks are in memory twice, while they are put together."""


class Forecast:
    """A program of chunks that times its first call and says what the others will take."""

    def __init__(self, program: ChunkProgram, bar: Bar):
        """Takes the bar of the sweep whose chunks the program computes."""
        self._program, self._bar, self._is_first = program, bar, True

    def __call__(self, items: np.ndarray) -> Mapping[str, np.ndarray]:
        """Returns what the program returns for the items of some chunks."""
        if not self._is_first:
            return self._program(items)
        self._is_first = False
        self._bar.say_doing("compiling")
        began = time.monotonic()
        self._program.compile(items.shape[1])
        compiled = time.monotonic()
        self._bar.start(self._bar.done)
        results = self._program(items)
        self._tell(items, results, compiled - began, time.monotonic() - compiled)
        return results

    def _tell(
        self,
        items: np.ndarray,
        results: Mapping[str, np.ndarray],
        compiling: float,
        computing: float,
    ) -> None:
        number = len(np.unique(items))  # padding repeats the last item
        rest = self._bar.total - self._bar.done - number
        if rest <= 0:
            return
        time_left = duration(computing / number * rest)
        self._bar.tell(
            f"{self._bar.label}: compiled in {duration(compiling)}; {number} took "
            f"{duration(computing)}, the other {rest:,} will take about {time_left}"
            f"{self._memory(rest * sum(array.nbytes for array in results.values()) / items.size)}"
        )

    def _memory(self, rest_of_results: float) -> str:
        """Returns what the sweep takes, given the bytes of the results that are not there yet."""
        device = self._program.devices[0]
        peak = peak_memory(device)
        if peak is None:
            return ""
        if device.platform == "cpu":
            return f", in {size_in_words(peak + _COPIES * rest_of_results)} of memory"
        return f", in {size_in_words(peak)} of the device's memory"
