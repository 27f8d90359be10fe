"""The words that settings may be, as types: one list of each for functions, commands and checks.

It imports no JAX: the help of a command reads it.
"""

from typing import Literal

Precision = Literal["exact", "split", "tf32", "f16", "bf16"]
"""How matrix products are computed; see `rrjax.dynamics.precision`."""

DefaultPrecision = Literal["auto", "exact", "split", "tf32", "f16", "bf16"]
"""A precision, or `auto` for the device's default."""

Outcome = Literal["auto", "exact_match", "valid_path", "shortest_path", "obeys_rules"]
"""Which answers count as right; see `rrjax.experiments.spectrum`."""

AskedChunkSize = int | Literal["auto"]
"""How many items run together, or `auto` for what a folder began with or the device has."""

Directions = Literal["random", "lyapunov"]
"""What spans the plane of a slice; see `rrjax.experiments.slice`."""

Clock = Literal["segment", "cycle"]
"""What one application of the map is whose fixed points are searched: a segment, or a pass of its
outermost repeat."""
