"""Memory of devices: how much is free, and errors that say what to do."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

EXHAUSTED = "RESOURCE_EXHAUSTED"

USABLE = 0.9
"""Share of the free memory that a program may ask for: what is left is lost between the blocks."""

SATURATING_VALUES = 64_000_000
"""How many numbers keep an accelerator busy: 512 puzzles of `trm-sudoku9` with 8 tangents are 57
million, and took 0.74 times the time per puzzle of 64 (measured on an H200)."""


class OutOfMemory(MemoryError):
    """A device or the machine ran out of memory; the message says what to do."""


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether a device or the machine ran out of memory."""
    # XLA's error is a RuntimeError, on every device, that only its text tells apart
    return isinstance(error, MemoryError) or EXHAUSTED in str(error)


@contextmanager
def memory_advice(advice: Callable[[], str]) -> Iterator[None]:
    """Turns an error of memory into one that says what to do.

    Args:
      advice: Called after such an error; returns what to do, as the end of a sentence.

    Raises:
      OutOfMemory: The block ran out of memory.
    """
    try:
        yield
    except OutOfMemory:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        # XLA may append a list of its buffers to the first line
        line = str(error).partition("\n")[0].rstrip(".")
        reason = line.removeprefix(f"{EXHAUSTED}: ").removeprefix("Out of memory ")
        words = ": ".join(["out of memory", reason] if reason else ["out of memory"])
        raise OutOfMemory(f"{words}; {advice()}") from error


def free_memory(device: Any) -> int | None:
    """Returns how many bytes of a device a program may ask for; None where nobody knows.

    On a processor all devices share the memory that the machine has free.
    """
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return int(USABLE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    if device.platform == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return int(USABLE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return None


def peak_memory(device: Any) -> int | None:
    """Returns the most bytes that were in use so far; None where nobody knows.

    On a processor it is the memory of this process, in all; elsewhere that of the device's arrays.
    """
    is_mine = device.process_index == device.client.process_index()
    stats = (device.memory_stats() or {}) if is_mine else {}  # those of other processes are unknown
    if "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"])
    if device.platform != "cpu" or sys.platform == "win32":
        return None
    import resource  # which Windows lacks

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def size_in_words(num_bytes: int | float) -> str:
    """Returns a number of bytes in words, to two digits or so: "350 MB", "1.2 GB", "12 GB"."""
    megabytes = max(1.0, num_bytes / 1e6)
    size, unit = (megabytes, "MB") if megabytes < 999.5 else (megabytes / 1e3, "GB")
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:,.0f} {unit}"
