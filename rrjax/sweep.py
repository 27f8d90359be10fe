"""Sweeps: a function over many items, in chunks of fixed size, killed and resumed at will.

The vmap batch size changes the bits of a matrix product, and chaos magnifies that: so every chunk
has the same size, the last one padded, and the size belongs to a sweep's identity. Workers may
share a folder: each chunk is one file that appears whole, and a lock that dies with its holder
keeps two workers from computing the same one. The merged result does not depend on who did what.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rrjax.store import claim_folder, describe_run, read_arrays, write_arrays

Arrays = dict[str, np.ndarray]
Work = Callable[[np.ndarray], Mapping[str, Any]]
"""From the indices (chunks, chunk_size) of some chunks' items to arrays with these two axes."""

Report = Callable[[int, dict[str, float]], None]

POLL_SECONDS = 0.5
"""How often a worker with nothing left to take looks whether the others' chunks are there."""


class Share(NamedTuple):
    """One of `count` workers; it takes every count-th chunk, from `index` on."""

    index: int = 0
    count: int = 1


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

    def items(self, chunk: int) -> np.ndarray:
        """The (chunk_size,) indices of a chunk's items; padding repeats the last item."""
        first = chunk * self.chunk_size
        return np.minimum(np.arange(first, first + self.chunk_size), self.num_items - 1)

    def size(self, chunk: int) -> int:
        """Items of a chunk, its padding not counted."""
        return min(self.chunk_size, self.num_items - chunk * self.chunk_size)

    def num_items_of(self, share: Share | None) -> int:
        """Items of all chunks of a share."""
        index, count = share or Share()
        return sum(self.size(chunk) for chunk in range(index, self.num_chunks, count))

    def path(self, chunk: int) -> Path:
        """The file of a finished chunk."""
        return self.folder / "chunks" / f"{chunk:06d}.npz"


class Unfinished(Exception):
    """This worker's share is done, and chunks of other workers are missing."""

    def __init__(self, sweep: Sweep):
        done = sweep.num_chunks - len(missing(sweep))
        super().__init__(
            f"{done} of {sweep.num_chunks} chunks are done; when the other workers are, the same "
            "command without a shard puts the results together"
        )


def run(
    sweep: Sweep, work: Work, report: Report, share: Share | None = None, parallel: int = 1
) -> Arrays:
    """Do what is not done of a share, and return all results in the order of the items.

    Each chunk appears as one file when it is whole. A file that is damaged is computed anew.

    Args:
      sweep: what and where.
      work: computes some chunks at once.
      report: called with the number of this share's items that are done, after every round.
      share: None: all chunks.
      parallel: how many chunks `work` takes at once; it may be given fewer.

    Returns:
      The results; empty while chunks of other shares are missing.

    Raises:
      ValueError: if the folder holds another sweep or something else.
      OSError: if a result cannot be written; what was finished before is kept.
    """
    whole = {"num_items": sweep.num_items, "chunk_size": sweep.chunk_size, **sweep.identity}
    claim_folder(sweep.folder, "sweep.json", whole, {"made_by": describe_run()})
    (sweep.folder / "chunks").mkdir(exist_ok=True)
    index, count = share or Share()
    waiting, done = list(range(index, sweep.num_chunks, count)), 0
    while waiting:
        with ExitStack() as locks:
            finished, taken, waiting = _take(sweep, waiting, parallel, locks)
            if taken:
                _compute(sweep, taken, work)
        if not finished and not taken:
            time.sleep(POLL_SECONDS)
        for chunk in (*finished, *taken):
            done += sweep.size(chunk)
            report(done, {})
    return collect(sweep) if not missing(sweep) else {}


def missing(sweep: Sweep) -> list[int]:
    """The chunks that nobody has finished."""
    return [chunk for chunk in range(sweep.num_chunks) if not sweep.path(chunk).exists()]


def collect(sweep: Sweep) -> Arrays:
    """All results of a finished sweep, in the order of the items."""
    chunks = [read_arrays(sweep.path(chunk)) for chunk in range(sweep.num_chunks)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _take(
    sweep: Sweep, waiting: list[int], parallel: int, locks: ExitStack
) -> tuple[list[int], list[int], list[int]]:
    """Of the chunks waited for: the finished, those locked to be computed, and the rest."""
    finished, taken, rest = [], [], []
    for chunk in waiting:
        if len(taken) == parallel or not locks.enter_context(_lock(sweep.path(chunk))):
            rest.append(chunk)
        else:
            (finished if _is_finished(sweep.path(chunk)) else taken).append(chunk)
    return finished, taken, rest


def _compute(sweep: Sweep, chunks: list[int], work: Work) -> None:
    results = work(np.stack([sweep.items(chunk) for chunk in chunks]))
    for row, chunk in enumerate(chunks):
        kept = sweep.size(chunk)
        arrays = {name: np.asarray(value[row])[:kept] for name, value in results.items()}
        write_arrays(sweep.path(chunk), arrays)


def _is_finished(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_arrays(path)
    except ValueError:
        path.unlink()
        return False
    return True


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this worker may compute a chunk: nobody else alive holds its lock.

    Where a file system has no locks everybody may: two workers then compute the same bits.
    """
    name = path.with_name(f".{path.stem}.lock")
    with name.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        try:
            yield True
        finally:
            with suppress(OSError):
                name.unlink()
