"""Sweeps: a function over many items, in chunks of fixed size, killed and resumed at will.

The vmap batch size changes the bits of a matrix product, and chaos magnifies that: so every chunk
has the same size, the last one padded, and the size belongs to a sweep's identity. Workers may
share a folder: each chunk is one file that appears whole, and a lock that dies with its holder
keeps two workers from computing the same one. The merged result does not depend on who did what.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from rrjax.store import Arrays, claim_folder, describe_run, read_arrays, write_arrays

Work = Callable[[np.ndarray], Mapping[str, Any]]
"""From the indices (chunks, chunk_size) of some chunks' items to arrays with these two axes."""

Report = Callable[[int, dict[str, float]], None]

POLL_SECONDS = 0.5
"""How often a worker with nothing left to take looks whether the others' chunks are there."""


class Share(NamedTuple):
    """What one worker does: a job's chunks, beginning with those of its process.

    Attributes:
      index, count: this is one of `count` jobs, and takes every count-th chunk from `index` on.
      process, processes: of those, this process of the job begins with every processes-th.
    """

    index: int = 0
    count: int = 1
    process: int = 0
    processes: int = 1

    def chunks(self, number: int) -> list[int]:
        """Of `number` chunks those of this job, in the order in which this process takes them."""
        mine = range(self.index, number, self.count)
        turns = [(self.process + turn) % self.processes for turn in range(self.processes)]
        return [chunk for turn in turns for chunk in mine[turn :: self.processes]]


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
        return sum(map(self.size, (share or Share()).chunks(self.num_chunks)))

    def path(self, chunk: int) -> Path:
        """The file of a finished chunk."""
        return self.folder / "chunks" / f"{chunk:06d}.npz"


class Unfinished(Exception):
    """This worker has done its part, and is not the one to put the results together."""

    def __init__(self, sweep: Sweep):
        total, left = sweep.num_chunks, missing(sweep)
        super().__init__(
            f"{total - len(left)} of {total} chunks are done, missing are {_listed(left)}; when "
            "the other workers are done, the same command without a shard puts the results together"
            if left
            else f"all {total} chunks are done; process 0 puts the results together"
        )


def run(
    sweep: Sweep, work: Work, report: Report, share: Share | None = None, parallel: int = 1
) -> Arrays:
    """Do what is not done of a share, and return all results in the order of the items.

    Each chunk appears as one file when it is whole. A file that is damaged is computed anew. The
    processes of a job end together: who has done its own chunks takes those of the others that
    nobody is at, and waits for the rest; if their worker dies, they are taken too.

    Args:
      sweep: what and where.
      work: computes some chunks at once.
      report: called with the number of this share's items that are done, after every round.
      share: None: all chunks.
      parallel: how many chunks `work` takes at once; it may be given fewer.

    Returns:
      The results; empty in all processes but the first, and while chunks of other jobs are missing.

    Raises:
      ValueError: if the folder holds another sweep or something else.
      OSError: if a result cannot be written; what was finished before is kept.
    """
    _claim(sweep)
    share = share or Share()
    waiting, done = share.chunks(sweep.num_chunks), 0
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
    return {} if share.process else collect(sweep)


def missing(sweep: Sweep) -> list[int]:
    """The chunks that nobody has finished, or whose files are damaged."""
    return [chunk for chunk in range(sweep.num_chunks) if _read(sweep.path(chunk)) is None]


def collect(sweep: Sweep) -> Arrays:
    """All results in the order of the items; empty while chunks are missing or damaged."""
    chunks = []
    for chunk in range(sweep.num_chunks):
        arrays = _read(sweep.path(chunk))
        if arrays is None:
            return {}
        chunks.append(arrays)
    _remove_locks(sweep)
    return {name: np.concatenate([arrays[name] for arrays in chunks]) for name in chunks[0]}


def _claim(sweep: Sweep) -> None:
    whole = {"num_items": sweep.num_items, "chunk_size": sweep.chunk_size, **sweep.identity}
    claim_folder(sweep.folder, "sweep.json", whole, {"made_by": describe_run()})
    (sweep.folder / "chunks").mkdir(exist_ok=True)


def _take(
    sweep: Sweep, waiting: list[int], parallel: int, locks: ExitStack
) -> tuple[list[int], list[int], list[int]]:
    """Of the chunks waited for: the finished, those locked to be computed, and the rest."""
    finished, taken, rest = [], [], []
    for place, chunk in enumerate(waiting):
        if len(taken) == parallel:
            rest += waiting[place:]
            break
        if _read(sweep.path(chunk)) is not None:
            finished.append(chunk)
            continue
        with ExitStack() as lock:
            if not lock.enter_context(_lock(sweep.path(chunk))):
                rest.append(chunk)
            elif _read(sweep.path(chunk)) is not None:  # finished between the look and the lock
                finished.append(chunk)
            else:
                taken.append(chunk)
                locks.enter_context(lock.pop_all())
    return finished, taken, rest


def _compute(sweep: Sweep, chunks: list[int], work: Work) -> None:
    results = work(np.stack([sweep.items(chunk) for chunk in chunks]))
    for row, chunk in enumerate(chunks):
        kept = sweep.size(chunk)
        arrays = {name: np.asarray(value[row])[:kept] for name, value in results.items()}
        write_arrays(sweep.path(chunk), arrays)


def _read(path: Path) -> Arrays | None:
    """A chunk's results; None if it is absent or damaged, and to be computed."""
    try:
        return read_arrays(path)
    except (FileNotFoundError, ValueError):
        return None


def _listed(chunks: list[int]) -> str:
    """Numbers of some chunks, not more than a line of them."""
    shown = ", ".join(map(str, chunks[:10]))
    return f"{shown} and {len(chunks) - 10} more" if len(chunks) > 10 else shown


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this worker may compute a chunk: nobody else alive holds its lock.

    Where a file system has no locks everybody may: workers without a share then compute the same
    bits side by side.
    """
    name = _lock_name(path)
    with name.open("w") as file:
        if not _holds(file, name):
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                name.unlink()


def _lock_name(path: Path) -> Path:
    return path.with_name(f".{path.stem}.lock")


def _holds(file: IO[str], name: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    try:
        # an older holder may have removed the file after it was opened here: that lock is void
        return os.path.samestat(os.fstat(file.fileno()), name.stat())
    except FileNotFoundError:
        return False


def _remove_locks(sweep: Sweep) -> None:
    """Remove what workers left that were killed; nothing is left to be locked."""
    for chunk in range(sweep.num_chunks):
        with suppress(OSError):
            _lock_name(sweep.path(chunk)).unlink()
