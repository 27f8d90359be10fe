"""Errors that only their text tells apart."""

from rrjax.jobs.memory import EXHAUSTED


def memory_message(error: Exception) -> str:
    """With the first line of the error alone: XLA may append a list of its buffers."""
    line = str(error).partition("\n")[0].rstrip(".")
    found = line.removeprefix(f"{EXHAUSTED}: ").removeprefix("Out of memory ")
    return (
        f"out of memory{': ' if found else ''}{found}; a smaller --chunk-size or --num-exponents "
        "(of a sweep) or --global-batch-size (rrjax train) needs less; it is another "
        "run, for a new --out"
    )
