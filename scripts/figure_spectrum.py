"""The measured spectrum by outcome, a TRM beside an HRM: after figure 2 of the seed documents.

Usage: python scripts/figure_spectrum.py [--folder runs/story] [--num-puzzles 128]
"""

import tyro
from spectra import Options, draw_beside

from rrjax.plots.outcome import spectrum_by_outcome

if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    draw_beside(options, spectrum_by_outcome, "spectrum_by_outcome")
