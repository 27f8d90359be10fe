"""Draws the spectrum by outcome for a TRM beside an HRM, after figure 2 of the original notebook.

Usage: python -m scripts.studies.figure_spectrum [--folder runs/story] [--num-puzzles 512]
"""

import tyro

from rrjax.plots.outcome import spectrum_by_outcome
from scripts.studies.spectra import Options, draw_beside

if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    draw_beside(options, spectrum_by_outcome, "spectrum_by_outcome")
