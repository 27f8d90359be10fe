"""Cells as NNX modules (see `rrjax.cells.nnx`)."""

from rrjax.cells.nnx import Cell, Fixed

__all__ = ["Cell", "Fixed"]
