"""How many items of a sweep run together: as they fit a processor's cache, or a device's memory."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rrjax.choices import AskedChunkSize
from rrjax.contract import Dynamics
from rrjax.jobs.devices import ChunkProgram
from rrjax.jobs.memory import SATURATING_VALUES, free_memory, is_out_of_memory
from rrjax.jobs.shares import Share
from rrjax.jobs.sweep import recorded_chunk_size

_CACHED_VALUES = 100_000
"""How many numbers of states and tangents a chunk may hold on a processor: more of them fall out of
the cache of a core (measured)."""


class ChunkSize(NamedTuple):
    """How many items run together, and why."""

    size: int
    reason: str


def choose_chunk_size(
    asked: AskedChunkSize,
    folder: Path | None,
    program: ChunkProgram,
    dynamics: Dynamics,
    num_tangents: int,
    num_items: int,
    share: Share | None,
) -> ChunkSize:
    """Returns how many items run together: as asked, as a folder's run began, or as the device has.

    Args:
      asked: A number, or `auto`.
      folder: The folder of the run, if it has one.
      program: The program of a chunk.
      dynamics: The dynamics of one item.
      num_tangents: Number of tangent vectors beside each state.
      num_items: Number of items, which a chunk does not exceed.
      share: The chunks of this worker.
    """
    if asked != "auto":
        return ChunkSize(min(asked, num_items), "it was asked for")
    recorded = None if folder is None else recorded_chunk_size(folder)
    if recorded is not None:
        return ChunkSize(recorded, f"the run in {folder} began with it")
    if jax.default_backend() == "cpu":
        size = min(num_items, cached_size(dynamics, num_tangents))
        return ChunkSize(size, "states and tangents then stay in a core's cache")
    jobs = share or Share()
    num_parallel = program.parallel * jobs.count * jobs.processes
    saturating = _power_of_two(SATURATING_VALUES // num_values(dynamics, num_tangents))
    return fit_to_memory(program, saturating, num_items, num_parallel)


def num_values(dynamics: Dynamics, num_tangents: int) -> int:
    """Returns how many numbers the largest field of a state and of its tangents holds."""
    largest = max(jnp.size(leaf) for leaf in jax.tree.leaves(dynamics.initial))
    return largest * (1 + num_tangents)


def cached_size(dynamics: Dynamics, num_tangents: int) -> int:
    """Returns how many items run together on a processor: as the cache allows, at most 64."""
    return max(1, min(64, _CACHED_VALUES // num_values(dynamics, num_tangents)))


def fit_to_memory(
    program: ChunkProgram, largest: int, num_items: int, num_parallel: int
) -> ChunkSize:
    """Returns the largest chunk size that fits the device's memory, by the compiled program.

    Usually one compilation is all: the program that fits is the one that runs.

    Args:
      program: The program of a chunk.
      largest: The largest size that is of any use.
      num_items: Number of items.
      num_parallel: Number of chunks that run at once, on all devices of all workers.
    """
    reason = "it keeps the device busy"
    while True:
        size = even_size(largest, num_items, num_parallel)
        fitting = fitting_size(program, size)
        if fitting >= size or size == 1:
            return ChunkSize(size, reason)
        largest, reason = fitting, "it fits the device's memory"


def even_size(largest: int, num_items: int, num_parallel: int) -> int:
    """Returns a chunk size up to `largest` that shares the items evenly among rounds of chunks."""
    rounds = -(-num_items // (largest * num_parallel))
    return -(-num_items // (rounds * num_parallel))


def fitting_size(program: ChunkProgram, size: int) -> int:
    """Returns `size` if a chunk of so many items fits the device's memory, else a smaller size."""
    try:
        free, needed = free_memory(program.devices[0]), program.memory(size)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return max(1, size // 2)  # compilers for some devices refuse what does not fit
    if free is None or needed <= free:
        return size
    return min(_power_of_two(size * free // needed), max(1, size // 2))


def chunk_advice(program: ChunkProgram, size: int, num_tangents: int) -> str:
    """Returns what to do after a chunk of so many items ran out of memory."""
    if size > 1:
        fitting = min(fitting_size(program, size), size // 2)
        return (
            f"a chunk size of {fitting} (--chunk-size {fitting}) should fit; it makes this another "
            "run, which needs a new folder (--out)"
        )
    fewer = "fewer exponents (--num-exponents) or " if num_tangents else ""
    return (
        f"one run at a time does not fit: {fewer}fewer segments (--num-segments) need less memory, "
        "and make this another run, which needs a new folder (--out)"
    )


def _power_of_two(number: Any) -> int:
    """Returns the largest power of two up to a number, at least 1."""
    return 1 << max(0, int(number).bit_length() - 1)
