"""Sweeps: a function over many items in chunks of one size, which can be killed and resumed.

The vmap batch size changes the bits of a matrix product, and chaos magnifies them. So every chunk
has the same size, the last one is padded, and the size belongs to a sweep's identity. Workers may
share a folder: each chunk is one file that appears whole and says which chunk of which sweep it is,
and a lock that dies with its holder keeps two workers from computing the same one. The merged
result does not depend on who did what.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.checks import check_count
from rrjax.jobs.shares import Share
from rrjax.store import (
    Arrays,
    claim_folder,
    describe_run,
    hold_lock,
    read_arrays,
    read_json,
    write_arrays,
)
from rrjax.store.records import encode_json

Work = Callable[[np.ndarray], Mapping[str, Any]]
"""From the indices (chunks, chunk_size) of some chunks' items to arrays with these two axes."""

Report = Callable[[int], None]

IDENTITY = "sweep.json"
"""The file that says which run a folder belongs to."""

_PLACE = "chunk_of_sweep"
"""The entry of a chunk's file that says where it belongs."""

POLL_SECONDS = 0.5
"""How often a worker with nothing left to take looks whether the others' chunks are there."""


@dataclass(frozen=True)
class Sweep:
    """What is swept, and where the results go.

    Attributes:
      folder: Holds `sweep.json` and `chunks/`, where a sweep of the same identity is continued;
        None keeps the chunks in memory.
      num_items: Number of items.
      chunk_size: Number of items that run together.
      identity: All else that the results depend on, as JSON can hold it.
    """

    folder: Path | None
    num_items: int
    chunk_size: int
    identity: Mapping[str, Any]

    def __post_init__(self):
        check_count("num_items", self.num_items, least=1)
        check_count("chunk_size", self.chunk_size, least=1)

    @cached_property
    def full_identity(self) -> dict[str, Any]:
        """All that the results depend on, the sizes of the sweep included."""
        return {"num_items": self.num_items, "chunk_size": self.chunk_size, **self.identity}

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(encode_json(self.full_identity)).hexdigest()

    def place(self, chunk: int) -> str:
        """Returns what the file of a chunk says about its sweep and its number."""
        return f"{chunk} of {self._digest}"

    @property
    def num_chunks(self) -> int:
        """The number of chunks, the last of which may be padded."""
        return -(-self.num_items // self.chunk_size)

    def items(self, chunk: int) -> np.ndarray:
        """Returns the (chunk_size,) indices of a chunk's items; padding repeats the last item."""
        first = chunk * self.chunk_size
        return np.minimum(np.arange(first, first + self.chunk_size), self.num_items - 1)

    def size(self, chunk: int) -> int:
        """Returns the number of items of a chunk without its padding."""
        return min(self.chunk_size, self.num_items - chunk * self.chunk_size)

    def num_items_of(self, share: Share | None) -> int:
        """Returns the number of items in all chunks of a share."""
        return sum(map(self.size, (share or Share()).chunks(self.num_chunks)))

    def path(self, chunk: int) -> Path:
        """Returns the file of a finished chunk in the sweep's folder."""
        assert self.folder is not None
        return self.folder / "chunks" / f"{chunk:06d}.npz"


def recorded_chunk_size(folder: Path) -> int | None:
    """Returns the chunk size of the sweep that a folder holds; None where there is none."""
    file = folder / IDENTITY
    return read_json(file).get("identity", {}).get("chunk_size") if file.is_file() else None


class Unfinished(Exception):
    """This worker has done its part, and another one puts the results together."""

    def __init__(self, sweep: Sweep):
        total, absent = sweep.num_chunks, missing(sweep)
        message = f"all {total} chunks are done; process 0 puts the results together"
        if absent:
            message = (
                f"{total - len(absent)} of {total} chunks are done, missing are {_listed(absent)}; "
                "when the other workers are done, the same command without a shard puts the "
                "results together"
            )
        super().__init__(message)


def claim(sweep: Sweep) -> None:
    """Makes a folder that of a sweep, or refuses it as `run` does; nothing is computed yet."""
    if sweep.folder is not None:
        is_new = not (sweep.folder / IDENTITY).exists()  # else nobody would read the record
        record = {"made_by": describe_run()} if is_new else {}
        claim_folder(sweep.folder, IDENTITY, sweep.full_identity, record)
        (sweep.folder / "chunks").mkdir(exist_ok=True)


def run(
    sweep: Sweep, work: Work, report: Report, share: Share | None = None, parallel: int = 1
) -> Arrays:
    """Computes what is missing of a sweep, and returns all results in the order of the items.

    In a folder each chunk appears as one file when it is whole. A file that is damaged, or that
    belongs to another sweep or another chunk, is computed anew. The processes of a job end
    together: a process that has done its own chunks takes those of the others that nobody computes,
    and waits for the rest; if their worker dies, it takes them too.

    Args:
      sweep: What is swept, and where the results go.
      work: Computes some chunks at once.
      report: Called with the number of this share's items that are done, before a round for those
        that were done already, and after it.
      share: The chunks of this worker; None stands for all, as it must without a folder.
      parallel: Number of chunks that `work` takes at once; it may be given fewer.

    Returns:
      The results; empty in all processes but the first, and while chunks of other jobs are missing.

    Raises:
      ValueError: The folder holds another sweep or something else.
      OSError: A result cannot be written; what was finished before is kept.
    """
    if sweep.folder is None:
        return _run_in_memory(sweep, work, report, parallel)
    claim(sweep)
    share = share or Share()
    waiting, done = share.chunks(sweep.num_chunks), 0
    while waiting:
        with ExitStack() as locks:
            finished, taken, waiting = _take(sweep, waiting, parallel, locks)
            if finished:
                done += sum(map(sweep.size, finished))
                report(done)
            if taken:
                for chunk, arrays in _compute(sweep, taken, work):
                    write_arrays(sweep.path(chunk), {**arrays, _PLACE: sweep.place(chunk)})
                done += sum(map(sweep.size, taken))
                report(done)
        if not finished and not taken:
            time.sleep(POLL_SECONDS)
    return {} if share.process else collect(sweep)


def _run_in_memory(sweep: Sweep, work: Work, report: Report, parallel: int) -> Arrays:
    chunks, done = [], 0
    for first in range(0, sweep.num_chunks, parallel):
        numbers = list(range(first, min(first + parallel, sweep.num_chunks)))
        chunks += [arrays for _, arrays in _compute(sweep, numbers, work)]
        done += sum(map(sweep.size, numbers))
        report(done)
    return _joined(chunks)


def missing(sweep: Sweep) -> list[int]:
    """Returns the chunks of a folder that nobody has finished, or whose files are of no use."""
    return [chunk for chunk in range(sweep.num_chunks) if _read(sweep, chunk) is None]


def collect(sweep: Sweep) -> Arrays:
    """Returns all results of a folder in the order of the items; empty while chunks are missing."""
    chunks = []
    for chunk in range(sweep.num_chunks):
        arrays = _read(sweep, chunk)
        if arrays is None:
            return {}
        if chunks and _kinds(arrays) != _kinds(chunks[0]):
            raise ValueError(
                f"{sweep.path(chunk)} does not hold arrays as {sweep.path(0)} does; delete both to "
                "have them computed again"
            )
        chunks.append(arrays)
    for chunk in range(sweep.num_chunks):  # workers that were killed have left theirs
        with suppress(OSError):
            _lock_name(sweep.path(chunk)).unlink()
    return _joined(chunks)


def _kinds(arrays: Arrays) -> dict[str, Any]:
    """Returns what all chunks of a sweep have in common: names, types and shapes of an item."""
    return {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}


def _joined(chunks: list[Arrays]) -> Arrays:
    return {name: np.concatenate([arrays[name] for arrays in chunks]) for name in chunks[0]}


def _take(
    sweep: Sweep, waiting: list[int], parallel: int, locks: ExitStack
) -> tuple[list[int], list[int], list[int]]:
    """Returns the waiting chunks in three lists: finished, locked to be computed, and the rest."""
    finished, taken, rest = [], [], []
    for place, chunk in enumerate(waiting):
        if len(taken) == parallel:
            rest += waiting[place:]
            break
        if _read(sweep, chunk) is not None:
            finished.append(chunk)
            continue
        with ExitStack() as lock:
            if not lock.enter_context(hold_lock(_lock_name(sweep.path(chunk)))):
                rest.append(chunk)
            elif _read(sweep, chunk) is not None:  # finished between the look and the lock
                finished.append(chunk)
            else:
                taken.append(chunk)
                locks.enter_context(lock.pop_all())
    return finished, taken, rest


def _compute(sweep: Sweep, chunks: list[int], work: Work) -> Iterator[tuple[int, Arrays]]:
    """Yields chunks that are computed together, with their results without padding."""
    results = work(np.stack([sweep.items(chunk) for chunk in chunks]))
    for row, chunk in enumerate(chunks):
        size = sweep.size(chunk)
        yield chunk, {name: np.asarray(value[row])[:size] for name, value in results.items()}


def _read(sweep: Sweep, chunk: int) -> Arrays | None:
    """Returns a chunk's results; None if it is absent, damaged or another one's."""
    try:
        arrays = read_arrays(sweep.path(chunk))
    except (FileNotFoundError, ValueError):
        return None
    if arrays.pop(_PLACE, None) != sweep.place(chunk):
        return None
    is_whole = all(array.shape[:1] == (sweep.size(chunk),) for array in arrays.values())
    return arrays if is_whole else None


def _listed(chunks: list[int]) -> str:
    shown = ", ".join(map(str, chunks[:10]))
    return f"{shown} and {len(chunks) - 10} more" if len(chunks) > 10 else shown


def _lock_name(path: Path) -> Path:
    return path.with_name(f".{path.stem}.lock")
