"""Errors that only their text tells apart."""

_EXHAUSTED = "RESOURCE_EXHAUSTED"


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the machine ran out of memory."""
    # XLA's error is a RuntimeError, on every device, that only its text tells apart
    return isinstance(error, MemoryError) or _EXHAUSTED in str(error)


def memory_message(error: Exception) -> str:
    """With the first line of the error alone: XLA may append a list of its buffers."""
    line = str(error).partition("\n")[0].rstrip(".")
    found = line.removeprefix(f"{_EXHAUSTED}: ").removeprefix("Out of memory ")
    return (
        f"out of memory{': ' if found else ''}{found}; a smaller --chunk-size or --num-exponents "
        "(of a sweep) or --global-batch-size (rrjax train) needs less; it is another "
        "run, for a new --out"
    )
