"""Draws the model's own q against stability over noisy runs, after the notebook's figure 4.

Usage: python -m scripts.studies.figure_q_stability [--folder runs/story] [--num-puzzles 128]
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from rrjax.plots.canvas import save_figure
from rrjax.plots.noisy import q_against_lambda1
from scripts.studies.runs import run


@dataclass(frozen=True)
class Options:
    """Settings of the figure.

    Attributes:
      model: The model whose runs get noise.
      num_puzzles: The number of held-out puzzles; those of mixed outcome are drawn.
      num_runs: The number of noisy runs of each puzzle.
      num_segments: The number of segments of each run.
      sigma: The size σ of the noise on z_L before every segment.
      folder: The folder for the run and the figure.
    """

    model: str = "trm-sudoku9-hard"
    num_puzzles: int = 128
    num_runs: int = 8
    num_segments: int = 16
    sigma: float = 0.3
    folder: Path = Path("runs/story")


def main(options: Options) -> None:
    """Runs what has not been run yet and draws the figure."""
    name = Path(options.model).name
    results = run(
        options.folder / f"ptrm-{name}",
        *("ptrm", options.model, "--num-puzzles", options.num_puzzles),
        *("--num-runs", options.num_runs, "--num-segments", options.num_segments),
        *("--sigma", options.sigma),
    )
    path = options.folder / "q_against_stability.png"
    save_figure(q_against_lambda1(dict(results)), path)
    print(f"drawn: {path}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
