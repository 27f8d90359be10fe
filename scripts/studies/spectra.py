"""Draws spectra of a TRM and an HRM side by side, for two figures of the original notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrjax import Results
from rrjax.analysis.outcome import usable_runs
from rrjax.plots.canvas import new_figure, save_figure
from scripts.studies.runs import run


@dataclass(frozen=True)
class Options:
    """Settings of the figures.

    Attributes:
      models: The models whose spectra stand side by side.
      num_puzzles: The number of held-out puzzles of each model.
      num_exponents: The number of exponents k.
      num_segments: The number of segments of each puzzle.
      folder: The folder for runs and figures; finished runs are read from it.
    """

    models: tuple[str, ...] = ("trm-sudoku9-hard", "hrm-sudoku6")
    num_puzzles: int = 512
    num_exponents: int = 8
    num_segments: int = 16
    folder: Path = Path("runs/story")


def spectrum_of(model: str, options: Options) -> Results:
    """Returns the results of `rrjax spectrum` for a model."""
    sizes = {
        "--num-puzzles": options.num_puzzles,
        "--num-exponents": options.num_exponents,
        "--num-segments": options.num_segments,
    }
    words = [word for pair in sizes.items() for word in pair]
    return run(options.folder / f"spectrum-{Path(model).name}", "spectrum", model, *words)


def draw_beside(options: Options, draw: Callable[..., Any], name: str) -> None:
    """Draws a panel for each model by `draw(exponents, solved, ax)` and saves `name`.png."""
    found = {model: spectrum_of(model, options) for model in options.models}
    figure = new_figure(5.8 * len(found), 4.6)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (model, results) in zip(panels, found.items(), strict=True):
        ax.spines[["top", "right"]].set_visible(False)
        drift = results[results.answer_drift]
        keep = usable_runs(results["exponents"], drift, results["finite"])
        draw(results["exponents"][keep], results["solved"][keep], ax)
        title = f"{Path(model).name}\n{ax.get_title(loc='left')}"
        ax.set_title(title, loc="left", fontsize="medium")
    save_figure(figure, options.folder / f"{name}.png")
    print(f"drawn: {options.folder / name}.png")
