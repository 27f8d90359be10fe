"""A sweep on several processes of this machine, with its pieces in a folder."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from rrjax.jobs.sweep import IDENTITY, Report, Sweep, run
from rrjax.store import Arrays, claim_folder, version

Piece = Callable[[np.ndarray], Mapping[str, Any]]
"""From the (n,) indices of a chunk's items, each once, to arrays of n rows."""


def num_cores() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_with_workers(sweep: Sweep, piece: Piece, report: Report, workers: int) -> Arrays:
    """Returns the results of a sweep that several processes compute; their number changes nothing.

    Args:
      sweep: What is swept; it has a folder.
      piece: Computes one chunk; other processes must be able to import it.
      report: As in `sweep.run`.
      workers: Number of processes, of which this is one.

    Raises:
      ValueError, OSError: As `sweep.run`.
    """
    assert sweep.folder is not None
    claim_folder(sweep.folder, IDENTITY, sweep.full_identity, {"rrjax": version()})
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_help, args=(sweep, piece, os.getpid()), daemon=True)
        for _ in range(min(workers, sweep.num_chunks) - 1)
    ]
    for other in others:
        other.start()
    try:
        return run(sweep, partial(_chunks, piece), report)
    finally:
        for other in others:
            other.terminate()
            other.join()


def _chunks(piece: Piece, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what a sweep wants of some chunks, whose padding repeats an index."""
    parts = []
    for chunk in indices:
        once, places = np.unique(chunk, return_inverse=True)
        parts.append({name: np.asarray(array)[places] for name, array in piece(once).items()})
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def _help(sweep: Sweep, piece: Piece, parent: int) -> None:
    """Computes chunks that nobody else does, and leaves errors to the parent, which meets them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process

    def work(indices: np.ndarray) -> dict[str, np.ndarray]:
        if os.getppid() != parent:  # it was killed
            sys.exit()
        return _chunks(piece, indices)

    try:
        run(sweep, work, lambda done: None)
    except (ValueError, OSError):
        sys.exit()
