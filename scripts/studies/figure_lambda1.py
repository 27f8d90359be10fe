"""Draws λ₁ by outcome for a TRM beside an HRM, after figure 1 of the original notebook.

Usage: python -m scripts.studies.figure_lambda1 [--folder runs/story] [--num-puzzles 512]
"""

import tyro

from rrjax.plots.outcome import lambda1_histogram
from scripts.studies.spectra import Options, draw_beside

if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    draw_beside(options, lambda1_histogram, "lambda1_by_outcome")
