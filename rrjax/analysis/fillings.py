"""Accuracy by blank cells and segments in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rrjax.analysis.foretelling import some_segments
from rrjax.analysis.intervals import Interval, fraction_interval, mean_interval


@dataclass(frozen=True)
class BlankLevel:
    """Accuracy at one number of blank cells.

    Attributes:
      num_blank: Smallest and largest number of blank cells of a puzzle.
      segments: The segments of the other entries, from 1.
      cells_right: Share of the blank cells that are right after each segment.
      solved: Share of the puzzles whose blank cells are all right.
    """

    num_blank: tuple[int, int]
    segments: list[int]
    cells_right: list[Interval]
    solved: list[Interval]


@dataclass(frozen=True)
class BlankSummary:
    """Numbers of `rrjax.experiments.blanks`.

    Attributes:
      num_puzzles: Number of puzzles.
      levels: Ascending in the number of blank cells.
    """

    num_puzzles: int
    levels: list[BlankLevel]


def summarize_blanks(arrays: Mapping[str, np.ndarray]) -> BlankSummary:
    """Returns the numbers of the arrays of `rrjax.experiments.blanks`."""
    right, solved, blank = (arrays[name] for name in ("cells_right", "solved", "num_blank"))
    number, levels, last = right.shape
    segments = some_segments(last)
    return BlankSummary(
        number,
        [
            BlankLevel(
                (int(blank[:, level].min()), int(blank[:, level].max())),
                segments,
                [mean_interval(right[:, level, s - 1]) for s in segments],
                [fraction_interval(int(solved[:, level, s - 1].sum()), number) for s in segments],
            )
            for level in range(levels)
        ],
    )
