"""What of a result is shown: the puzzles, the segments, and how numbers are written."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rrjax.results.results import Results

MOST_PUZZLES = 512
"""Puzzles of all runs of a page together up to which every puzzle is shown."""

MOST_SEGMENTS = 64
"""Segments of a run up to which every one is shown."""

MOST_CELLS = 1_500_000
"""Cells of all boards of a page, those of every segment counted; the shares of unstable directions
in cells are as many again."""

MOST_RUNS = 16_384
"""Restarts and noisy runs of a page, over all puzzles."""

DIGITS = 4
"""Significant digits of the numbers in a page."""


@dataclass(frozen=True)
class Shown:
    """A result, with the part of it that a page shows.

    Attributes:
      results: The result.
      puzzles: (n,) The places of the shown puzzles in the result, from 0.
    """

    results: Results
    puzzles: np.ndarray

    @property
    def kind(self) -> str:
        """The name of the experiment."""
        return self.results.record["experiment"]

    @property
    def vocab_size(self) -> int:
        """The number of token values; 0 where it is not known."""
        return self.results.record.get("puzzles", {}).get("vocab_size", 0)

    @cached_property
    def segments(self) -> np.ndarray:
        """(s,) The shown segments, counted from 1, the last of the run among them."""
        if "snapshot" in self.results:
            return thinned(self.results["snapshot"], MOST_SEGMENTS)
        return thinned(np.arange(1, self.num_segments + 1), MOST_SEGMENTS)

    @property
    def num_segments(self) -> int:
        """The number of segments of a run."""
        for name, axes in self.results.axes.items():
            if "segment" in axes:
                return self.results[name].shape[axes.index("segment")]
        return self.results.record["options"]["num_segments"]

    def by_puzzle(self, name: str) -> np.ndarray | None:
        """Returns an array (n, ...) of the shown puzzles, of the first run where there are several.

        None stands for an array that the result does not hold, or that has no axis of puzzles.
        """
        axes = self.results.axes.get(name, ())
        if axes[:1] != ("puzzle",):
            return None
        array = self.results[name][self.puzzles]
        return array[:, 0] if "run" in axes else array

    def by_run(self, name: str) -> np.ndarray | None:
        """Returns an array (n, runs, s, ...) at the shown segments, or None as `by_puzzle`."""
        axes = self.results.axes.get(name, ())
        if axes[:1] != ("puzzle",):
            return None
        array = self.results[name][self.puzzles]
        if "run" not in axes:
            array, axes = array[:, None], ("puzzle", "run", *axes[1:])
        if axes[2:3] == ("segment",):
            return array[:, :, self.segments - 1]
        if axes[2:3] == ("snapshot",):
            return array[:, :, np.searchsorted(self.results["snapshot"], self.segments)]
        return None

    def by_segment(self, name: str) -> np.ndarray | None:
        """Returns an array (n, s, ...) of the first run at the shown segments, or None."""
        array = self.by_run(name)
        return None if array is None else array[:, 0]


def show(results: Results, most_puzzles: int = MOST_PUZZLES) -> Shown:
    """Returns a result with the puzzles that are shown: all, or so many spread evenly over it."""
    number = next((len(results[n]) for n, axes in results.axes.items() if axes[0] == "puzzle"), 0)
    return Shown(results, thinned(np.arange(number), most_puzzles))


def as_typed(command: list[str]) -> str:
    """Returns the words of a recorded command as they are typed; empty for a program of Python."""
    is_ours = command and command[0] in ("rrjax", "cli.py", "__main__.py")
    return shlex.join(["rrjax", *command[1:]]) if is_ours else ""


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Returns all values, or the first, the last and others between, evenly spread in number."""
    if len(values) <= most:
        return values
    return values[np.unique(np.linspace(0, len(values) - 1, most).round().astype(int))]


def written(values: Any, digits: int = DIGITS) -> Any:
    """Returns numbers as JSON holds them: nested lists of few digits, None for NaN and infinity."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array.tolist()
    if array.ndim > 1:
        return [written(row, digits) for row in array]
    if array.ndim == 0:
        return written(array[None], digits)[0]
    finite = np.isfinite(array).tolist()
    return [
        float(f"{value:.{digits}g}") if is_finite else None
        for value, is_finite in zip(array.tolist(), finite, strict=True)
    ]
