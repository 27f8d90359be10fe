"""Sweeps: a function over many items, in chunks of fixed size, killed and resumed at will.

The vmap batch size changes the bits of a matrix product, and chaos magnifies that: so every chunk
has the same size, the last one padded, and the size belongs to a sweep's identity.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.store import claim_folder, describe_run, read_arrays, write_arrays

Arrays = dict[str, np.ndarray]
Work = Callable[[np.ndarray], Mapping[str, Any]]
"""From the indices (chunk_size,) of a chunk's items to arrays with that leading axis."""

Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Sweep:
    """What is swept, and where the results go.

    Attributes:
      folder: holds `sweep.json` and `chunks/`; a sweep of the same identity is continued there.
      num_items: how many items there are.
      chunk_size: items that run together.
      identity: all else that the results depend on; JSON-able.
    """

    folder: Path
    num_items: int
    chunk_size: int
    identity: Mapping[str, Any]

    def __post_init__(self):
        for name in ("num_items", "chunk_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def num_chunks(self) -> int:
        """Chunks, the last of which may be padded."""
        return -(-self.num_items // self.chunk_size)


def run(sweep: Sweep, work: Work, report: Report) -> Arrays:
    """Do the chunks that are not done, and return all results in the order of the items.

    Each chunk appears as one file when it is whole. A file that is damaged is computed anew.

    Args:
      sweep: what and where.
      work: computes one chunk; its padding repeats the last item and is cut off.
      report: called with the number of items done after every chunk.

    Raises:
      ValueError: if the folder holds another sweep or something else.
      OSError: if a result cannot be written; what was finished before is kept.
    """
    whole = {"num_items": sweep.num_items, "chunk_size": sweep.chunk_size, **sweep.identity}
    claim_folder(sweep.folder, "sweep.json", whole, {"made_by": describe_run()})
    (sweep.folder / "chunks").mkdir(exist_ok=True)
    chunks = []
    for index in range(sweep.num_chunks):
        chunks.append(_chunk(sweep, index, work))
        report(min((index + 1) * sweep.chunk_size, sweep.num_items), {})
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _chunk(sweep: Sweep, index: int, work: Work) -> Arrays:
    path = sweep.folder / "chunks" / f"{index:06d}.npz"
    if path.exists():
        try:
            return read_arrays(path)
        except ValueError:
            path.unlink()
    first = index * sweep.chunk_size
    items = np.arange(first, first + sweep.chunk_size)
    results = work(np.minimum(items, sweep.num_items - 1))
    kept = int(min(sweep.chunk_size, sweep.num_items - first))
    arrays = {name: np.asarray(value)[:kept] for name, value in results.items()}
    write_arrays(path, arrays)
    return arrays
