"""Figures of finished results; drawing needs matplotlib, importing this package does not."""

from rrjax.plots.board import Board, unstable_cells
from rrjax.plots.canvas import save_figure
from rrjax.plots.outcome import lambda1_histogram, spectrum_by_outcome

__all__ = ["Board", "lambda1_histogram", "save_figure", "spectrum_by_outcome", "unstable_cells"]
