"""Draws the share of test puzzles solved against the time of training, for several recipes.

Usage: python -m scripts.models.figure_time OUT.png FOLDER [FOLDER…]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from rrjax.plots.canvas import LOOKS, draw_intervals, new_axes, save_figure, titled
from rrjax.store import read_json
from scripts.models.figure_training import shares_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Options:
    """Settings of the figure.

    Attributes:
      out: The figure, a PNG file.
      folders: Folders of `scripts.models.train_within`, all with the same test puzzles.
    """

    out: Annotated[Path, tyro.conf.Positional]
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]


def figure(reached: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws a line for each training, named by its recipe."""
    tests = {
        (each["test_set"], number) for each in reached for number in each["curve"]["num_puzzles"]
    }
    if len(tests) != 1:
        raise ValueError(f"expected trainings with the same test puzzles, found {sorted(tests)}")
    ((_, number),) = tests
    ax = new_axes()
    for place, each in enumerate(reached):
        name = f"{Path(each['config']).stem} ({each['steps']:,} steps)"
        look = LOOKS[place % len(LOOKS)]._replace(name=name)
        hours = np.array(each["curve"]["minutes"]) / 60
        draw_intervals(ax, hours, shares_of(each["curve"]), look)
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("hours of training, evaluations aside")
    ax.set_ylabel("share of puzzles solved")
    ax.legend(frameon=False, loc="upper left")
    return titled(ax, f"Recipes at equal time ({number} held-out puzzles, 95 % intervals)")


def main(options: Options) -> None:
    """Reads what the trainings reached and writes the figure."""
    reached = [read_json(folder / "reached.json") for folder in options.folders]
    save_figure(figure(reached), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
