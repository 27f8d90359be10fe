"""Figures of finished results, where matplotlib is there."""

import sys
from collections.abc import Mapping
from pathlib import Path

from rrjax.plots.canvas import Draw, save_figure


def draw_results(folder: Path, figures: Mapping[str, Draw]) -> None:
    """Draw all figures of a folder's results, save them as NAME.png, and say where they are.

    Without matplotlib it says so instead: the results are whole without figures.
    """
    article, plural = ("a ", "") if len(figures) == 1 else ("", "s")
    try:
        drawn = {name: draw() for name, draw in figures.items()}
    except ModuleNotFoundError as error:
        print(f"no figure{plural}: {error}; results are in {folder}", file=sys.stderr)
        return
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    print(f"results and {article}figure{plural} are in {folder}")
