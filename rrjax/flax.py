"""Cells as NNX modules (see `rrjax.cells.flax`)."""

from rrjax.cells.flax import Cell, Fixed

__all__ = ["Cell", "Fixed"]
